//! Each fault from the client's point of view, and its effect in the account.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all shared items are used here")]

mod support;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use payinfra_localstack::{Emulator, Fault, Match, Rule, When};
use support::Aws;

const CIDR: &str = "10.77.0.0/16";
const VPC: &str = "Action=CreateVpc&CidrBlock=10.77.0.0/16";
/// Longer than any test takes.
const LONG: f64 = 600.0;

async fn with(action: &str, fault: Fault) -> (Emulator, Aws) {
    let emulator = Emulator::start().await.unwrap();
    emulator.faults([Rule { matches: Match::action("*", action).times(1), fault }]);
    let aws = Aws::of(&emulator);
    (emulator, aws)
}

#[tokio::test]
async fn errors_and_throttling_have_no_effect() {
    for (fault, status, code) in [
        (Fault::Error { status: 500 }, 500, "InternalError"),
        (Fault::Error { status: 503 }, 503, "Unavailable"),
        (Fault::Throttle, 503, "RequestLimitExceeded"),
    ] {
        let (emulator, aws) = with("CreateVpc", fault).await;
        let answer = aws.ec2(VPC).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, Some(code)));
        assert_eq!(aws.vpcs(CIDR).await, 0);
        assert!(emulator.calls()[0].fault.is_some());
        assert_eq!(aws.ec2(VPC).await.status, 200);
    }
}

