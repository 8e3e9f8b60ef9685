//! Switchover and failover of Aurora global databases.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all shared items are used here")]

mod support;

use payinfra_localstack::{Emulator, Silence};
use support::{Answer, Aws, region::cluster};

const EAST: &str = "us-east-1";
const WEST: &str = "us-west-2";
const GLOBAL: &str = "GlobalClusterIdentifier=world";

/// Changes take longer than any test; [`skip`] completes them.
const SCALE: f64 = 0.5;

async fn start() -> (Emulator, Aws) {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    aws.global_database(&[EAST, WEST]).await;
    (emulator, aws)
}

/// Completes all changes in progress.
fn skip(emulator: &Emulator) {
    emulator.set_latency_scale(None);
    emulator.set_latency_scale(Some(SCALE));
}

/// The region of the writer, and its readers' ARNs.
async fn writer(aws: &Aws) -> (String, String) {
    let described = aws.rds(WEST, &format!("DescribeGlobalClusters&{GLOBAL}")).await;
    let members = described.body.split("<GlobalClusterMember>").skip(1);
    let writers: Vec<_> = members.filter(|member| member.contains("<IsWriter>true</IsWriter>")).collect();
    assert_eq!(writers.len(), 1, "{described:?}");
    let value = |element: &str| {
        let (_, rest) = writers[0].split_once(&format!("<{element}>")).unwrap();
        rest.split_once(&format!("</{element}>")).unwrap().0.to_owned()
    };
    (value("DBClusterArn").split(':').nth(3).unwrap().to_owned(), value("Readers"))
}

/// The status and the state of the failover.
async fn status(aws: &Aws) -> (String, Option<String>) {
    let described = aws.rds(EAST, &format!("DescribeGlobalClusters&{GLOBAL}")).await;
    let state =
        described.body.split_once("<FailoverState>").map(|(_, rest)| rest.split_once("</FailoverState>").unwrap().0);
    let state = state.and_then(|state| Some(state.split_once("<Status>")?.1.split_once('<')?.0.to_owned()));
    // The members have no status.
    let own = described.body.replace(
        &described.body
            [described.body.find("<FailoverState>").unwrap_or(0)..described.body.find("</FailoverState>").unwrap_or(0)],
        "",
    );
    let own = own.split_once("<Status>").unwrap().1.split_once('<').unwrap().0.to_owned();
    (own, state)
}

fn switchover(region: &str) -> String {
    format!("SwitchoverGlobalCluster&{GLOBAL}&TargetDbClusterIdentifier={}", cluster(region))
}

fn failover(region: &str) -> String {
    format!("FailoverGlobalCluster&{GLOBAL}&TargetDbClusterIdentifier={}", cluster(region))
}

fn code(answer: &Answer) -> &str {
    answer.code().unwrap_or_default()
}

