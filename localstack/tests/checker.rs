//! The invariant checker: a right account has no violations, and each rule finds the call that breaks it.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all shared items are used here")]

mod support;

use std::time::{Duration, Instant};

use payinfra_localstack::{Checks, Emulator, Fault, Match, Rule, Silence, Violation, When};
use serde_json::json;
use support::{Aws, region::Region, region::cluster};

const EAST: &str = "us-east-1";
const WEST: &str = "us-west-2";
const NAME: &str = "api.example.com";

/// The account of a service in two regions.
struct Service<'a> {
    emulator: &'a Emulator,
    aws: &'a Aws,
    east: Region<'a>,
    west: Region<'a>,
    zone: String,
}

impl<'a> Service<'a> {
    /// Both regions run two tasks in their blue groups and have weighted records with health checks.
    async fn new(emulator: &'a Emulator, aws: &'a Aws) -> Self {
        let service = Self::without_records(emulator, aws).await;
        let mut changes = Vec::new();
        for region in [&service.east, &service.west] {
            let check = region.health_check().await;
            changes.push(region.record("CREATE", NAME, 50, Some(&check), true));
        }
        assert_eq!(service.change(&changes).await, None);
        service
    }

    /// The same before the records exist.
    async fn without_records(emulator: &'a Emulator, aws: &'a Aws) -> Self {
        let (east, west) = (Region::new(aws, EAST).await, Region::new(aws, WEST).await);
        for region in [&east, &west] {
            region.serve("app", &region.blue, "app:1", 2).await;
        }
        Self { emulator, aws, east, west, zone: aws.zone().await }
    }

    /// Changes records, and returns AWS's error.
    async fn change(&self, changes: &[String]) -> Option<String> {
        self.aws.change_records(&self.zone, changes).await.code().map(str::to_owned)
    }

    async fn check(&self) {
        self.emulator.check(Checks::default()).await.unwrap();
    }

    /// The operations and problems of the violations since the last `check`.
    async fn violations(&self) -> Vec<(String, String)> {
        let violations = self.emulator.violations().await.unwrap();
        violations.into_iter().map(|Violation { action, problem, .. }| (action, problem)).collect()
    }
}

fn violation(action: &str, problem: &str) -> (String, String) {
    (action.to_owned(), problem.to_owned())
}

#[tokio::test]
async fn a_move_in_the_right_order_violates_nothing() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    // From before anything exists.
    emulator.check(Checks::default()).await.unwrap();
    let service = Service::new(&emulator, &aws).await;
    let (east, west) = (&service.east, &service.west);

    // A rollout, then blue to green.
    let definition = east.definition("app:2").await;
    east.update("app", json!({ "taskDefinition": definition })).await;
    east.serve("green", &east.green, "app:3", 2).await;
    for (blue, green) in [(90, 10), (50, 50), (0, 100)] {
        east.shift(blue, green).await;
    }
    east.ecs("DeleteService", &json!({ "cluster": "cluster", "service": "app", "force": true })).await;
    // A bad image on the idle colour.
    east.serve("bad", &east.blue, "app:bad", 2).await;

    // All traffic to the west, and the east goes.
    for (weight, other) in [(25, 75), (0, 100)] {
        let changes = [east.record("UPSERT", NAME, weight, None, true), west.record("UPSERT", NAME, other, None, true)];
        assert_eq!(service.change(&changes).await, None);
    }
    assert_eq!(service.change(&[east.record("DELETE", NAME, 0, None, true)]).await, None);
    east.elb(&format!("DeleteLoadBalancer&LoadBalancerArn={}", east.balancer)).await;
    assert_eq!(service.violations().await, []);

    // In the end, everything: without a name there are no requests.
    assert_eq!(service.change(&[west.record("DELETE", NAME, 100, None, true)]).await, None);
    west.elb(&format!("DeleteLoadBalancer&LoadBalancerArn={}", west.balancer)).await;
    assert_eq!(service.violations().await, []);
}

