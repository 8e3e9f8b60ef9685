//! Domain names, certificates and traffic weights.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus, ValidationMethod};
use aws_sdk_elasticloadbalancingv2::types::LoadBalancer;
use aws_sdk_route53::types::{
    HealthCheck, HealthCheckType, ResourceRecordSet, ResourceRecordSetFailover, RrType, TagResourceType,
};
use payinfra_tests::Bench;

use crate::{SIDES, migration};

const ZONE: &str = "payments.test";

fn route53(bench: &Bench) -> aws_sdk_route53::Client {
    aws_sdk_route53::Client::new(&bench.sdk("us-east-1"))
}

fn acm(bench: &Bench, region: &str) -> aws_sdk_acm::Client {
    aws_sdk_acm::Client::new(&bench.sdk(region))
}

/// The domain name of the service of `workspace`.
fn service(workspace: &str) -> String {
    format!("payment-api-{workspace}-demo1.{ZONE}")
}

/// All record sets of the only zone.
async fn records(bench: &Bench) -> Vec<ResourceRecordSet> {
    let zones = route53(bench).list_hosted_zones().send().await.unwrap();
    let [zone] = zones.hosted_zones() else { panic!("{zones:?}") };
    assert_eq!(zone.name(), format!("{ZONE}."));
    let records = route53(bench).list_resource_record_sets().hosted_zone_id(zone.id()).send().await.unwrap();
    records.resource_record_sets
}

/// The records of the service by their set identifier, the region.
async fn addresses(bench: &Bench, workspace: &str) -> BTreeMap<String, ResourceRecordSet> {
    let name = format!("{}.", service(workspace));
    let records = records(bench).await.into_iter().filter(|record| record.name == name);
    records.map(|record| (record.set_identifier.clone().unwrap(), record)).collect()
}

async fn balancer(bench: &Bench, region: &str) -> LoadBalancer {
    let elbv2 = aws_sdk_elasticloadbalancingv2::Client::new(&bench.sdk(region));
    let found = elbv2.describe_load_balancers().send().await.unwrap();
    let [balancer] = found.load_balancers() else { panic!("{found:?}") };
    balancer.clone()
}

async fn health_check(bench: &Bench, record: &ResourceRecordSet) -> HealthCheck {
    let call = route53(bench).get_health_check().health_check_id(record.health_check_id().unwrap());
    call.send().await.unwrap().health_check.unwrap()
}