#[tokio::test]
async fn throttling_has_each_protocols_shape() {
    let (emulator, aws) = with("*", Fault::Throttle).await;
    let mut codes = Vec::new();
    emulator.faults([Rule { matches: Match::any(), fault: Fault::Throttle }]);
    codes.push(aws.form("iam", "us-east-1", "Action=ListRoles").await.unwrap().code().unwrap().to_owned());
    codes.push(aws.s3("GET", "/some-bucket", &[], "").await.code().unwrap().to_owned());
    codes.push(aws.json("kms", "TrentService.ListKeys", "{}").await.body);
    assert_eq!(codes[..2], ["Throttling", "SlowDown"]);
    assert!(codes[2].contains(r#""__type":"ThrottlingException""#), "{}", codes[2]);
}

#[tokio::test]
async fn expired_credentials_have_each_protocols_shape() {
    let emulator = Emulator::start().await.unwrap();
    emulator.faults([Rule { matches: Match::any(), fault: Fault::Expired }]);
    let aws = Aws::of(&emulator);
    assert_eq!(aws.ec2(VPC).await.code(), Some("RequestExpired"));
    assert_eq!(aws.form("iam", "us-east-1", "Action=ListRoles").await.unwrap().code(), Some("ExpiredToken"));
    assert_eq!(aws.s3("GET", "/some-bucket", &[], "").await.code(), Some("ExpiredToken"));
    let answer = aws.json("kms", "TrentService.ListKeys", "{}").await;
    assert!(answer.body.contains(r#""__type":"ExpiredTokenException""#), "{}", answer.body);
}

#[tokio::test]
async fn connections_are_reset_on_either_side_of_the_effect() {
    for (when, effect) in [(When::Before, 0), (When::After, 1)] {
        let (emulator, aws) = with("CreateVpc", Fault::Reset { when }).await;
        assert!(aws.try_ec2(VPC).await.is_err());
        assert_eq!(aws.vpcs(CIDR).await, effect, "{when:?}");
        assert_eq!(emulator.calls()[0].status, None);
    }
}

#[tokio::test]
async fn answers_break_off() {
    let (_emulator, aws) = with("CreateVpc", Fault::Truncate).await;
    assert!(aws.try_ec2(VPC).await.is_err());
    assert_eq!(aws.vpcs(CIDR).await, 1);
}

#[tokio::test]
async fn answers_come_late() {
    let (_emulator, aws) = with("CreateVpc", Fault::Delay { seconds: 0.3 }).await;
    let begun = Instant::now();
    assert_eq!(aws.ec2(VPC).await.status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn the_nth_call_only() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    emulator.faults([Rule { matches: Match::action("ec2", "Create*").nth(2), fault: Fault::Throttle }]);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(aws.ec2(VPC).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 503, 200]);
}

#[tokio::test]
async fn reads_are_stale_after_a_write() {
    let (emulator, aws) = with("CreateVpc", Fault::Stale { seconds: LONG }).await;
    assert_eq!(aws.vpcs(CIDR).await, 0);
    aws.ec2(VPC).await;
    assert_eq!(aws.vpcs(CIDR).await, 0);
    emulator.clear_faults();
    assert_eq!(aws.vpcs(CIDR).await, 1);
}

#[tokio::test]
async fn what_was_created_is_not_found_at_first() {
    let (emulator, aws) = with("CreateVpc", Fault::NotFound { seconds: LONG, writes: false }).await;
    let vpc = aws.ec2(VPC).await;
    let vpc = vpc.value("vpcId").unwrap();
    let describe = format!("Action=DescribeVpcs&VpcId.1={vpc}");
    assert_eq!(aws.ec2(&describe).await.code(), Some("InvalidVpcID.NotFound"));
    assert_eq!(aws.vpcs(CIDR).await, 0);
    // Mutating calls find it, unless the rule applies to them.
    assert_eq!(aws.ec2(&format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.77.1.0/24")).await.status, 200);
    emulator.clear_faults();
    assert_eq!(aws.ec2(&describe).await.status, 200);
}

#[tokio::test]
async fn what_other_services_created_is_not_found_at_first_and_has_no_tags() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let missing = Fault::NotFound { seconds: LONG, writes: false };
    emulator.faults([Rule { matches: Match::any(), fault: missing }]);
    let rds = async |form: &str| aws.form("rds", "us-east-1", &format!("{form}&Version=2014-10-31")).await.unwrap();
    rds("Action=CreateGlobalCluster&GlobalClusterIdentifier=world&Engine=aurora-postgresql").await;
    let named = rds("Action=DescribeGlobalClusters&GlobalClusterIdentifier=world").await;
    assert_eq!(named.code(), Some("GlobalClusterNotFoundFault"));
    assert!(!rds("Action=DescribeGlobalClusters").await.body.contains("world"));
    let cluster = "Engine=aurora-postgresql&MasterUsername=root&MasterUserPassword=password1";
    rds(&format!("Action=CreateDBCluster&DBClusterIdentifier=ours&{cluster}")).await;
    let named = rds("Action=DescribeDBClusters&DBClusterIdentifier=ours").await;
    assert_eq!(named.code(), Some("DBClusterNotFoundFault"));
    // A filter returns an empty list instead of an error.
    let filter = "Filters.Filter.1.Name=db-cluster-id&Filters.Filter.1.Values.Value.1=ours";
    let filtered = rds(&format!("Action=DescribeDBClusters&{filter}")).await;
    assert!(filtered.status == 200 && !filtered.body.contains("ours"), "{filtered:?}");
    let ecs = async |action: &str, body: &str| {
        aws.json("ecs", &format!("AmazonEC2ContainerServiceV20141113.{action}"), body).await
    };
    let cluster = r#"{"clusterName": "c", "tags": [{"key": "purpose", "value": "me"}]}"#;
    let describe = r#"{"clusters": ["c"], "include": ["TAGS"]}"#;
    ecs("CreateCluster", cluster).await;
    let described = ecs("DescribeClusters", describe).await;
    assert!(described.status == 200 && !described.body.contains("clusterName"), "{described:?}");

    emulator.faults([Rule { matches: Match::any(), fault: Fault::HiddenTags { seconds: LONG } }]);
    ecs("CreateCluster", &cluster.replace("\"c\"", "\"d\"")).await;
    let described = ecs("DescribeClusters", &describe.replace("[\"c\"]", "[\"d\"]")).await;
    assert!(described.body.contains("clusterName") && !described.body.contains("purpose"), "{described:?}");
    emulator.clear_faults();
    assert!(ecs("DescribeClusters", describe).await.body.contains("purpose"));
}

#[tokio::test]
async fn tags_are_hidden_at_first() {
    let (emulator, aws) = with("CreateVpc", Fault::HiddenTags { seconds: LONG }).await;
    let tag =
        "TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=purpose&TagSpecification.1.Tag.1.Value=me";
    let vpc = aws.ec2(&format!("{VPC}&{tag}")).await;
    let id = vpc.value("vpcId").unwrap();
    let by_tag = "Action=DescribeVpcs&Filter.1.Name=tag:purpose&Filter.1.Value.1=me";
    let by_id = format!("Action=DescribeVpcs&VpcId.1={id}");
    assert!(!aws.ec2(by_tag).await.body.contains(id));
    let described = aws.ec2(&by_id).await.body;
    assert!(described.contains(id) && !described.contains("purpose"), "{described}");
    emulator.clear_faults();
    assert!(aws.ec2(by_tag).await.body.contains(id));
    assert!(aws.ec2(&by_id).await.body.contains("purpose"));
}

#[tokio::test]
async fn a_role_cannot_be_assumed_at_first() {
    let (emulator, aws) = with("CreateRole", Fault::RoleNotAssumable { seconds: LONG }).await;
    let trust = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22sts%3AAssumeRole%22%2C\
                 %22Principal%22%3A%7B%22Service%22%3A%22vpc-flow-logs.amazonaws.com%22%7D%7D%7D";
    for name in ["flow", "flow-2"] {
        let role = format!("Action=CreateRole&Version=2010-05-08&RoleName={name}&AssumeRolePolicyDocument={trust}");
        assert_eq!(aws.form("iam", "us-east-1", &role).await.unwrap().status, 200);
    }
    let vpc = aws.ec2(VPC).await;
    let flow_log = format!(
        "Action=CreateFlowLogs&ResourceType=VPC&ResourceId.1={}&TrafficType=ALL&LogGroupName=flow\
         &DeliverLogsPermissionArn=arn:aws:iam::123456789012:role/flow",
        vpc.value("vpcId").unwrap()
    );
    let refused = aws.ec2(&flow_log).await;
    assert!(refused.body.contains("Unable to assume given IAM role"), "{refused:?}");
    let accepted = aws.ec2(&format!("{flow_log}-2")).await;
    assert_eq!(accepted.status, 200, "{accepted:?}");
    emulator.clear_faults();
    let known = aws.ec2(&flow_log.replace("LogGroupName=flow", "LogGroupName=other")).await;
    assert_eq!(known.status, 200, "{known:?}");
}

#[tokio::test]
async fn the_client_is_killed_on_either_side_of_the_effect() {
    for (when, effect) in [(When::Before, 0), (When::After, 1)] {
        let mut client = Command::new("sleep").arg("600").spawn().unwrap();
        let (_emulator, aws) = with("CreateVpc", Fault::Kill { pid: client.id(), when }).await;
        assert!(aws.try_ec2(VPC).await.is_err());
        assert!(!client.wait().unwrap().success());
        assert_eq!(aws.vpcs(CIDR).await, effect, "{when:?}");
    }
}

#[tokio::test]
async fn calls_wait_for_the_tests_word() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let mut hold = emulator.hold(Match::action("ec2", "CreateVpc"), When::After);
    let watch = async {
        let waiting = hold.next().await.unwrap();
        assert_eq!(waiting.call.action, "CreateVpc");
        // It took effect, but the client does not know.
        assert_eq!(aws.vpcs(CIDR).await, 1);
        waiting.release();
        hold.next().await.unwrap().reset();
    };
    let client = async {
        assert_eq!(aws.ec2(VPC).await.status, 200);
        assert!(aws.try_ec2(VPC).await.is_err());
    };
    tokio::join!(watch, client);
    assert_eq!(aws.vpcs(CIDR).await, 2);
    drop(hold);
    assert_eq!(aws.ec2(VPC).await.status, 200);
}

#[tokio::test]
async fn limits_of_aws_at_a_tenth() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    emulator.set_throttling(Some(0.1));
    let mut throttled = 0;
    for _ in 0..20 {
        let answer = aws.ec2("Action=CreateInternetGateway").await;
        throttled += u32::from(answer.code() == Some("RequestLimitExceeded"));
    }
    // A burst of 5, and one every two seconds.
    assert!((5..=15).contains(&throttled), "{throttled}");
    emulator.set_throttling(None);
    assert_eq!(aws.ec2("Action=CreateInternetGateway").await.status, 200);
}

#[tokio::test]
async fn what_takes_long_in_aws_is_pending_at_first() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    // Responses take 6 ms, a VPC 40 ms, a transit gateway 2.4 s.
    emulator.set_latency_scale(Some(0.02));
    let gateway = aws.ec2("Action=CreateTransitGateway").await;
    assert_eq!(gateway.value("state"), Some("pending"));
    let id = gateway.value("transitGatewayId").unwrap();
    let describe = format!("Action=DescribeTransitGateways&TransitGatewayIds.1={id}");
    assert_eq!(aws.ec2(&describe).await.value("state"), Some("pending"));
    emulator.set_latency_scale(None);
    assert_eq!(aws.ec2(&describe).await.value("state"), Some("available"));
}