/// The task definitions that answer requests to a region.
async fn tasks(emulator: &Emulator, region: &Region<'_>) -> Result<Vec<String>, &'static str> {
    let paths = emulator.control().paths().await.unwrap();
    let groups = paths.targets(&region.host.to_lowercase(), 80)?;
    let targets = groups.into_iter().flat_map(|(_, targets)| targets);
    Ok(targets.map(|target| target.task_definition.clone().unwrap()).collect())
}

#[tokio::test]
async fn a_client_follows_the_same_path() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let service = Service::new(&emulator, &aws).await;
    let paths = emulator.control().paths().await.unwrap();
    let answers = paths.answers(NAME).into_iter().map(|answer| (answer.balancer, answer.weight));
    let hosts = [&service.east, &service.west].map(|region| (region.host.to_lowercase(), 50));
    assert_eq!(answers.collect::<Vec<_>>(), hosts);

    // Each target has its own task definition.
    let east = &service.east;
    let first = tasks(&emulator, east).await.unwrap();
    assert_eq!((first.len(), &first[0]), (2, &first[1]));
    let definition = east.definition("app:2").await;
    east.update("app", json!({ "taskDefinition": definition })).await;
    let second = tasks(&emulator, east).await.unwrap();
    assert!(second.len() == 2 && second[0] != first[0], "{first:?} {second:?}");

    // All traffic to the group without targets.
    east.shift(0, 1).await;
    assert_eq!(tasks(&emulator, east).await, Err("no healthy target"));
    let paths = emulator.control().paths().await.unwrap();
    assert_eq!(paths.answers(NAME).len(), 1, "its health check fails");
}

#[tokio::test]
async fn before_the_first_healthy_path_nothing_is_checked() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let region = Region::new(&aws, EAST).await;
    let zone = aws.zone().await;
    emulator.check(Checks::default()).await.unwrap();
    aws.change_records(&zone, &[region.record("CREATE", NAME, 1, None, true)]).await;
    region.serve("app", &region.blue, "app:1", 1).await;
    assert_eq!(emulator.violations().await.unwrap(), []);
    // From then on it is.
    region.update("app", json!({ "desiredCount": 0 })).await;
    let violations = emulator.violations().await.unwrap();
    assert_eq!(violations.len(), 1, "{violations:?}");
    let found = &violations[0];
    assert_eq!((found.service.as_str(), found.region.as_str(), found.action.as_str()), ("ecs", EAST, "UpdateService"));
    let call = emulator.calls().into_iter().find(|call| call.sequence == found.call).unwrap();
    assert_eq!(call.action, "UpdateService");
    let expected = "requests for api.example.com (us-east-1) end at nothing: listener 80 of load balancer edge forwards \
                    to target group blue, which has no targets";
    assert_eq!(found.problem, expected);
    assert_eq!(found.to_string(), format!("after call {}, ecs:UpdateService in us-east-1: {expected}", found.call));
    // It is the same violation as long as it lasts.
    region.ecs("TagResource", &json!({ "resourceArn": region.describe("app").await["serviceArn"], "tags": [] })).await;
    assert_eq!(emulator.violations().await.unwrap().len(), 1);
    emulator.stop_checking().await.unwrap();
    region.update("app", json!({ "desiredCount": 1 })).await;
    region.update("app", json!({ "desiredCount": 0 })).await;
    assert_eq!(emulator.violations().await.unwrap(), []);
}