/// M-25: one weighted record per region, an alias of the region's load balancer, with a health check.
#[tokio::test(flavor = "multi_thread")]
async fn m25_each_region_answers_by_its_weight_while_it_is_healthy() {
    let bench = migration().await;
    let addresses = addresses(bench, "migration").await;
    let weights: Vec<_> = addresses.iter().map(|(region, record)| (region.as_str(), record.weight())).collect();
    assert_eq!(weights, [("us-east-1", Some(90)), ("us-east-2", Some(10))]);
    for (region, ..) in SIDES {
        let (record, balancer) = (&addresses[region], balancer(bench, region).await);
        let host = balancer.dns_name().unwrap();
        assert_eq!((record.r#type(), record.failover()), (&RrType::A, None::<&ResourceRecordSetFailover>));
        let alias = record.alias_target().unwrap();
        assert_eq!(alias.dns_name().trim_end_matches('.'), host.to_lowercase());
        assert_eq!(Some(alias.hosted_zone_id()), balancer.canonical_hosted_zone_id());
        assert!(alias.evaluate_target_health());

        let check = health_check(bench, record).await;
        let config = check.health_check_config().unwrap();
        assert_eq!((config.r#type(), config.port()), (&HealthCheckType::Https, Some(443)));
        assert_eq!(config.fully_qualified_domain_name(), Some(&*host.to_lowercase()));
        assert_eq!((config.resource_path(), config.enable_sni()), (Some("/health"), Some(true)));
        assert_eq!((config.request_interval(), config.failure_threshold()), (Some(10), Some(3)));
        let call = route53(bench).list_tags_for_resource().resource_type(TagResourceType::Healthcheck);
        let tags = call.resource_id(check.id()).send().await.unwrap().resource_tag_set.unwrap();
        let phase = tags.tags().iter().find(|tag| tag.key() == Some("MigrationPhase"));
        assert_eq!(phase.unwrap().value(), Some("migration"));
    }
    let outputs = bench.outputs("migration");
    assert_eq!(outputs["service_domain"], service("migration"));
    assert_eq!(outputs["health_check_id_us_east_2"], addresses["us-east-2"].health_check_id().unwrap());
    let zone = outputs["zone_id"].as_str().unwrap();
    let zone = route53(bench).get_hosted_zone().id(zone).send().await.unwrap();
    let mut servers = zone.delegation_set().unwrap().name_servers().to_vec();
    servers.sort();
    assert_eq!(outputs["name_servers"], servers.join(","));
}

/// M-25, M-02: in the phase legacy the primary region gets all traffic, and the next phase only adds the other one.
#[tokio::test(flavor = "multi_thread")]
async fn m25_m02_the_second_region_is_added_beside_the_first() {
    let bench = Bench::new().await;
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    let before = addresses(&bench, "legacy").await;
    assert_eq!(
        before.iter().map(|(region, record)| (&**region, record.weight())).collect::<Vec<_>>(),
        [("us-east-1", Some(100))]
    );
    let mut file: toml::Table = bench.configuration().parse().unwrap();
    let workspace = file["workspaces"]["legacy"].as_table_mut().unwrap();
    workspace.insert("phase".to_owned(), "migration".into());
    bench.configure(&file.to_string());
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    let after = addresses(&bench, "legacy").await;
    let weights: Vec<_> = after.iter().map(|(region, record)| (&**region, record.weight())).collect();
    assert_eq!(weights, [("us-east-1", Some(90)), ("us-east-2", Some(10))]);
    let (before, after) = (&before["us-east-1"], &after["us-east-1"]);
    assert_eq!((before.alias_target(), before.health_check_id()), (after.alias_target(), after.health_check_id()));
}

async fn certificates(bench: &Bench, region: &str) -> Vec<CertificateDetail> {
    let acm = acm(bench, region);
    let mut found = Vec::new();
    for summary in acm.list_certificates().send().await.unwrap().certificate_summary_list() {
        let call = acm.describe_certificate().certificate_arn(summary.certificate_arn().unwrap());
        found.push(call.send().await.unwrap().certificate.unwrap());
    }
    found
}

/// M-16: each region has an issued certificate for the service, and the zone has one record that validates all of them.
#[tokio::test(flavor = "multi_thread")]
async fn m16_certificates_are_requested_and_validated_through_the_zone() {
    let bench = migration().await;
    let records = records(bench).await;
    let records: Vec<_> = records.iter().filter(|record| record.r#type() == &RrType::Cname).collect();
    let [record] = records[..] else { panic!("{records:?}") };
    for (region, ..) in SIDES {
        let certificates = certificates(bench, region).await;
        let [certificate] = &certificates[..] else { panic!("{certificates:?}") };
        assert_eq!(certificate.status(), Some(&CertificateStatus::Issued));
        assert_eq!(certificate.domain_name(), Some(&*service("migration")));
        let [option] = certificate.domain_validation_options() else { panic!("{certificate:?}") };
        assert_eq!(option.validation_method(), Some(&ValidationMethod::Dns));
        let wanted = option.resource_record().unwrap();
        assert_eq!(record.name(), wanted.name());
        assert_eq!(record.resource_records()[0].value().trim_end_matches('.'), wanted.value().trim_end_matches('.'));
        let arn = certificate.certificate_arn().unwrap();
        assert_eq!(bench.outputs("migration")[format!("certificate_arn_{}", region.replace('-', "_"))], arn);
        let tags = acm(bench, region).list_tags_for_certificate().certificate_arn(arn).send().await.unwrap();
        assert!(tags.tags().iter().any(|tag| tag.key() == "MigrationPhase" && tag.value() == Some("migration")));
    }
}

/// An existing certificate for `domain`.
async fn requested(bench: &Bench, region: &str, domain: &str) -> String {
    let call = acm(bench, region).request_certificate().domain_name(domain).validation_method(ValidationMethod::Dns);
    call.send().await.unwrap().certificate_arn.unwrap()
}

/// The same, once it is issued: outside of its zones, the emulator does that after a second.
async fn issued(bench: &Bench, region: &str, domain: &str) -> String {
    let arn = requested(bench, region, domain).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        let call = acm(bench, region).describe_certificate().certificate_arn(&arn);
        if call.send().await.unwrap().certificate().unwrap().status() == Some(&CertificateStatus::Issued) {
            return arn;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{arn} is not issued");
}

async fn zone(bench: &Bench, name: &str, reference: &str) {
    route53(bench).create_hosted_zone().name(name).caller_reference(reference).send().await.unwrap();
}

/// The section `[defaults.domain]` with other lines, and the usual zone if they name none.
fn configure(bench: &Bench, domain: &str) {
    let mut file: toml::Table = bench.configuration().parse().unwrap();
    let mut domain: toml::Table = domain.parse().unwrap();
    domain.entry("zone").or_insert_with(|| ZONE.into());
    file["defaults"].as_table_mut().unwrap().insert("domain".to_owned(), domain.into());
    bench.configure(&file.to_string());
}

/// M-16, M-25: an existing zone and certificate are used, and kept when everything else is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn m16_m25_a_zone_and_a_certificate_by_variable_are_used_and_left_alone() {
    let bench = Bench::new().await;
    let arn = issued(&bench, "us-east-1", &format!("*.{ZONE}")).await;
    zone(&bench, ZONE, "long ago").await;
    let before = bench.inventory().await;
    configure(&bench, &format!("zone = \"{ZONE}\"\ncreate_zone = false\ncertificates = {{ us-east-1 = \"{arn}\" }}"));
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    let found: Vec<_> = certificates(&bench, "us-east-1").await.into_iter().map(|it| it.certificate_arn).collect();
    assert_eq!(found, [Some(arn.clone())], "nothing is requested");
    assert_eq!(bench.outputs("legacy")["certificate_arn_us_east_1"], arn);
    assert_eq!(addresses(&bench, "legacy").await.len(), 1);
    assert!(records(&bench).await.iter().all(|record| record.r#type() != &RrType::Cname));
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
    bench.run(&["destroy", "--workspace", "legacy", "--yes", "--accept-loss"]).ok();
    assert_eq!(bench.inventory().await, before);
}

/// Checks that plan and apply end with 1 and one message that contains all of `told`, and that nothing has changed.
#[track_caller]
fn refused(bench: &Bench, workspace: &str, told: &[&str]) {
    for args in [&["plan", "--workspace", workspace][..], &["apply", "--workspace", workspace, "--yes"]] {
        bench.aws.clear_calls();
        let outcome = bench.run(args).expect(1);
        for told in told {
            assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
        }
        assert_eq!(outcome.stderr.matches("help:").count(), 1, "{}", outcome.stderr);
        let changed: Vec<_> = bench.aws.calls().into_iter().filter(|call| call.mutating).collect();
        assert!(changed.is_empty(), "{changed:#?}");
    }
}

/// M-16: a certificate that the load balancer could not use is an error before anything is created.
#[tokio::test(flavor = "multi_thread")]
async fn m16_a_certificate_that_does_not_fit_is_refused() {
    let bench = Bench::new().await;
    let other = issued(&bench, "us-east-1", "*.example.org").await;
    zone(&bench, ZONE, "mine").await;
    let pending = requested(&bench, "us-east-1", &format!("*.{ZONE}")).await;
    let elsewhere = requested(&bench, "us-east-2", &format!("*.{ZONE}")).await;
    let gone = format!("{}/{}", pending.split_once('/').unwrap().0, "00000000-0000-0000-0000-000000000000");
    for (arn, told) in [
        (&*other, &["is not valid for payment-api-legacy-demo1.payments.test, only for *.example.org"][..]),
        (&pending, &["is not issued: its status is PENDING_VALIDATION"]),
        (&elsewhere, &["us-east-1", "us-east-2", "use a certificate in the same region"]),
        (&gone, &["not found in us-east-1", "nothing is created"]),
        ("arn:aws:iam::123456789012:server-certificate/a", &["is not the ARN of a certificate"]),
    ] {
        configure(&bench, &format!("certificates = {{ us-east-1 = \"{arn}\" }}"));
        refused(&bench, "legacy", told);
    }
    let west = other.replace("us-east-1", "us-west-2");
    configure(&bench, &format!("certificates = {{ us-west-2 = \"{west}\" }}"));
    refused(&bench, "legacy", &["us-west-2", "not listed in `regions`"]);
}

/// M-25: a missing, ambiguous or invalid zone is an error before anything is created.
#[tokio::test(flavor = "multi_thread")]
async fn m25_a_zone_that_does_not_exist_is_refused() {
    let bench = Bench::new().await;
    configure(&bench, "create_zone = false");
    refused(&bench, "legacy", &["there is no public hosted zone `payments.test`", "create_zone = true"]);
    zone(&bench, ZONE, "one").await;
    zone(&bench, ZONE, "two").await;
    refused(&bench, "legacy", &["ambiguous zone"]);
    for name in ["localhost", "pay ments.example.com", "-a.payments.test", "a..payments.test"] {
        configure(&bench, &format!("zone = \"{name}\""));
        refused(&bench, "legacy", &["is not a domain", name]);
    }
}

/// M-25: invalid weights are an error before anything is created.
#[tokio::test(flavor = "multi_thread")]
async fn m25_weights_that_mean_nothing_are_refused() {
    let bench = Bench::new().await;
    let whole = bench.configuration();
    let weights = "weights = { us-east-1 = 90, us-east-2 = 10 }";
    for (given, told) in [
        ("{ us-east-1 = 0, us-east-2 = 0 }", "the weights add up to 0"),
        ("{ us-east-1 = 90, us-east-2 = 20 }", "the weights add up to 110"),
        ("{ us-east-1 = 90, us-west-2 = 10 }", "`us-west-2` has a weight, but is not listed in `regions`"),
        ("{ us-east-1 = 300, us-east-2 = 10 }", "300"),
        ("{ us-east-1 = -1, us-east-2 = 101 }", "-1"),
    ] {
        assert!(whole.contains(weights));
        bench.configure(&whole.replace(weights, &format!("weights = {given}")));
        bench.aws.clear_calls();
        let outcome = bench.run(&["apply", "--workspace", "migration", "--yes"]).expect(1);
        assert!(outcome.stderr.contains(told), "`{told}` is not in:\n{}", outcome.stderr);
        assert!(bench.aws.calls().iter().all(|call| !call.mutating));
    }
}
