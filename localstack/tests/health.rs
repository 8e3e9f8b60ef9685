//! Route 53 health checks, alarms, and regions that are down.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all shared items are used here")]

mod support;

use std::time::Duration;

use payinfra_localstack::{Emulator, Silence};
use support::{Aws, region::Region};

const EAST: &str = "us-east-1";
const WEST: &str = "us-west-2";

#[tokio::test]
async fn a_health_check_follows_its_endpoint_unless_it_is_set() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let region = Region::new(&aws, WEST).await;
    let check = region.health_check().await;
    assert_eq!(aws.health(&check).await, ["Failure"]);
    region.serve("app", &region.blue, "app:1", 1).await;
    assert_eq!(aws.health(&check).await, ["Success"]);
    region.shift(0, 1).await;
    assert_eq!(aws.health(&check).await, ["Failure"]);
    region.shift(1, 0).await;

    emulator.set_health(&check, Some(false));
    assert_eq!(aws.health(&check).await, ["Failure"]);
    emulator.set_health(&check, None);
    emulator.set_outage(WEST, Some(Silence::Hang));
    assert_eq!(aws.health(&check).await, ["Failure"]);
    emulator.set_health(&check, Some(true));
    assert_eq!(aws.health(&check).await, ["Success"]);
    emulator.clear_faults();

    let missing = aws.route53("GET", "/healthcheck/00000000-0000-0000-0000-000000000000/status", "").await;
    assert_eq!(missing.code(), Some("NoSuchHealthCheck"));
    let calculated = format!(
        "<CreateHealthCheckRequest><CallerReference>sum</CallerReference><HealthCheckConfig><Type>CALCULATED</Type>\
         <HealthThreshold>1</HealthThreshold><ChildHealthChecks><ChildHealthCheck>{check}</ChildHealthCheck>\
         </ChildHealthChecks></HealthCheckConfig></CreateHealthCheckRequest>"
    );
    let calculated = aws.route53("POST", "/healthcheck", &calculated).await;
    let path = format!("/healthcheck/{}/status", calculated.value("Id").unwrap());
    assert_eq!(aws.route53("GET", &path, "").await.code(), Some("InvalidInput"));
}

#[tokio::test]
async fn a_region_that_is_down_does_not_answer() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let describe = "Action=DescribeVpcs";
    emulator.set_outage(EAST, Some(Silence::Reset));
    assert!(aws.try_ec2(describe).await.is_err());
    // Other regions and global services respond.
    assert!(aws.form("ec2", WEST, describe).await.unwrap().body.contains("<vpcId>"));
    assert_eq!(aws.route53("GET", "/hostedzone", "").await.status, 200);
    assert_eq!(aws.form("iam", EAST, "Action=ListRoles&Version=2010-05-08").await.unwrap().status, 200);

    emulator.set_outage(EAST, Some(Silence::Hang));
    let create = "Action=CreateVpc&CidrBlock=10.61.0.0/16";
    let waiting = tokio::time::timeout(Duration::from_millis(200), aws.try_ec2(create)).await;
    assert!(waiting.is_err(), "{waiting:?}");
    // When the region is up again, the connections are reset, and nothing has happened.
    let hanging = aws.try_ec2(create);
    let up = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        emulator.set_outage(EAST, None);
    };
    let (hung, ()) = tokio::join!(hanging, up);
    assert!(hung.is_err(), "{hung:?}");
    assert_eq!(aws.vpcs("10.61.0.0/16").await, 0);
    let calls = emulator.calls();
    assert!(calls.iter().filter(|call| call.action == "CreateVpc").all(|call| call.fault.as_deref() == Some("outage")));
}

#[tokio::test]
async fn composite_alarms_follow_the_alarms_in_their_rules() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let call =
        async |form: &str| aws.form("monitoring", EAST, &format!("Action={form}&Version=2010-08-01")).await.unwrap();
    let metric = "Namespace=N&MetricName=M&Statistic=Sum&Period=60&EvaluationPeriods=1&Threshold=1\
                  &ComparisonOperator=GreaterThanThreshold";
    for name in ["errors", "latency"] {
        call(&format!("PutMetricAlarm&AlarmName={name}&{metric}")).await;
    }
    let rule = "ALARM%28%22errors%22%29%20AND%20NOT%20%28OK%28latency%29%20OR%20FALSE%29";
    call(&format!("PutCompositeAlarm&AlarmName=unfit&AlarmRule={rule}")).await;
    call("PutCompositeAlarm&AlarmName=above&AlarmRule=ALARM%28%22unfit%22%29").await;
    let state = async |name: &str| {
        let types = "AlarmTypes.member.1=MetricAlarm&AlarmTypes.member.2=CompositeAlarm";
        let described = call(&format!("DescribeAlarms&AlarmNames.member.1={name}&{types}")).await;
        described.value("StateValue").unwrap().to_owned()
    };
    let set = async |name: &str, state: &str| {
        call(&format!("SetAlarmState&AlarmName={name}&StateValue={state}&StateReason=test")).await
    };
    assert_eq!((state("errors").await.as_str(), state("unfit").await.as_str()), ("INSUFFICIENT_DATA", "OK"));
    set("errors", "ALARM").await;
    assert_eq!(state("errors").await, "ALARM");
    assert_eq!((state("unfit").await.as_str(), state("above").await.as_str()), ("ALARM", "ALARM"));
    set("latency", "OK").await;
    assert_eq!((state("unfit").await.as_str(), state("above").await.as_str()), ("OK", "OK"));
    // Until one of its alarms changes, a composite alarm keeps a state that was set.
    set("unfit", "ALARM").await;
    assert_eq!((state("unfit").await.as_str(), state("above").await.as_str()), ("ALARM", "ALARM"));
    set("latency", "OK").await;
    assert_eq!(state("unfit").await, "OK");
    let invalid = call("PutCompositeAlarm&AlarmName=wrong&AlarmRule=ALARM%28%22errors%22").await;
    assert_eq!(invalid.code(), Some("InvalidParameterValue"));
    assert_eq!(set("unknown", "OK").await.code(), Some("ResourceNotFound"));
}
