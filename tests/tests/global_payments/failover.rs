//! Failover: while the primary region cannot take payments, the name of the API leads to the secondary one.

use std::collections::BTreeSet;

use aws_sdk_route53::types::{HealthCheckConfig, ResourceRecordSet, ResourceRecordSetFailover, RrType};
use payinfra_localstack::{ACCOUNT_ID, Fault, Match, Rule};
use payinfra_tests::api::Api;
use payinfra_tests::load::{Counts, Ledger};
use tokio::task::block_in_place;

use crate::{EXAMPLE, Running, STRONG};

/// A zone of the stack, with failover records.
const DOMAIN: &str =
    "[defaults.domain]\nzone = \"payments.test-bank.com\"\ncreate_zone = true\nrouting = \"failover\"\n";

/// What Route 53's health checkers and name servers do: they read the configuration from AWS, and send the requests of the
/// health checks to the APIs.
async fn resolve<'a>(running: &'a Running, name: &str) -> &'a Api {
    let route53 = aws_sdk_route53::Client::new(&running.bench.sdk("us-east-1"));
    let zones = route53.list_hosted_zones().send().await.unwrap();
    let zone = zones.hosted_zones().iter().find(|zone| name.ends_with(zone.name().trim_end_matches('.'))).unwrap();
    let records = route53.list_resource_record_sets().hosted_zone_id(zone.id()).send().await.unwrap();
    let of = |record: &&ResourceRecordSet| record.name().trim_end_matches('.') == name && record.r#type() == &RrType::A;
    let mut records: Vec<_> = records.resource_record_sets().iter().filter(of).collect();
    records.sort_by_key(|record| record.failover() != Some(&ResourceRecordSetFailover::Primary));
    assert_eq!(records.len(), 2, "{records:?}");
    let mut healthy = None;
    for record in &records {
        let id = record.health_check_id().unwrap();
        let check = route53.get_health_check().health_check_id(id).send().await.unwrap().health_check.unwrap();
        if healthy.is_none() && is_healthy(running, check.health_check_config().unwrap()) {
            healthy = Some(record);
        }
    }
    // If no record is healthy, Route 53 answers with the primary one.
    let target = healthy.unwrap_or(&records[0]).alias_target().unwrap().dns_name();
    running.apis.iter().find(|api| target.contains(&format!(".{}.", api.region))).unwrap()
}

/// Whether an API responds to one of the requests of a health check: it is unhealthy after as many failures in a row as its
/// threshold.
fn is_healthy(running: &Running, check: &HealthCheckConfig) -> bool {
    let (host, path) = (check.fully_qualified_domain_name().unwrap(), check.resource_path().unwrap());
    let api = running.apis.iter().find(|api| api.host == host).unwrap();
    (0..check.failure_threshold().unwrap()).any(|_| (200..400).contains(&api.get_path(path).status))
}

/// G-02, G-12: the table of the primary region fails, then its function too; payments go on in the secondary region, and
/// later in the primary one; none is lost or doubled.
#[tokio::test(flavor = "multi_thread")]
async fn g02_g12_payments_go_on_in_the_secondary_region_and_come_back() {
    for without in fails_over("").await {
        // The ids that belong to the primary region have to wait: no other region can know whether they are new.
        assert!(without.accepted > 2 && without.failed > 0, "{without:?}");
    }
}

/// G-04, G-12: the same with strong consistency, where every region accepts every id.
#[tokio::test(flavor = "multi_thread")]
async fn g04_g12_with_strong_consistency_all_payments_go_on_in_the_secondary_region() {
    for without in fails_over(STRONG).await {
        assert!(without.accepted > 10 && without.failed == 0, "{without:?}");
    }
}

/// Sends payments before, during and after failures of the primary region, and audits them. Returns what became of those
/// that were sent during the failures.
async fn fails_over(table: &str) -> [Counts; 2] {
    let added = format!("{DOMAIN}\n{table}\n[workspaces.dev]");
    let running = Running::start(&EXAMPLE.replace("[workspaces.dev]", &added)).await;
    let name = running.output("service_domain", "us-east-1").to_owned();
    let ledger = Ledger::default();
    let send = async |expected: &str| {
        let api = resolve(&running, &name).await;
        assert_eq!(api.region, expected);
        block_in_place(|| ledger.send(std::slice::from_ref(api), 8, 3))
    };
    assert!(send("us-east-1").await.accepted > 10);

    let down = Match { access_key: Some(ACCOUNT_ID.to_owned()), ..Match::action("dynamodb", "*") }.region("us-east-1");
    running.bench.aws.faults([Rule { matches: down, fault: Fault::Error { status: 500 } }]);
    let without_table = send("us-west-2").await;
    let lambda = aws_sdk_lambda::Client::new(&running.bench.sdk("us-east-1"));
    let function = running.output("processor_function_name", "us-east-1");
    let stop = lambda.put_function_concurrency().function_name(function).reserved_concurrent_executions(0);
    stop.send().await.unwrap();
    let without_function = send("us-west-2").await;

    running.bench.aws.clear_faults();
    lambda.delete_function_concurrency().function_name(function).send().await.unwrap();
    assert!(send("us-east-1").await.accepted > 10);
    let problems = ledger.audit(&running.bench, &running.places()).await;
    assert!(problems.is_empty(), "{problems:#?}");
    [without_table, without_function]
}

/// M-26, G-02: with weighted records, `traffic` shifts payments from the primary to the secondary region in steps. The plan is
/// empty afterwards, and a gate that does not hold changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn m26_g02_traffic_is_shifted_between_the_regions() {
    let domain = DOMAIN.replace("\"failover\"", "\"weighted\"");
    let running = Running::start(&EXAMPLE.replace("[workspaces.dev]", &format!("{domain}\n[workspaces.dev]"))).await;
    let bench = &running.bench;
    let name = running.output("service_domain", "us-east-1").to_owned();
    let weights = async || {
        let route53 = aws_sdk_route53::Client::new(&bench.sdk("us-east-1"));
        let zones = route53.list_hosted_zones().send().await.unwrap();
        let zone = zones.hosted_zones().iter().find(|zone| name.ends_with(zone.name().trim_end_matches('.'))).unwrap();
        let records = route53.list_resource_record_sets().hosted_zone_id(zone.id()).send().await.unwrap();
        let records = records.resource_record_sets().iter().filter(|record| record.r#type() == &RrType::A);
        let weights = records.map(|record| (record.set_identifier().unwrap().to_owned(), record.weight()));
        weights.map(|(region, weight)| format!("{region} {}", weight.unwrap())).collect::<BTreeSet<_>>()
    };
    assert_eq!(weights().await, ["us-east-1 100", "us-west-2 0"].map(str::to_owned).into());
    let shift = ["traffic", "--weights", "us-east-1=50,us-west-2=50", "--step", "25", "--every", "0s", "--yes"];
    bench.run(&[&shift[..], &["--gate", "command:false"]].concat()).expect(1);
    assert_eq!(weights().await, ["us-east-1 100", "us-west-2 0"].map(str::to_owned).into());
    bench.run(&shift).ok();
    assert_eq!(weights().await, ["us-east-1 50", "us-west-2 50"].map(str::to_owned).into());
    bench.run(&["plan", "--exit-code"]).ok();
    bench.run(&["apply", "--yes"]).ok();
    assert_eq!(weights().await, ["us-east-1 50", "us-west-2 50"].map(str::to_owned).into());
}
