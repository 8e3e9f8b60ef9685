//! The effects of `latency`: what descriptions show meanwhile, and what is not possible yet.
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all shared items are used here")]

mod support;

use std::time::{Duration, Instant};

use payinfra_localstack::Emulator;
use support::Aws;

/// Responses take milliseconds, and changes longer than any test; [`skip`] completes them.
const SCALE: f64 = 0.05;

async fn start() -> (Emulator, Aws) {
    let emulator = Emulator::start().await.unwrap();
    emulator.set_latency_scale(Some(SCALE));
    let aws = Aws::of(&emulator);
    (emulator, aws)
}

/// Completes all changes in progress; later ones have latency again.
fn skip(emulator: &Emulator) {
    emulator.set_latency_scale(None);
    emulator.set_latency_scale(Some(SCALE));
}

async fn query(aws: &Aws, service: &str, form: &str) -> support::Answer {
    let version = match service {
        "rds" => "2014-10-31",
        "elasticloadbalancing" => "2015-12-01",
        _ => "2010-05-08",
    };
    aws.form(service, "us-east-1", &format!("{form}&Version={version}")).await.unwrap()
}

async fn route53(aws: &Aws, method: &str, path: &str, body: &str) -> support::Answer {
    aws.send("route53", "us-east-1", method, &format!("/2013-04-01{path}"), &[], body).await.unwrap()
}