#[tokio::test]
async fn each_step_of_a_path_can_be_missing() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let service = Service::new(&emulator, &aws).await;
    let east = &service.east;
    let until = "requests for api.example.com (us-east-1) end at nothing until its health checks fail: ";
    let edge = "listener 80 of load balancer edge";

    service.check().await;
    east.shift(99, 1).await;
    let empty = format!("{until}{edge} forwards to target group green, which has no targets");
    assert_eq!(service.violations().await, [violation("ModifyListener", &empty)]);
    east.shift(1, 0).await;

    service.check().await;
    east.shift(0, 0).await;
    let nowhere = format!("{until}{edge} forwards to no target group with a weight");
    assert_eq!(service.violations().await, [violation("ModifyListener", &nowhere)]);
    east.shift(1, 0).await;

    service.check().await;
    let rule = format!(
        "CreateRule&ListenerArn={}&Priority=1&Conditions.member.1.Field=path-pattern&Conditions.member.1.Values.member.1=/x{}",
        east.listener,
        east.forward("Actions", 0, 1)
    );
    let created = east.elb(&rule).await;
    assert_eq!(service.violations().await, [violation("CreateRule", &empty)]);
    east.elb(&format!("DeleteRule&RuleArn={}", created.value("RuleArn").unwrap())).await;

    service.check().await;
    east.elb(&format!("DeleteListener&ListenerArn={}", east.listener)).await;
    let silent = format!("{until}load balancer edge has no listener");
    assert_eq!(service.violations().await, [violation("DeleteListener", &silent)]);

    service.check().await;
    let redirect = "DefaultActions.member.1.Type=redirect&DefaultActions.member.1.RedirectConfig.Port=443\
                    &DefaultActions.member.1.RedirectConfig.StatusCode=HTTP_301";
    let listener = format!("CreateListener&LoadBalancerArn={}&Protocol=HTTP&Port=81", east.balancer);
    east.elb(&format!("{listener}{}", east.forward("DefaultActions", 1, 0))).await;
    east.elb(&format!("CreateListener&LoadBalancerArn={}&Protocol=HTTP&Port=80&{redirect}", east.balancer)).await;
    // A redirect is a response for health checks.
    let nobody = format!(
        "requests for api.example.com (us-east-1) end at nothing: {edge} redirects to port 443, which has no listener"
    );
    assert_eq!(service.violations().await, [violation("CreateListener", &nobody)]);

    service.check().await;
    let west = &service.west;
    let second = format!("CreateListener&LoadBalancerArn={}&Protocol=HTTP&Port=81", west.balancer);
    let second = west.elb(&format!("{second}{}", west.forward("DefaultActions", 1, 0))).await;
    west.elb(&format!("DeleteListener&ListenerArn={}", second.value("ListenerArn").unwrap())).await;
    let closed = "requests for api.example.com (us-west-2) to port 81 end at nothing: it has no listener";
    assert_eq!(service.violations().await, [violation("DeleteListener", closed)]);

    service.check().await;
    west.elb(&format!("DeleteLoadBalancer&LoadBalancerArn={}", west.balancer)).await;
    let gone = format!("no load balancer has the name {}", west.host);
    let unhealthy = until.replace(EAST, WEST);
    assert_eq!(service.violations().await, [violation("DeleteLoadBalancer", &format!("{unhealthy}{gone}"))]);
}

#[tokio::test]
async fn when_no_record_is_healthy_all_are_answers() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let service = Service::new(&emulator, &aws).await;
    let (east, west) = (&service.east, &service.west);
    service.check().await;
    emulator.set_health("blue", Some(false));
    let stop = json!({ "cluster": "cluster", "service": "app", "force": true });
    // The test did that; this call makes no difference.
    east.ecs("CreateCluster", &json!({ "clusterName": "other" })).await;
    assert_eq!(service.violations().await, []);
    emulator.set_health("blue", None);
    west.ecs("DeleteService", &stop).await;
    east.ecs("DeleteService", &stop).await;
    let empty = "listener 80 of load balancer edge forwards to target group blue, which has no targets";
    let found = |name: &str, until: &str| {
        violation("DeleteService", &format!("requests for {NAME} ({name}) end at nothing{until}: {empty}"))
    };
    let until = found(WEST, " until its health checks fail");
    assert_eq!(service.violations().await, [until, found(EAST, ""), found(WEST, "")]);
}

