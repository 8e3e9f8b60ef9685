//! Examples of Route 53.

use std::collections::BTreeSet;

use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType};
use payinfra_aws::route53::{
    Answer, Delegation, DnsName, FailoverRole, HealthCheck, HostedZone, RecordSet, RecordType, Routing, Zone,
};
use payinfra_aws::{Access, Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Error, Graph, Lookup, Node, Ref, Region, Resource, Result, Secret, Tags};
use payinfra_localstack::Emulator;
use serde_json::json;

use crate::example::{Again, Example, examples, form, graph};
use crate::life::{access, site};

examples![
    delegation,
    health_check,
    hosted_zone,
    record_set,
    record_set_by_failover,
    record_set_by_latency,
    record_set_by_weight,
    zone
];

fn global() -> Region {
    Region::global()
}

fn zone_args(name: &str) -> HostedZone {
    HostedZone { name: DnsName::new(name), comment: "an example".to_owned(), tags: Tags::new() }
}

fn check_args(host: &str) -> HealthCheck {
    HealthCheck {
        fully_qualified_domain_name: Ref::Known(DnsName::new(host)),
        port: 443,
        resource_path: Secret::new("/health".to_owned()),
        request_interval: 30,
        failure_threshold: 3,
        enable_sni: true,
        tags: Tags::new(),
    }
}

fn hosted_zone() -> Result<Example> {
    Example::new(graph("hosted-zone"), &global(), zone_args("hosted-zone.example"))?
        .again(Again::Taken)
        .change(|zone: &mut HostedZone| "for more".clone_into(&mut zone.comment))
}

fn zone() -> Result<Example> {
    let mut graph = graph("zone");
    let made = graph.add(&global(), "made", zone_args("zone.example"))?;
    let found = json!({ "id": form(&made.id)?, "name_servers": form(&made.outputs.name_servers)? });
    Example::lookup(graph, &global(), &Zone { name: DnsName::new("zone.example") }, found)
}

fn health_check() -> Result<Example> {
    Example::new(graph("health-check"), &global(), check_args("health-check.example"))?
        .again(Again::Same)
        .change(|check: &mut HealthCheck| {
            check.fully_qualified_domain_name = Ref::Known(DnsName::new("another.example"));
        })?
        .change(|check: &mut HealthCheck| (check.port, check.failure_threshold) = (8_443, 1))?
        .change(|check: &mut HealthCheck| check.resource_path = Secret::new("/ready".to_owned()))?
        .change(|check: &mut HealthCheck| check.enable_sni = false)
}

fn values(values: &[&str]) -> Answer {
    Answer::Values { ttl: 60, values: values.iter().map(|text| Ref::from(*text)).collect() }
}

fn alias(name: &str, evaluate_target_health: bool) -> Answer {
    Answer::Alias { name: Ref::Known(DnsName::new(name)), zone: Ref::from("Z35SXDOTRQ7X7K"), evaluate_target_health }
}

fn record(zone: &Node<HostedZone>, name: &str, record_type: RecordType, answer: Answer) -> RecordSet {
    RecordSet {
        zone: zone.id.clone(),
        name: Ref::Known(DnsName::new(name)),
        record_type,
        set_identifier: String::new(),
        routing: Routing::Simple,
        answer,
        health_check: None,
    }
}

fn zone_for(graph: &mut Graph) -> Result<Node<HostedZone>> {
    let name = format!("{}.example", graph.workspace);
    graph.add(&global(), "zone", zone_args(&name))
}

/// The clients ask the emulated AWS, whatever DNS server the arguments name.
fn delegation() -> Result<Example> {
    let mut graph = graph("delegation");
    let zone = zone_for(&mut graph)?;
    let (name, name_servers) = (DnsName::new("delegation.example"), zone.outputs.name_servers);
    Example::new(graph, &global(), Delegation { zone: zone.id, name, name_servers, resolver: None })?
        .again(Again::Taken)
        .change(|delegation: &mut Delegation| delegation.resolver = "192.0.2.1:53".parse().ok())?
        .change(|delegation: &mut Delegation| delegation.resolver = None)
}

/// The name of another one, with characters that AWS escapes.
fn record_set() -> Result<Example> {
    let mut graph = graph("record-set");
    let zone = zone_for(&mut graph)?;
    let other = |ttl, name: &str| Answer::Name { ttl, name: Ref::Known(DnsName::new(name)) };
    let record = record(&zone, "*.record-set.example", RecordType::Cname, other(300, "elsewhere.example"));
    Example::new(graph, &global(), record)?
        .again(Again::Taken)
        .change(|record: &mut RecordSet| record.answer = other(60, "elsewhere.example"))?
        .change(|record: &mut RecordSet| record.answer = other(60, "another.example"))
}