/// A VPC and a subnet.
async fn network(aws: &Aws) -> (String, String) {
    let vpc = aws.ec2("Action=CreateVpc&CidrBlock=10.77.0.0/16").await.value("vpcId").unwrap().to_owned();
    let subnet = aws.ec2(&format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.77.1.0/24")).await;
    (vpc, subnet.value("subnetId").unwrap().to_owned())
}

#[tokio::test]
async fn a_nat_gateway_takes_its_time_and_holds_what_it_uses() {
    let (emulator, aws) = start().await;
    let (vpc, subnet) = network(&aws).await;
    let gateway = aws.ec2("Action=CreateInternetGateway").await.value("internetGatewayId").unwrap().to_owned();
    aws.ec2(&format!("Action=AttachInternetGateway&VpcId={vpc}&InternetGatewayId={gateway}")).await;
    let address = aws.ec2("Action=AllocateAddress&Domain=vpc").await.value("allocationId").unwrap().to_owned();
    let create = format!("Action=CreateNatGateway&SubnetId={subnet}&AllocationId={address}");
    let nat = aws.ec2(&create).await.value("natGatewayId").unwrap().to_owned();
    let describe = format!("Action=DescribeNatGateways&NatGatewayId.1={nat}");
    let available = "Action=DescribeNatGateways&Filter.1.Name=state&Filter.1.Value.1=available";
    assert_eq!(aws.ec2(&describe).await.value("state"), Some("pending"));
    assert!(!aws.ec2(available).await.body.contains(&nat));
    skip(&emulator);
    assert_eq!(aws.ec2(&describe).await.value("state"), Some("available"));

    aws.ec2(&format!("Action=DeleteNatGateway&NatGatewayId={nat}")).await;
    assert_eq!(aws.ec2(&describe).await.value("state"), Some("deleting"));
    let release = format!("Action=ReleaseAddress&AllocationId={address}");
    let delete = format!("Action=DeleteSubnet&SubnetId={subnet}");
    assert_eq!(aws.ec2(&release).await.code(), Some("InvalidIPAddress.InUse"));
    assert_eq!(aws.ec2(&delete).await.code(), Some("DependencyViolation"));
    skip(&emulator);
    assert_eq!(aws.ec2(&describe).await.value("state"), Some("deleted"));
    assert_eq!(aws.ec2(&release).await.code(), None);
    assert_eq!(aws.ec2(&delete).await.code(), None);
}

#[tokio::test]
async fn a_transit_gateway_waits_for_its_attachments() {
    let (emulator, aws) = start().await;
    let (vpc, subnet) = network(&aws).await;
    let transit = aws.ec2("Action=CreateTransitGateway").await.value("transitGatewayId").unwrap().to_owned();
    skip(&emulator);
    let attach = format!("TransitGatewayId={transit}&VpcId={vpc}&SubnetIds.1={subnet}");
    let attached = aws.ec2(&format!("Action=CreateTransitGatewayVpcAttachment&{attach}")).await;
    assert_eq!(attached.value("state"), Some("pending"));
    let attachment = attached.value("transitGatewayAttachmentId").unwrap().to_owned();
    skip(&emulator);
    let describe = "Action=DescribeTransitGatewayVpcAttachments";
    assert_eq!(aws.ec2(describe).await.value("state"), Some("available"));
    let detach = format!("Action=DeleteTransitGatewayVpcAttachment&TransitGatewayAttachmentId={attachment}");
    assert_eq!(aws.ec2(&detach).await.value("state"), Some("deleting"));
    assert_eq!(aws.ec2(describe).await.value("state"), Some("deleting"));
    let delete = format!("Action=DeleteTransitGateway&TransitGatewayId={transit}");
    assert_eq!(aws.ec2(&delete).await.code(), Some("IncorrectState"));
    skip(&emulator);
    assert_eq!(aws.ec2(&delete).await.value("state"), Some("deleting"));
    assert_eq!(aws.ec2("Action=DescribeTransitGateways").await.value("state"), Some("deleting"));
}

#[tokio::test]
async fn an_endpoint_can_be_seen_until_it_is_gone() {
    let (emulator, aws) = start().await;
    let (vpc, subnet) = network(&aws).await;
    let service = "ServiceName=com.amazonaws.us-east-1.kms&VpcEndpointType=Interface";
    let tag =
        "TagSpecification.1.ResourceType=vpc-endpoint&TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v";
    let create = format!("Action=CreateVpcEndpoint&VpcId={vpc}&{service}&SubnetId.1={subnet}&{tag}");
    let endpoint = aws.ec2(&create).await.value("vpcEndpointId").unwrap().to_owned();
    let by_id = format!("Action=DescribeVpcEndpoints&VpcEndpointId.1={endpoint}");
    let by_tag = "Action=DescribeVpcEndpoints&Filter.1.Name=tag:k&Filter.1.Value.1=v";
    assert_eq!(aws.ec2(&by_id).await.value("state"), Some("pending"));
    skip(&emulator);
    aws.ec2(&format!("Action=DeleteVpcEndpoints&VpcEndpointId.1={endpoint}")).await;
    for describe in [&by_id[..], by_tag, "Action=DescribeVpcEndpoints"] {
        let described = aws.ec2(describe).await;
        assert_eq!(
            (described.value("vpcEndpointId"), described.value("state")),
            (Some(&endpoint[..]), Some("deleting"))
        );
    }
    let other = "Action=DescribeVpcEndpoints&Filter.1.Name=tag:k&Filter.1.Value.1=other";
    assert!(!aws.ec2(other).await.body.contains(&endpoint));
    assert_eq!(aws.ec2(&format!("Action=DeleteSubnet&SubnetId={subnet}")).await.code(), Some("DependencyViolation"));
    skip(&emulator);
    assert_eq!(aws.ec2(&by_id).await.code(), Some("InvalidVpcEndpointId.NotFound"));
    assert_eq!(aws.ec2(by_tag).await.value("vpcEndpointId"), None);
}

#[tokio::test]
async fn an_aurora_cluster_and_its_instances_come_and_go() {
    let (emulator, aws) = start().await;
    let cluster = "DBClusterIdentifier=payments";
    let create = format!(
        "Action=CreateDBCluster&{cluster}&Engine=aurora-postgresql&MasterUsername=m&MasterUserPassword=secret-word"
    );
    assert_eq!(query(&aws, "rds", &create).await.value("Status"), Some("creating"));
    let describe = format!("Action=DescribeDBClusters&{cluster}");
    assert_eq!(query(&aws, "rds", &describe).await.value("Status"), Some("creating"));
    let modify = format!("Action=ModifyDBCluster&{cluster}&BackupRetentionPeriod=7&ApplyImmediately=true");
    assert_eq!(query(&aws, "rds", &modify).await.code(), Some("InvalidDBClusterStateFault"));
    skip(&emulator);
    assert_eq!(query(&aws, "rds", &describe).await.value("Status"), Some("available"));
    query(&aws, "rds", &modify).await;
    assert_eq!(query(&aws, "rds", &describe).await.value("Status"), Some("modifying"));
    skip(&emulator);

    let instance = "DBInstanceIdentifier=payments-1";
    let create =
        format!("Action=CreateDBInstance&{instance}&{cluster}&Engine=aurora-postgresql&DBInstanceClass=db.r6g.large");
    assert_eq!(query(&aws, "rds", &create).await.value("DBInstanceStatus"), Some("creating"));
    assert!((emulator.waits().last().unwrap().seconds - 360.0 * SCALE).abs() < 0.001);
    let describe_instance = format!("Action=DescribeDBInstances&{instance}");
    assert_eq!(query(&aws, "rds", &describe_instance).await.value("DBInstanceStatus"), Some("creating"));
    assert_eq!(query(&aws, "rds", &describe).await.value("Status"), Some("available"));
    skip(&emulator);
    assert_eq!(query(&aws, "rds", &describe_instance).await.value("DBInstanceStatus"), Some("available"));
    query(&aws, "rds", &format!("Action=DeleteDBInstance&{instance}&SkipFinalSnapshot=true")).await;
    let filter =
        "Action=DescribeDBInstances&Filters.Filter.1.Name=db-cluster-id&Filters.Filter.1.Values.Value.1=payments";
    for describe in [&describe_instance[..], filter, "Action=DescribeDBInstances"] {
        assert_eq!(query(&aws, "rds", describe).await.value("DBInstanceStatus"), Some("deleting"), "{describe}");
    }
    assert_eq!(query(&aws, "rds", &create).await.code(), Some("DBInstanceAlreadyExists"));
    skip(&emulator);
    assert_eq!(query(&aws, "rds", &describe_instance).await.code(), Some("DBInstanceNotFound"));
    query(&aws, "rds", &format!("Action=DeleteDBCluster&{cluster}&SkipFinalSnapshot=true")).await;
    assert_eq!(query(&aws, "rds", &describe).await.value("Status"), Some("deleting"));
    skip(&emulator);
    assert_eq!(query(&aws, "rds", &describe).await.code(), Some("DBClusterNotFoundFault"));
}

#[tokio::test]
async fn a_member_leaves_its_global_cluster_slowly() {
    let (emulator, aws) = start().await;
    let global = "GlobalClusterIdentifier=world";
    let created = query(&aws, "rds", &format!("Action=CreateGlobalCluster&{global}&Engine=aurora-postgresql")).await;
    assert_eq!(created.value("Status"), Some("creating"));
    assert_eq!(query(&aws, "rds", "Action=DescribeGlobalClusters").await.value("Status"), Some("creating"));
    skip(&emulator);
    let create = "Action=CreateDBCluster&DBClusterIdentifier=second&Engine=aurora-postgresql";
    let created =
        query(&aws, "rds", &format!("{create}&{global}&MasterUsername=m&MasterUserPassword=secret-word")).await;
    let arn = created.value("DBClusterArn").unwrap_or_else(|| panic!("{}", created.body)).to_owned();
    skip(&emulator);
    query(&aws, "rds", &format!("Action=RemoveFromGlobalCluster&{global}&DbClusterIdentifier={arn}")).await;
    let described = query(&aws, "rds", "Action=DescribeDBClusters").await;
    assert_eq!(described.value("Status"), Some("promoting"));
    let delete = format!("Action=DeleteGlobalCluster&{global}");
    assert_eq!(query(&aws, "rds", &delete).await.code(), Some("InvalidGlobalClusterStateFault"));
    skip(&emulator);
    assert_eq!(query(&aws, "rds", &delete).await.code(), None);
    assert_eq!(query(&aws, "rds", "Action=DescribeGlobalClusters").await.value("Status"), Some("deleting"));
}

#[tokio::test]
async fn a_load_balancers_interfaces_outlive_it() {
    let (emulator, aws) = start().await;
    let (vpc, first) = network(&aws).await;
    let subnet = format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.77.2.0/24&AvailabilityZone=us-east-1c");
    let second = aws.ec2(&subnet).await.value("subnetId").unwrap().to_owned();
    let group = format!("Action=CreateSecurityGroup&VpcId={vpc}&GroupName=edge&GroupDescription=edge");
    let group = aws.ec2(&group).await.value("groupId").unwrap().to_owned();
    let create = format!(
        "Action=CreateLoadBalancer&Name=edge&Subnets.member.1={first}&Subnets.member.2={second}\
         &SecurityGroups.member.1={group}"
    );
    let created = query(&aws, "elasticloadbalancing", &create).await;
    assert_eq!(created.value("Code"), Some("provisioning"));
    let arn = created.value("LoadBalancerArn").unwrap().to_owned();
    let describe = format!("Action=DescribeLoadBalancers&LoadBalancerArns.member.1={arn}");
    assert_eq!(query(&aws, "elasticloadbalancing", &describe).await.value("Code"), Some("provisioning"));
    skip(&emulator);
    assert_eq!(query(&aws, "elasticloadbalancing", &describe).await.value("Code"), Some("active"));
    query(&aws, "elasticloadbalancing", &format!("Action=DeleteLoadBalancer&LoadBalancerArn={arn}")).await;
    assert!(!query(&aws, "elasticloadbalancing", &describe).await.body.contains("<State>"));
    let delete = format!("Action=DeleteSecurityGroup&GroupId={group}");
    assert_eq!(aws.ec2(&delete).await.code(), Some("DependencyViolation"));
    skip(&emulator);
    assert_eq!(aws.ec2(&delete).await.code(), None);
}

/// A member of a JSON response.
fn at(answer: &support::Answer, pointer: &str) -> serde_json::Value {
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    body.pointer(pointer).cloned().unwrap_or_default()
}

#[tokio::test]
async fn an_ecs_service_becomes_steady_and_drains() {
    let (emulator, aws) = start().await;
    let ecs = async |action: &str, body: &str| {
        aws.json("ecs", &format!("AmazonEC2ContainerServiceV20141113.{action}"), body).await
    };
    ecs("CreateCluster", r#"{"clusterName": "c"}"#).await;
    let task = r#"{"family": "f", "networkMode": "awsvpc", "containerDefinitions": [{"name": "n", "image": "i", "memory": 64}]}"#;
    ecs("RegisterTaskDefinition", task).await;
    let service = r#"{"cluster": "c", "serviceName": "s", "taskDefinition": "f", "desiredCount": 0}"#;
    let created = ecs("CreateService", service).await;
    assert_eq!(at(&created, "/service/deployments/0/rolloutState"), "IN_PROGRESS", "{created:?}");
    let describe = r#"{"cluster": "c", "services": ["s"], "include": ["TAGS"]}"#;
    let described = ecs("DescribeServices", describe).await;
    assert_eq!(at(&described, "/services/0/deployments/0/rolloutState"), "IN_PROGRESS", "{described:?}");
    skip(&emulator);
    let described = ecs("DescribeServices", describe).await;
    assert_eq!(at(&described, "/services/0/deployments/0/rolloutState"), "COMPLETED", "{described:?}");
    ecs("DeleteService", r#"{"cluster": "c", "service": "s", "force": true}"#).await;
    assert_eq!(at(&ecs("DescribeServices", describe).await, "/services/0/status"), "DRAINING");
    let refused = ecs("DeleteCluster", r#"{"cluster": "c"}"#).await;
    assert!(refused.body.contains("ClusterContainsServicesException"), "{refused:?}");
    skip(&emulator);
    assert_ne!(at(&ecs("DescribeServices", describe).await, "/services/0/status"), "DRAINING");
}

#[tokio::test]
async fn a_table_and_its_replicas_come_and_go() {
    let (emulator, aws) = start().await;
    let dynamodb =
        async |action: &str, body: &str| aws.json("dynamodb", &format!("DynamoDB_20120810.{action}"), body).await;
    let create = r#"{"TableName": "tab", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}}"#;
    let table = r#"{"TableName": "tab"}"#;
    assert_eq!(at(&dynamodb("CreateTable", create).await, "/TableDescription/TableStatus"), "CREATING");
    assert_eq!(at(&dynamodb("DescribeTable", table).await, "/Table/TableStatus"), "CREATING");
    skip(&emulator);
    assert_eq!(at(&dynamodb("DescribeTable", table).await, "/Table/TableStatus"), "ACTIVE");
    let replicate = r#"{"TableName": "tab", "ReplicaUpdates": [{"Create": {"RegionName": "us-east-2"}}]}"#;
    dynamodb("UpdateTable", replicate).await;
    let described = dynamodb("DescribeTable", table).await;
    assert_eq!(at(&described, "/Table/TableStatus"), "UPDATING");
    let status = |answer: &support::Answer| {
        let replicas = at(answer, "/Table/Replicas");
        let replicas = replicas.as_array().cloned().unwrap_or_default();
        let of = |replica: &&serde_json::Value| replica["RegionName"] == "us-east-2";
        replicas.iter().find(of).map(|replica| replica["ReplicaStatus"].as_str().unwrap().to_owned())
    };
    assert_eq!(status(&described).as_deref(), Some("CREATING"));
    assert!(dynamodb("UpdateTable", replicate).await.body.contains("ResourceInUseException"));
    skip(&emulator);
    assert_eq!(status(&dynamodb("DescribeTable", table).await).as_deref(), Some("ACTIVE"));
    dynamodb("UpdateTable", &replicate.replace("Create", "Delete")).await;
    assert_eq!(status(&dynamodb("DescribeTable", table).await).as_deref(), Some("DELETING"));
    skip(&emulator);
    assert_eq!(status(&dynamodb("DescribeTable", table).await), None);
    dynamodb("DeleteTable", table).await;
    assert_eq!(at(&dynamodb("DescribeTable", table).await, "/Table/TableStatus"), "DELETING");
    skip(&emulator);
    assert!(dynamodb("DescribeTable", table).await.body.contains("ResourceNotFoundException"));
}

#[tokio::test]
async fn a_change_of_records_is_pending_at_first() {
    let (emulator, aws) = start().await;
    let zone = "<CreateHostedZoneRequest><Name>example.com</Name><CallerReference>1</CallerReference></CreateHostedZoneRequest>";
    let created = route53(&aws, "POST", "/hostedzone", zone).await;
    let zone = created.value("Id").unwrap().trim_start_matches("/hostedzone/").to_owned();
    let change = "<ChangeResourceRecordSetsRequest><ChangeBatch><Changes><Change><Action>UPSERT</Action>\
        <ResourceRecordSet><Name>a.example.com</Name><Type>TXT</Type><TTL>60</TTL><ResourceRecords><ResourceRecord>\
        <Value>\"x\"</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch>\
        </ChangeResourceRecordSetsRequest>";
    let path = format!("/hostedzone/{zone}/rrset");
    let changed = route53(&aws, "POST", &path, change).await;
    assert_eq!(changed.value("Status"), Some("PENDING"), "{changed:?}");
    let first = changed.value("Id").unwrap().to_owned();
    let got = route53(&aws, "GET", &first, "").await;
    assert_eq!(got.value("Status"), Some("PENDING"), "{got:?}");
    skip(&emulator);
    assert_eq!(route53(&aws, "GET", &first, "").await.value("Status"), Some("INSYNC"));
}

#[tokio::test]
async fn a_certificate_is_issued_a_while_after_it_could_be() {
    let (emulator, aws) = start().await;
    let acm = async |action: &str, body: &str| aws.json("acm", &format!("CertificateManager.{action}"), body).await;
    let request = r#"{"DomainName": "a.example.com", "ValidationMethod": "DNS"}"#;
    let arn = at(&acm("RequestCertificate", request).await, "/CertificateArn");
    let describe = format!("{{\"CertificateArn\": {arn}}}");
    let described = acm("DescribeCertificate", &describe).await;
    assert_eq!(at(&described, "/Certificate/Status"), "PENDING_VALIDATION");
    assert!((emulator.waits().last().unwrap().seconds - 150.0 * SCALE).abs() < 0.001);
}

#[tokio::test]
async fn a_new_role_and_a_new_web_acl_cannot_be_used_yet() {
    let (emulator, aws) = start().await;
    emulator.set_latency_scale(Some(1.0));
    let trust = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22sts%3AAssumeRole%22%2C\
                 %22Principal%22%3A%7B%22Service%22%3A%22vpc-flow-logs.amazonaws.com%22%7D%7D%7D";
    query(&aws, "iam", &format!("Action=CreateRole&RoleName=flow&AssumeRolePolicyDocument={trust}")).await;
    let (vpc, _) = network(&aws).await;
    let flow_log = format!(
        "Action=CreateFlowLogs&ResourceType=VPC&ResourceId.1={vpc}&TrafficType=ALL&LogGroupName=flow\
         &DeliverLogsPermissionArn=arn:aws:iam::123456789012:role/flow"
    );
    assert!(aws.ec2(&flow_log).await.body.contains("Unable to assume given IAM role"));

    let wafv2 = async |action: &str, body: &str| aws.json("wafv2", &format!("AWSWAF_20190729.{action}"), body).await;
    let visibility = r#"{"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": "m"}"#;
    let create = format!(
        r#"{{"Name": "w", "Scope": "REGIONAL", "DefaultAction": {{"Allow": {{}}}}, "VisibilityConfig": {visibility}, "Rules": []}}"#
    );
    let arn = at(&wafv2("CreateWebACL", &create).await, "/Summary/ARN");
    let associate = format!(
        r#"{{"WebACLArn": {arn}, "ResourceArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/a/1"}}"#
    );
    assert!(wafv2("AssociateWebACL", &associate).await.body.contains("WAFUnavailableEntityException"));
    emulator.set_latency_scale(None);
    assert!(!wafv2("AssociateWebACL", &associate).await.body.contains("WAFUnavailableEntityException"));
}

#[tokio::test]
async fn answers_and_changes_take_the_time_of_their_scale() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    // A transit gateway takes 0.6 s, a response milliseconds.
    emulator.set_latency_scale(Some(0.005));
    let begun = Instant::now();
    let id = aws.ec2("Action=CreateTransitGateway").await.value("transitGatewayId").unwrap().to_owned();
    let describe = format!("Action=DescribeTransitGateways&TransitGatewayIds.1={id}");
    while aws.ec2(&describe).await.value("state") == Some("pending") {
        assert!(begun.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
}