#[tokio::test]
async fn a_call_whose_client_never_gets_a_response_is_checked() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let service = Service::new(&emulator, &aws).await;
    let modify = Match::action("elasticloadbalancing", "ModifyListener");
    service.check().await;
    let east = &service.east;
    let shift = async |blue: u32, green: u32| {
        let weights = east.forward("DefaultActions", blue, green);
        let form = format!("Action=ModifyListener&ListenerArn={}{weights}&Version=2015-12-01", east.listener);
        aws.form("elasticloadbalancing", EAST, &form).await
    };
    // Before it takes effect, a call changes nothing.
    emulator.faults([Rule { matches: modify.clone(), fault: Fault::Reset { when: When::Before } }]);
    assert!(shift(0, 1).await.is_err());
    assert_eq!(service.violations().await, []);
    emulator.faults([Rule { matches: modify, fault: Fault::Reset { when: When::After } }]);
    assert!(shift(0, 1).await.is_err());
    let found = emulator.violations().await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let call = emulator.calls().into_iter().find(|call| call.sequence == found[0].call).unwrap();
    assert_eq!(call.fault.as_deref(), Some("reset-after"));
}

#[tokio::test]
async fn a_rollout_is_followed_step_by_step() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let service = Service::new(&emulator, &aws).await;
    let east = &service.east;
    service.check().await;
    // The circuit breaker keeps the old tasks.
    let bad = east.definition("app:bad").await;
    east.update("app", json!({ "taskDefinition": bad })).await;
    assert_eq!(service.violations().await, []);
    // Old tasks are stopped first if there may be no more tasks than desired, although all is well in the end.
    let good = east.definition("app:2").await;
    let all = json!({ "maximumPercent": 100, "minimumHealthyPercent": 0 });
    east.update("app", json!({ "taskDefinition": good, "deploymentConfiguration": all })).await;
    assert_eq!(east.states(&east.blue).await, ["healthy", "healthy"]);
    let until = "requests for api.example.com (us-east-1) end at nothing until its health checks fail: listener 80 of \
                 load balancer edge forwards to target group blue, which has no healthy targets";
    assert_eq!(service.violations().await, [violation("UpdateService", until)]);
}

#[tokio::test]
async fn with_latency_the_end_of_a_drain_is_found() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let service = Service::new(&emulator, &aws).await;
    let east = &service.east;
    emulator.set_latency_scale(Some(0.002));
    service.check().await;
    // The new tasks are in the other group: when they are healthy, the old ones leave the one that gets the requests.
    let green = json!([{ "targetGroupArn": east.green, "containerName": "app", "containerPort": 80 }]);
    east.update("app", json!({ "loadBalancers": green })).await;
    assert_eq!(service.violations().await, []);
    let begun = Instant::now();
    while service.violations().await.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let found = service.violations().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.contains("target group blue, which has no targets"), "{found:?}");
}

#[tokio::test]
async fn records_follow_the_rules_of_route_53() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let service = Service::without_records(&emulator, &aws).await;
    let (east, west) = (&service.east, &service.west);
    west.update("app", json!({ "desiredCount": 0 })).await;
    service.check().await;
    // An unhealthy record is not answered with, unless nobody evaluates its health.
    let both = [east.record("CREATE", NAME, 90, None, true), west.record("CREATE", NAME, 10, None, true)];
    assert_eq!(service.change(&both).await, None);
    assert_eq!(service.violations().await, []);
    assert_eq!(service.change(&[west.record("UPSERT", NAME, 10, None, false)]).await, None);
    let blind = "requests for api.example.com (us-west-2) end at nothing: listener 80 of load balancer edge forwards to \
                 target group blue, which has no targets";
    assert_eq!(service.violations().await, [violation("ChangeResourceRecordSets", blind)]);
    assert_eq!(service.change(&[west.record("UPSERT", NAME, 10, None, true)]).await, None);

    // If only a record without weight is healthy, it is the answer.
    service.check().await;
    west.update("app", json!({ "desiredCount": 2 })).await;
    assert_eq!(service.change(&[east.record("UPSERT", NAME, 0, None, true)]).await, None);
    east.update("app", json!({ "desiredCount": 0 })).await;
    assert_eq!(service.violations().await, []);
    emulator.set_health("blue", Some(false));
    east.ecs("DeleteService", &json!({ "cluster": "cluster", "service": "app", "force": true })).await;
    // All are unhealthy, which the test did; nothing new is broken, because the east has no weight.
    assert_eq!(service.violations().await, []);
    emulator.set_health("blue", None);

    // A name that is gone for a while is an interruption.
    service.check().await;
    let delete = [east.record("DELETE", NAME, 0, None, true), west.record("DELETE", NAME, 10, None, true)];
    assert_eq!(service.change(&delete).await, None);
    let removed = emulator.calls().last().unwrap().sequence;
    assert_eq!(service.violations().await, []);
    assert_eq!(service.change(&[west.record("CREATE", NAME, 1, None, true)]).await, None);
    let found = emulator.violations().await.unwrap();
    assert_eq!(found.iter().map(|found| found.call).collect::<Vec<_>>(), [removed]);
    assert!(found[0].problem.starts_with("api.example.com had no A record until call"), "{found:?}");

    // Only the names that are asked for.
    emulator.check(Checks { names: vec!["*.example.org".to_owned()], ..Checks::default() }).await.unwrap();
    west.update("app", json!({ "desiredCount": 0 })).await;
    assert_eq!(service.violations().await, []);
}