#[tokio::test]
async fn a_switchover_exchanges_the_roles() {
    let (emulator, aws) = start().await;
    emulator.set_latency_scale(Some(SCALE));
    assert_eq!(writer(&aws).await.0, EAST);
    let endpoint = |region: &'static str| {
        let aws = &aws;
        async move {
            let described = aws.rds(region, &format!("DescribeDBClusterEndpoints&DBClusterIdentifier={region}")).await;
            let writer = described.body.split("<DBClusterEndpointList>").find(|entry| entry.contains("WRITER"));
            writer.unwrap().split_once("<Status>").unwrap().1.split_once('<').unwrap().0.to_owned()
        }
    };
    assert_eq!((endpoint(EAST).await.as_str(), endpoint(WEST).await.as_str()), ("available", "inactive"));

    // The identifier is not case-sensitive.
    let started = aws.rds(EAST, &switchover(WEST).replace("world", "World")).await;
    assert_eq!(started.value("FromDbClusterArn"), Some(cluster(EAST).as_str()), "{started:?}");
    assert_eq!(started.value("ToDbClusterArn"), Some(cluster(WEST).as_str()));
    assert_eq!(started.value("IsDataLossAllowed"), Some("false"));
    assert_eq!(status(&aws).await, ("switching-over".to_owned(), Some("pending".to_owned())));
    assert_eq!(writer(&aws).await.0, EAST);
    // Meanwhile, neither the global cluster nor its members can be changed.
    assert_eq!(code(&aws.rds(EAST, &switchover(WEST)).await), "InvalidGlobalClusterStateFault");
    let remove = format!("RemoveFromGlobalCluster&{GLOBAL}&DbClusterIdentifier={}", cluster(WEST));
    assert_eq!(code(&aws.rds(WEST, &remove).await), "InvalidGlobalClusterStateFault");
    let modify = format!("ModifyDBCluster&DBClusterIdentifier={EAST}&BackupRetentionPeriod=7&ApplyImmediately=true");
    assert_eq!(code(&aws.rds(EAST, &modify).await), "InvalidDBClusterStateFault");

    skip(&emulator);
    assert_eq!(status(&aws).await, ("available".to_owned(), None));
    let (region, readers) = writer(&aws).await;
    assert_eq!(region, WEST);
    assert!(readers.contains(&cluster(EAST)), "{readers}");
    assert_eq!((endpoint(EAST).await.as_str(), endpoint(WEST).await.as_str()), ("inactive", "available"));
    // All instances of a secondary are readers.
    for (region, writers) in [(EAST, 0), (WEST, 1)] {
        let described = aws.rds(region, &format!("DescribeDBClusters&DBClusterIdentifier={region}")).await;
        assert_eq!(described.body.matches("<IsClusterWriter>true<").count(), writers, "{described:?}");
    }
    // And back.
    emulator.set_latency_scale(None);
    aws.rds(EAST, &switchover(EAST)).await;
    assert_eq!(writer(&aws).await.0, EAST);
}

#[tokio::test]
async fn a_failover_does_not_need_the_primary() {
    let (emulator, aws) = start().await;
    emulator.set_outage(EAST, Some(Silence::Reset));
    // A switchover does.
    assert_eq!(code(&aws.rds(WEST, &switchover(WEST)).await), "InvalidDBClusterStateFault");
    assert_eq!(code(&aws.rds(WEST, &failover(WEST)).await), "InvalidDBClusterStateFault");
    assert_eq!(
        code(&aws.rds(WEST, &format!("{}&Switchover=true", failover(WEST))).await),
        "InvalidDBClusterStateFault"
    );

    emulator.set_latency_scale(Some(SCALE));
    let started = aws.rds(WEST, &format!("{}&AllowDataLoss=true", failover(WEST))).await;
    assert_eq!(started.value("IsDataLossAllowed"), Some("true"), "{started:?}");
    emulator.set_latency_scale(None);
    assert_eq!(writer(&aws).await.0, WEST);
    let synchronized = async || {
        let described = aws.rds(WEST, "DescribeGlobalClusters").await;
        described.body.matches("<SynchronizationStatus>connected<").count()
    };
    assert_eq!(synchronized().await, 1);
    emulator.set_outage(EAST, None);
    assert_eq!(synchronized().await, 2);
    assert_eq!(status(&aws).await, ("available".to_owned(), None));
}

#[tokio::test]
async fn what_cannot_be_promoted_is_rejected() {
    let (_emulator, aws) = start().await;
    let unknown = switchover(WEST).replace("world", "other");
    assert_eq!(code(&aws.rds(EAST, &unknown).await), "GlobalClusterNotFoundFault");
    assert_eq!(code(&aws.rds(EAST, &switchover("us-east-2")).await), "DBClusterNotFoundFault");
    assert_eq!(code(&aws.rds(EAST, &switchover(EAST)).await), "InvalidDBClusterStateFault");
    let both = format!("{}&AllowDataLoss=true&Switchover=true", failover(WEST));
    assert_eq!(code(&aws.rds(EAST, &both).await), "InvalidParameterCombination");
    // A cluster without an instance has nothing that could become the writer.
    aws.rds(WEST, &format!("DeleteDBInstance&DBInstanceIdentifier={WEST}-1&SkipFinalSnapshot=true")).await;
    assert_eq!(code(&aws.rds(EAST, &switchover(WEST)).await), "InvalidDBClusterStateFault");
    assert_eq!(writer(&aws).await.0, EAST);
}