fn record_set_by_weight() -> Result<Example> {
    let mut graph = graph("record-set-by-weight");
    let zone = zone_for(&mut graph)?;
    let check = graph.add(&global(), "check", check_args("balancer.example"))?;
    let weighted = |identifier: &str, weight| RecordSet {
        set_identifier: identifier.to_owned(),
        routing: Routing::Weighted(weight),
        ..record(&zone, "www.record-set-by-weight.example", RecordType::A, alias("balancer.example", true))
    };
    graph.add(&global(), "other", weighted("other", 10))?;
    Example::new(graph, &global(), weighted("us-east-1", 90))?
        .again(Again::Taken)
        .change(|record: &mut RecordSet| record.routing = Routing::Weighted(0))?
        .change(|record: &mut RecordSet| record.health_check = Some(check.id))?
        .change(|record: &mut RecordSet| record.answer = alias("another.example", false))?
        .change(|record: &mut RecordSet| record.health_check = None)
}

fn record_set_by_latency() -> Result<Example> {
    let mut graph = graph("record-set-by-latency");
    let zone = zone_for(&mut graph)?;
    let record = RecordSet {
        set_identifier: "east".to_owned(),
        routing: Routing::Latency(Region::new("us-east-1")),
        ..record(&zone, "record-set-by-latency.example", RecordType::A, values(&["192.0.2.1"]))
    };
    Example::new(graph, &global(), record)?
        .again(Again::Taken)
        .change(|record: &mut RecordSet| record.routing = Routing::Latency(Region::new("us-east-2")))?
        .change(|record: &mut RecordSet| record.answer = values(&["192.0.2.2", "192.0.2.1"]))
}

fn record_set_by_failover() -> Result<Example> {
    let mut graph = graph("record-set-by-failover");
    let zone = zone_for(&mut graph)?;
    let check = graph.add(&global(), "check", check_args("primary.example"))?;
    let record = RecordSet {
        set_identifier: "primary".to_owned(),
        routing: Routing::Failover(FailoverRole::Primary),
        health_check: Some(check.id),
        ..record(&zone, "record-set-by-failover.example", RecordType::Txt, values(&["\"one\"", "\"two\""]))
    };
    Example::new(graph, &global(), record)?
        .again(Again::Taken)
        .change(|record: &mut RecordSet| record.routing = Routing::Failover(FailoverRole::Secondary))
}

/// A record that somebody else adds to a zone.
async fn put(access: &Access, zone: &str, action: ChangeAction, name: &str, value: &str) -> Result<()> {
    let value = ResourceRecord::builder().value(value).build().explain()?;
    let record = ResourceRecordSet::builder().name(name).r#type(RrType::A).ttl(60).resource_records(value);
    let change = Change::builder().action(action).resource_record_set(record.build().explain()?).build().explain()?;
    let batch = ChangeBatch::builder().changes(change).build().explain()?;
    let cx = access.cx(&global());
    let call = cx.route53().change_resource_record_sets().hosted_zone_id(zone).change_batch(batch);
    call.send().await.explain().map(drop)
}

#[tokio::test]
async fn a_record_that_answers_something_else_is_not_ours_and_keeps_its_zone() -> Result<()> {
    let access = access().await?;
    let aws = Aws::new(access.clone());
    let domain = "taken.example";
    let (zone_site, zone) = (site(&global(), HostedZone::KIND, "taken")?, form(&zone_args(domain))?);
    let id = aws.create(&zone_site, &zone).await?;
    put(&access, &id, ChangeAction::Create, domain, "192.0.2.1").await?;

    let site = site(&global(), RecordSet::KIND, "taken")?;
    let record = |value: &str, ttl| {
        form(&json!({
            "zone": id, "name": domain, "record_type": "A", "set_identifier": "", "routing": "simple",
            "answer": { "values": { "ttl": ttl, "values": [value] } }, "health_check": null,
        }))
    };
    let class = |error: payinfra_engine::Error| error.class();
    let ours = record("192.0.2.2", 60)?;
    assert_eq!(aws.create(&site, &ours).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&site, &ours).await.map_err(class), Err(Class::Foreign));
    // With an intent of ours, an existing record with the same values is ours; only its routing may differ.
    let same = record("192.0.2.1", 300)?;
    assert_eq!(aws.recover(&site, &same).await?.as_deref(), Some(&*format!("{id} {domain} A")));

    let seen = aws.read(&global(), HostedZone::KIND, std::slice::from_ref(&id)).await?.pop().need("HostedZone")?;
    let error = aws.delete(&zone_site, &seen).await.err().need("an error")?;
    assert_eq!(error.class(), Class::Failed);
    assert_eq!(error.message(), "the zone `taken.example` holds records that are not ours: taken.example A");
    put(&access, &id, ChangeAction::Delete, domain, "192.0.2.1").await?;
    aws.delete(&zone_site, &seen).await
}

#[tokio::test]
async fn a_record_is_removed_as_it_is_and_not_as_it_was() -> Result<()> {
    let access = access().await?;
    let aws = Aws::new(access.clone());
    let domain = "changed.example";
    let (zone_site, zone) = (site(&global(), HostedZone::KIND, "changed")?, form(&zone_args(domain))?);
    let id = aws.create(&zone_site, &zone).await?;
    let site = site(&global(), RecordSet::KIND, "changed")?;
    put(&access, &id, ChangeAction::Create, domain, "192.0.2.1").await?;
    let record = [format!("{id} {domain} A")];
    let seen = aws.read(&global(), RecordSet::KIND, &record).await?.pop().need("RecordSet")?;
    put(&access, &id, ChangeAction::Upsert, domain, "192.0.2.2").await?;
    aws.delete(&site, &seen).await?;
    assert_eq!(aws.read(&global(), RecordSet::KIND, &record).await?, []);
    aws.delete(&site, &seen).await?;
    let seen = aws.read(&global(), HostedZone::KIND, &[id]).await?.pop().need("HostedZone")?;
    aws.delete(&zone_site, &seen).await
}

