//! The gateway with real emulators: routing, records, isolation, fixes.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all shared items are used here")]

mod support;

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use payinfra_localstack::{ACCOUNT_ID, Emulator};
use support::Aws;

const VPC: &str = "Action=CreateVpc&CidrBlock=10.77.0.0/16";

#[tokio::test]
async fn routes_by_service_and_region() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);

    assert_eq!(aws.ec2(VPC).await.status, 200);
    assert_eq!(aws.vpcs("10.77.0.0/16").await, 1);
    let elsewhere = aws.form("ec2", "us-east-2", "Action=DescribeVpcs").await.unwrap();
    assert!(!elsewhere.body.contains("10.77.0.0/16"));

    // Two emulators, one account.
    let caller = aws.form("sts", "us-east-1", "Action=GetCallerIdentity&Version=2011-06-15").await.unwrap();
    assert_eq!(caller.value("Account"), Some(ACCOUNT_ID));
    let key = aws.json("kms", "TrentService.CreateKey", "{}").await;
    assert!(key.body.contains(&format!("arn:aws:kms:us-east-1:{ACCOUNT_ID}:key/")), "{key:?}");
}

#[tokio::test]
async fn instances_are_isolated_and_end_when_dropped() {
    let (one, other) = (Emulator::start().await.unwrap(), Emulator::start().await.unwrap());
    assert_eq!(Aws::of(&one).ec2(VPC).await.status, 200);
    assert_eq!(Aws::of(&other).vpcs("10.77.0.0/16").await, 0);

    let status = one.status().await.unwrap();
    let ports = status.backends.iter().map(|backend| backend.rsplit_once(' ').unwrap().1.to_owned());
    let ports: Vec<String> = ports.chain([one.endpoint().replace("http://", "")]).collect();
    assert_eq!(ports.len(), 3);
    assert!(ports.iter().all(|port| TcpStream::connect(port).is_ok()));
    drop(one);
    assert!(ports.iter().all(|port| TcpStream::connect(port).is_err()), "{ports:?}");
    assert_eq!(Aws::of(&other).ec2(VPC).await.status, 200);
}

#[tokio::test]
async fn records_every_call() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    aws.ec2("Action=DescribeVpcs").await;
    aws.ec2("Action=DeleteVpc&VpcId=vpc-00000000000000000").await;
    aws.s3("PUT", "/some-bucket", &[], "").await;

    let calls = emulator.calls();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call.sequence, call.action.as_str(), call.mutating, call.status, call.error.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [
            (1, "DescribeVpcs", false, Some(200), None),
            (2, "DeleteVpc", true, Some(400), Some("InvalidVpcID.NotFound")),
            (3, "CreateBucket", true, Some(200), None),
        ]
    );
    assert!(calls.iter().all(|call| call.milliseconds.is_some() && call.access_key == "test"));
    emulator.clear_calls();
    assert!(emulator.calls().is_empty());
}

#[tokio::test]
async fn refuses_what_is_not_signed() {
    let emulator = Emulator::start().await.unwrap();
    let request = hyper::Request::get(format!("{}/bucket/key", emulator.endpoint()));
    let answer = Aws::of(&emulator).answer(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("AWS_ACCESS_KEY_ID"), "{answer:?}");
}

#[tokio::test]
async fn the_same_token_is_the_same_resource() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let vpc = aws.ec2(VPC).await;
    let vpc = vpc.value("vpcId").unwrap();
    let create = format!("Action=CreateRouteTable&VpcId={vpc}&ClientToken=token");

    // Immediately, as an SDK does after a timeout.
    let (one, other) = tokio::join!(aws.ec2(&create), aws.ec2(&create));
    assert_eq!(one.value("routeTableId"), other.value("routeTableId"));
    let fresh = aws.ec2(&create.replace("=token", "=other")).await;
    assert_ne!(fresh.value("routeTableId"), one.value("routeTableId"));
    let mismatch = aws.ec2(&create.replace(vpc, "vpc-00000000000000000")).await;
    assert_eq!(mismatch.code(), Some("IdempotentParameterMismatch"));
}

#[tokio::test]
async fn conditional_writes() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    aws.s3("PUT", "/some-bucket", &[], "").await;
    let put = |headers: &'static [(&str, &str)]| aws.s3("PUT", "/some-bucket/state.json", headers, "{}");
    assert_eq!(put(&[("if-none-match", "*")]).await.status, 200);
    let again = put(&[("if-none-match", "*")]).await;
    assert_eq!((again.status.as_u16(), again.code()), (412, Some("PreconditionFailed")));
    assert_eq!(put(&[("if-match", "\"00000000000000000000000000000000\"")]).await.status, 412);
}

#[tokio::test]
async fn the_tagging_api_speaks_for_all_emulators() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    aws.ec2(&format!(
        "{VPC}&TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b"
    ))
    .await;
    aws.json("kms", "TrentService.CreateKey", r#"{"Tags": [{"TagKey": "a", "TagValue": "b"}]}"#).await;
    let found = aws.json("tagging", "ResourceGroupsTaggingAPI_20170126.GetResources", "{}").await;
    assert!(found.body.contains(":vpc/") && found.body.contains(":key/"), "{found:?}");
}

#[tokio::test]
async fn reset_empties_the_account_quickly() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    aws.ec2(VPC).await;
    aws.s3("PUT", "/some-bucket", &[], "").await;
    let begun = Instant::now();
    emulator.reset().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(emulator.calls().is_empty());
    assert_eq!(aws.vpcs("10.77.0.0/16").await, 0);
    assert_eq!(aws.s3("HEAD", "/some-bucket", &[], "").await.status, 404);
}