#[tokio::test]
async fn an_outage_is_no_violation_but_a_wrong_answer_to_it_is() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let service = Service::new(&emulator, &aws).await;
    let (east, west) = (&service.east, &service.west);
    service.check().await;
    emulator.set_outage(EAST, Some(Silence::Reset));
    west.update("app", json!({ "desiredCount": 4 })).await;
    assert_eq!(service.change(&[east.record("UPSERT", NAME, 0, None, true)]).await, None);
    assert_eq!(service.violations().await, []);
    assert_eq!(service.change(&[east.record("UPSERT", NAME, 1, None, false)]).await, None);
    let dead = "requests for api.example.com (us-east-1) end at nothing: us-east-1 is down";
    assert_eq!(service.violations().await, [violation("ChangeResourceRecordSets", dead)]);
}

#[tokio::test]
async fn stores_are_replicated_between_the_regions_that_serve() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let service = Service::without_records(&emulator, &aws).await;
    let (east, west) = (&service.east, &service.west);
    let dynamodb = async |region: &str, action: &str, body: &str| {
        let target = format!("DynamoDB_20120810.{action}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        let answer = aws.send("dynamodb", region, "POST", "/", &headers, body).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let table = r#"{"TableName": "payments", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}}"#;
    let replica = |act: &str| {
        format!(r#"{{"TableName": "payments", "ReplicaUpdates": [{{"{act}": {{"RegionName": "{WEST}"}}}}]}}"#)
    };
    let s3 = async |region: &str, method: &str, path: &str, body: &str| {
        let answer = aws.send("s3", region, method, path, &[], body).await.unwrap();
        assert!(answer.status.is_success(), "{answer:?}");
    };
    let replication = |to: &str, status: &str| {
        format!(
            "<ReplicationConfiguration><Role>arn:aws:iam::123456789012:role/r</Role><Rule><ID>all</ID>\
             <Priority>1</Priority><Filter></Filter><Status>{status}</Status><DeleteMarkerReplication><Status>Enabled\
             </Status></DeleteMarkerReplication><Destination><Bucket>arn:aws:s3:::{to}</Bucket></Destination></Rule>\
             </ReplicationConfiguration>"
        )
    };
    dynamodb(EAST, "CreateTable", table).await;
    let versioned = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let place = format!(
        "<CreateBucketConfiguration><LocationConstraint>{WEST}</LocationConstraint></CreateBucketConfiguration>"
    );
    for (region, bucket, body) in [(EAST, "audit-east", ""), (WEST, "audit-west", &place)] {
        s3(region, "PUT", &format!("/{bucket}"), body).await;
        s3(region, "PUT", &format!("/{bucket}?versioning"), versioned).await;
    }
    let one = "table payments in us-east-1 is written to, but not replicated to us-west-2";
    let [there, back] = [(EAST, "east", WEST), (WEST, "west", EAST)]
        .map(|(from, bucket, to)| format!("bucket audit-{bucket} in {from} is written to, but not replicated to {to}"));
    let start = async || {
        let stores = ["payments", "audit-*"].map(str::to_owned).to_vec();
        emulator.check(Checks { stores, ..Checks::default() }).await.unwrap();
    };
    start().await;
    // One region needs no replicas.
    assert_eq!(service.change(&[east.record("CREATE", NAME, 1, None, true)]).await, None);
    assert_eq!(service.violations().await, []);
    assert_eq!(service.change(&[west.record("CREATE", NAME, 1, None, true)]).await, None);
    let change = |problem: &str| violation("ChangeResourceRecordSets", problem);
    assert_eq!(service.violations().await, [change(&there), change(&back), change(one)]);

    dynamodb(EAST, "UpdateTable", &replica("Create")).await;
    s3(EAST, "PUT", "/audit-east?replication", &replication("audit-west", "Enabled")).await;
    s3(WEST, "PUT", "/audit-west?replication", &replication("audit-east", "Enabled")).await;
    start().await;
    s3(EAST, "PUT", "/audit-east/key", "data").await;
    assert_eq!(service.violations().await, []);
    s3(EAST, "PUT", "/audit-east?replication", &replication("audit-west", "Disabled")).await;
    assert_eq!(service.violations().await, [violation("PutBucketReplication", &there)]);
    s3(EAST, "PUT", "/audit-east?replication", &replication("audit-west", "Enabled")).await;

    // Without being told, it notices what was replicated and is not any more.
    service.check().await;
    s3(WEST, "DELETE", "/audit-west?replication", "").await;
    dynamodb(EAST, "UpdateTable", &replica("Delete")).await;
    assert_eq!(
        service.violations().await,
        [violation("DeleteBucketReplication", &back), violation("UpdateTable", one)]
    );
    // When a region no longer serves, its replicas may go.
    dynamodb(EAST, "UpdateTable", &replica("Create")).await;
    service.check().await;
    assert_eq!(service.change(&[west.record("UPSERT", NAME, 0, None, true)]).await, None);
    dynamodb(EAST, "UpdateTable", &replica("Delete")).await;
    assert_eq!(service.violations().await, []);
}

#[tokio::test]
async fn a_global_database_is_in_each_region_that_serves() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let service = Service::new(&emulator, &aws).await;
    service.check().await;
    aws.global_database(&[EAST, WEST]).await;
    assert_eq!(service.violations().await, []);
    let target = format!("GlobalClusterIdentifier=world&TargetDbClusterIdentifier={}", cluster(WEST));
    aws.rds(EAST, &format!("SwitchoverGlobalCluster&{target}")).await;
    aws.rds(EAST, &format!("FailoverGlobalCluster&{}&AllowDataLoss=true", target.replace(WEST, EAST))).await;
    assert_eq!(service.violations().await, []);
    aws.rds(
        WEST,
        &format!("RemoveFromGlobalCluster&GlobalClusterIdentifier=world&DbClusterIdentifier={}", cluster(WEST)),
    )
    .await;
    let missing = "global database world in us-east-1 is written to, but not replicated to us-west-2";
    assert_eq!(service.violations().await, [violation("RemoveFromGlobalCluster", missing)]);
    // If it is named, it may not serve one of two regions before.
    emulator.check(Checks { stores: vec!["world".to_owned()], ..Checks::default() }).await.unwrap();
    assert_eq!(service.change(&[service.west.record("UPSERT", NAME, 0, None, true)]).await, None);
    assert_eq!(service.violations().await, []);
    assert_eq!(service.change(&[service.west.record("UPSERT", NAME, 1, None, true)]).await, None);
    assert_eq!(service.violations().await, [violation("ChangeResourceRecordSets", missing)]);
}

#[tokio::test]
async fn concurrent_calls_have_their_own_violations() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let service = Service::new(&emulator, &aws).await;
    let (east, west) = (&service.east, &service.west);
    service.check().await;
    for _ in 0..5 {
        let others = async |region: &Region<'_>| {
            for index in 0..5 {
                region.ecs("CreateCluster", &json!({ "clusterName": format!("other-{index}") })).await;
            }
        };
        tokio::join!(east.shift(0, 1), others(east), others(west), others(east));
        tokio::join!(east.shift(1, 0), others(west));
    }
    let found = service.violations().await;
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found.iter().all(|(action, _)| action == "ModifyListener"), "{found:?}");
}