#[tokio::test]
async fn a_zone_that_is_not_there_or_not_the_only_one_is_told() -> Result<()> {
    let access = access().await?;
    let aws = Aws::new(access.clone());
    let name = "several.example";
    let find = async || {
        let args = form(&Zone { name: DnsName::new(name) })?;
        Ok::<_, payinfra_engine::Error>(aws.find(&global(), Zone::KIND, &args).await.map_err(|error| error.to_string()))
    };
    let none = "there is no public hosted zone `several.example` in this account";
    assert_eq!(find().await?, Err(none.to_owned()));
    let mut ids = BTreeSet::new();
    for reference in ["several-1", "several-2"] {
        let cx = access.cx(&global());
        let call = cx.route53().create_hosted_zone().name(name).caller_reference(reference);
        let zone = call.send().await.explain()?.hosted_zone.need("HostedZone")?;
        ids.insert(zone.id.trim_start_matches("/hostedzone/").to_owned());
    }
    let told = find().await?.err().need("an error")?;
    assert!(ids.iter().all(|id| told.contains(id)), "{told}");
    for id in ids {
        access.cx(&global()).route53().delete_hosted_zone().id(id).send().await.explain()?;
    }
    Ok(())
}

/// A create ends without waiting, and says what to set where; nothing is written before the delegation is seen.
#[tokio::test]
async fn a_zone_that_is_not_delegated_says_what_to_set() -> Result<()> {
    let started = Emulator::builder().strict(true).start().await;
    let emulator = started.map_err(|error| Error::failed(error.to_string()))?;
    let access = Access::emulated(&emulator.endpoint()).await?;
    let aws = Aws::new(access.clone());
    let name = "pay.bank.test";
    let zone = aws.create(&site(&global(), HostedZone::KIND, "later")?, &form(&zone_args(name))?).await?;
    let seen = aws.read(&global(), HostedZone::KIND, std::slice::from_ref(&zone)).await?.pop().need("HostedZone")?;
    let servers: Vec<&str> =
        seen.outputs["name_servers"].as_array().into_iter().flatten().filter_map(|server| server.as_str()).collect();
    assert_eq!(servers.len(), 4);
    let site = site(&global(), Delegation::KIND, "later")?;
    let args = |name_servers: &[&str]| {
        form(&json!({ "zone": zone, "name": name, "name_servers": name_servers, "resolver": emulator.resolver() }))
    };
    let told = async |name_servers: &[&str]| {
        let error = aws.create(&site, &args(name_servers)?).await.err().need("an error")?;
        let hint = error.get_hint().unwrap_or_default().to_owned();
        Ok::<_, Error>((error.class(), error.message().to_owned(), hint))
    };
    let set = |servers: &[&str]| {
        format!(
            "set the NS records of `{name}` in its parent domain, or at its registrar, to {}; then run the same command again",
            servers.join(", ")
        )
    };
    let message = "`pay.bank.test` is not delegated to its hosted zone: public DNS has no NS records";
    assert_eq!(told(&servers).await?, (Class::Failed, message.to_owned(), set(&servers)));
    assert_eq!(aws.recover(&site, &args(&servers)?).await?, None);

    emulator.delegate(name);
    let message = format!("`{name}` is delegated to other name servers: {}", servers.join(", "));
    assert_eq!(told(&["ns-1.old.test"]).await?, (Class::Failed, message, set(&["ns-1.old.test"])));
    let id = aws.create(&site, &args(&servers)?).await?;
    assert_eq!(aws.recover(&site, &args(&servers)?).await?, Some(id));
    Ok(())
}

#[tokio::test]
async fn many_health_checks_are_read_as_few_are() -> Result<()> {
    let aws = Aws::new(access().await?);
    let (mut ids, mut apart) = (Vec::new(), Vec::new());
    for name in ["check-1", "check-2", "check-3"] {
        let site = site(&global(), HealthCheck::KIND, name)?;
        let id = aws.create(&site, &form(&check_args(&format!("{name}.example")))?).await?;
        apart.extend(aws.read(&global(), HealthCheck::KIND, std::slice::from_ref(&id)).await?);
        ids.push(id);
    }
    ids.push("00000000-0000-0000-0000-000000000000".to_owned());
    let mut together = aws.read(&global(), HealthCheck::KIND, &ids).await?;
    together.sort_by_key(|seen| ids.iter().position(|id| *id == seen.id));
    assert_eq!(together, apart);
    let site = site(&global(), HealthCheck::KIND, "check-1")?;
    for seen in apart {
        aws.delete(&site, &seen).await?;
    }
    Ok(())
}
