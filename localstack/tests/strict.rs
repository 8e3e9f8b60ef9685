//! Constraints of AWS that its models do not say.
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all shared items are used here")]

mod support;

use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{Name, RecordType},
};
use payinfra_localstack::Emulator;
use serde_json::{Value, json};
use support::{Answer, Aws};

async fn strict() -> (Emulator, Aws) {
    let emulator = Emulator::builder().strict(true).start().await.unwrap();
    let aws = Aws::of(&emulator);
    (emulator, aws)
}

/// The error code, or the status of a success.
fn outcome(answer: &Answer) -> String {
    if answer.status.is_success() {
        return answer.status.as_u16().to_string();
    }
    let json: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let code = answer.code().or_else(|| json["__type"].as_str());
    code.map_or_else(|| answer.status.as_u16().to_string(), str::to_owned)
}

async fn quotas(aws: &Aws, action: &str, body: Value) -> Value {
    let answer = aws.json("servicequotas", &format!("ServiceQuotasV20190624.{action}"), &body.to_string()).await;
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn default_quotas_refuse_what_exceeds_them() {
    let (emulator, aws) = strict().await;
    // Each region has a default VPC.
    for number in 1..=4 {
        assert_eq!(outcome(&aws.ec2(&format!("Action=CreateVpc&CidrBlock=10.{number}.0.0/16")).await), "200");
    }
    assert_eq!(outcome(&aws.ec2("Action=CreateVpc&CidrBlock=10.9.0.0/16").await), "VpcLimitExceeded");
    let elsewhere = aws.form("ec2", "us-east-2", "Action=CreateVpc&CidrBlock=10.9.0.0/16").await.unwrap();
    assert_eq!(outcome(&elsewhere), "200", "quotas are those of a region");
    let mut addresses = Vec::new();
    for _ in 0..5 {
        addresses.push(aws.ec2("Action=AllocateAddress&Domain=vpc").await);
    }
    assert!(addresses.iter().all(|answer| outcome(answer) == "200"), "{addresses:?}");
    assert_eq!(outcome(&aws.ec2("Action=AllocateAddress&Domain=vpc").await), "AddressLimitExceeded");
    let id = addresses[0].value("allocationId").unwrap();
    assert_eq!(outcome(&aws.ec2(&format!("Action=ReleaseAddress&AllocationId={id}")).await), "200");
    assert_eq!(
        outcome(&aws.ec2("Action=AllocateAddress&Domain=vpc").await),
        "200",
        "a released address counts no more"
    );
    // Counts and creations do not interleave.
    emulator.set_quota("vpc", "L-A4707A72", Some(2)).await.unwrap();
    let calls = (0..4).map(|_| aws.ec2("Action=CreateInternetGateway"));
    let created = futures_util::future::join_all(calls).await;
    let created: Vec<_> = created.iter().map(outcome).collect();
    assert_eq!(created.iter().filter(|outcome| *outcome == "200").count(), 2, "{created:?}");
}

#[tokio::test]
async fn each_service_has_its_own_error() {
    let (emulator, aws) = strict().await;
    let rules = |from: usize, count: usize| {
        let rule = |index: usize| {
            let port = from + index;
            format!(
                "&IpPermissions.{0}.IpProtocol=tcp&IpPermissions.{0}.FromPort={port}&IpPermissions.{0}.ToPort={port}&IpPermissions.{0}.IpRanges.1.CidrIp=10.0.0.0/8",
                index + 1
            )
        };
        (0..count).map(rule).collect::<Vec<_>>().concat()
    };
    let vpc = aws.ec2("Action=CreateVpc&CidrBlock=10.0.0.0/16").await;
    let vpc = vpc.value("vpcId").unwrap();
    let group = aws.ec2(&format!("Action=CreateSecurityGroup&GroupName=a&GroupDescription=a&VpcId={vpc}")).await;
    let allow = format!("Action=AuthorizeSecurityGroupIngress&GroupId={}", group.value("groupId").unwrap());
    assert_eq!(outcome(&aws.ec2(&format!("{allow}{}", rules(1, 59))).await), "200");
    assert_eq!(outcome(&aws.ec2(&format!("{allow}{}", rules(100, 2))).await), "RulesPerSecurityGroupLimitExceeded");
    assert_eq!(outcome(&aws.ec2(&format!("{allow}{}", rules(100, 1))).await), "200");

    let subnet = |third: usize, zone: &str| {
        format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.0.{third}.0/24&AvailabilityZone=us-east-1{zone}")
    };
    let mut subnets = Vec::new();
    for (third, zone) in ["a", "a", "b"].into_iter().enumerate() {
        subnets.push(aws.ec2(&subnet(third, zone)).await.value("subnetId").unwrap().to_owned());
    }
    emulator.set_quota("vpc", "L-FE5A380F", Some(1)).await.unwrap();
    let nat = |subnet: &str| format!("Action=CreateNatGateway&ConnectivityType=private&SubnetId={subnet}");
    assert_eq!(outcome(&aws.ec2(&nat(&subnets[0])).await), "200");
    assert_eq!(outcome(&aws.ec2(&nat(&subnets[1])).await), "NatGatewayLimitExceeded");
    assert_eq!(outcome(&aws.ec2(&nat(&subnets[2])).await), "200", "in another zone");

    aws.s3("PUT", "/trail", &[], "").await;
    for number in 0..6 {
        let body = json!({ "Name": format!("trail-{number}"), "S3BucketName": "trail" }).to_string();
        let answer =
            aws.json("cloudtrail", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.CreateTrail", &body).await;
        assert_eq!(outcome(&answer), if number < 5 { "200" } else { "MaximumNumberOfTrailsExceededException" });
    }
    emulator.set_quota("s3", "L-DC2B2D3D", Some(1)).await.unwrap();
    assert_eq!(outcome(&aws.s3("PUT", "/second", &[], "").await), "TooManyBuckets");
    emulator.set_quota("route53", "L-4EA4796A", Some(1)).await.unwrap();
    for (number, expected) in [(1, "201"), (2, "TooManyHostedZones")] {
        let body = format!(
            "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>zone-{number}.payments.test</Name>\
             <CallerReference>{number}</CallerReference></CreateHostedZoneRequest>"
        );
        let answer = aws.send("route53", "us-east-1", "POST", "/2013-04-01/hostedzone", &[], &body).await.unwrap();
        assert_eq!(outcome(&answer), expected);
    }
    emulator.set_quota("rds", "L-952B80B8", Some(0)).await.unwrap();
    let cluster = "Action=CreateDBCluster&Version=2014-10-31&DBClusterIdentifier=a&Engine=aurora-postgresql\
                   &MasterUsername=payments&MasterUserPassword=password1";
    assert_eq!(outcome(&aws.form("rds", "us-east-1", cluster).await.unwrap()), "DBClusterQuotaExceededFault");
    emulator.set_quota("elasticloadbalancing", "L-53DA6B97", Some(0)).await.unwrap();
    let balancer = |kind: &str| {
        format!(
            "Action=CreateLoadBalancer&Version=2015-12-01&Name={kind}&Type={kind}&Subnets.member.1={}&Subnets.member.2={}",
            subnets[0], subnets[2]
        )
    };
    let created = aws.form("elasticloadbalancing", "us-east-1", &balancer("application")).await.unwrap();
    assert_eq!(outcome(&created), "TooManyLoadBalancers");
    let created = aws.form("elasticloadbalancing", "us-east-1", &balancer("network")).await.unwrap();
    assert_eq!(outcome(&created), "200");
}

#[tokio::test]
async fn service_quotas_tells_what_applies_and_a_test_sets_it() {
    let emulator = Emulator::builder().strict(false).start().await.unwrap();
    let aws = Aws::of(&emulator);
    for number in 1..=6 {
        assert_eq!(outcome(&aws.ec2(&format!("Action=CreateVpc&CidrBlock=10.{number}.0.0/16")).await), "200");
    }
    let vpcs = json!({ "ServiceCode": "vpc", "QuotaCode": "L-F678F1CE" });
    let quota = quotas(&aws, "GetServiceQuota", vpcs.clone()).await;
    assert_eq!((&quota["Quota"]["Value"], &quota["Quota"]["QuotaName"]), (&json!(1000.0), &json!("VPCs per Region")));
    emulator.set_quota("vpc", "L-F678F1CE", Some(7)).await.unwrap();
    assert_eq!(quotas(&aws, "GetServiceQuota", vpcs.clone()).await["Quota"]["Value"], 7.0);
    assert_eq!(quotas(&aws, "GetAWSDefaultServiceQuota", vpcs).await["Quota"]["Value"], 5.0);
    assert_eq!(outcome(&aws.ec2("Action=CreateVpc&CidrBlock=10.9.0.0/16").await), "VpcLimitExceeded");
    emulator.set_quota("vpc", "L-F678F1CE", None).await.unwrap();
    assert_eq!(outcome(&aws.ec2("Action=CreateVpc&CidrBlock=10.9.0.0/16").await), "200");
    assert!(emulator.set_quota("vpc", "L-00000000", Some(1)).await.is_err());

    let missing = json!({ "ServiceCode": "vpc", "QuotaCode": "L-00000000" });
    assert_eq!(quotas(&aws, "GetServiceQuota", missing).await["__type"], "NoSuchResourceException");
    let mut names = Vec::new();
    let mut token = Value::Null;
    for _ in 0..20 {
        let mut ask = json!({ "ServiceCode": "vpc", "MaxResults": 2 });
        if token.is_string() {
            ask["NextToken"] = token;
        }
        let page = quotas(&aws, "ListServiceQuotas", ask).await;
        let found = page["Quotas"].as_array().unwrap();
        assert!(found.len() <= 2);
        names.extend(found.iter().map(|quota| quota["QuotaName"].as_str().unwrap().to_owned()));
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert!(names.contains(&"VPCs per Region".to_owned()), "{names:?}");
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
}

async fn zone(aws: &Aws, name: &str) -> Answer {
    zone_by(aws, name, name).await
}

/// Another zone with a name that there is already.
async fn zone_again(aws: &Aws, name: &str) -> Answer {
    zone_by(aws, name, "again").await
}

async fn zone_by(aws: &Aws, name: &str, reference: &str) -> Answer {
    let body = format!(
        "<CreateHostedZoneRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Name>{name}</Name>\
         <CallerReference>{reference}</CallerReference></CreateHostedZoneRequest>"
    );
    aws.send("route53", "us-east-1", "POST", "/2013-04-01/hostedzone", &[], &body).await.unwrap()
}

/// Upserts a record in a zone.
async fn record(aws: &Aws, zone: &Answer, name: &str, kind: &str, value: &str) {
    let id = zone.value("Id").unwrap().trim_start_matches("/hostedzone/");
    let body = format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes><Change>\
         <Action>UPSERT</Action><ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type><TTL>60</TTL><ResourceRecords>\
         <ResourceRecord><Value>{value}</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes>\
         </ChangeBatch></ChangeResourceRecordSetsRequest>"
    );
    let path = format!("/2013-04-01/hostedzone/{id}/rrset/");
    let changed = aws.send("route53", "us-east-1", "POST", &path, &[], &body).await.unwrap();
    assert_eq!(changed.status, 200, "{changed:?}");
}

#[tokio::test]
async fn names_that_aws_reserves_have_no_zones() {
    let (emulator, aws) = strict().await;
    for name in ["example.com", "pay.example.com."] {
        let refused = zone(&aws, name).await;
        assert_eq!(outcome(&refused), "InvalidDomainName", "{refused:?}");
    }
    assert_eq!(outcome(&zone(&aws, "notexample.com").await), "201");
    let violations = emulator.calls().into_iter().filter_map(|call| call.violation);
    assert_eq!(
        violations.collect::<Vec<_>>(),
        ["example.com is reserved by AWS!", "pay.example.com is reserved by AWS!"]
    );
    let lax = Emulator::builder().strict(false).start().await.unwrap();
    assert_eq!(outcome(&zone(&Aws::of(&lax), "example.com").await), "201");
}

#[tokio::test]
async fn certificates_are_issued_when_their_zone_is_delegated() {
    let (emulator, aws) = strict().await;
    let parent = zone(&aws, "payments.test").await;
    let child = zone(&aws, "dev.payments.test").await;
    let body = json!({ "DomainName": "api.dev.payments.test", "ValidationMethod": "DNS" }).to_string();
    let requested = aws.json("acm", "CertificateManager.RequestCertificate", &body).await;
    let certificate: Value = serde_json::from_str(&requested.body).unwrap();
    let describe = async || -> Value {
        let answer = aws.json("acm", "CertificateManager.DescribeCertificate", &certificate.to_string()).await;
        serde_json::from_str::<Value>(&answer.body).unwrap()["Certificate"].take()
    };
    describe().await;
    let wanted = describe().await["DomainValidationOptions"][0]["ResourceRecord"].take();
    let text = |member: &str| wanted[member].as_str().unwrap().to_owned();
    record(&aws, &child, &text("Name"), "CNAME", &text("Value")).await;
    assert_eq!(describe().await["Status"], "PENDING_VALIDATION");
    record(&aws, &parent, "dev.payments.test", "NS", "ns-1.awsdns-1.org").await;
    assert_eq!(describe().await["Status"], "PENDING_VALIDATION", "the parent is not delegated");
    emulator.delegate("payments.test.");
    let issued = async || {
        for _ in 0..100 {
            if describe().await["Status"] == "ISSUED" {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        false
    };
    assert!(issued().await, "{:?}", describe().await);
}

/// The response code of public DNS, and the name servers, sorted.
async fn resolved(emulator: &Emulator, name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
    let mut question = Message::query();
    question.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&question.to_vec().unwrap(), emulator.resolver()).await.unwrap();
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).await.unwrap();
    let answer = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!((answer.metadata.id, &answer.queries), (question.metadata.id, &question.queries));
    let mut servers: Vec<_> = answer.answers.iter().map(|record| record.data.to_string()).collect();
    servers.sort();
    (answer.metadata.response_code, servers)
}

#[tokio::test]
async fn public_dns_has_the_name_servers_of_delegated_zones() {
    let (emulator, aws) = strict().await;
    let parent = zone(&aws, "payments.test").await;
    zone(&aws, "dev.payments.test").await;
    let servers = |answer: &Answer| {
        let servers = answer.body.split("<NameServer>").skip(1).filter_map(|rest| rest.split('<').next());
        let mut servers: Vec<_> = servers.map(|server| format!("{}.", server.trim_end_matches('.'))).collect();
        servers.sort();
        servers
    };
    let second = servers(&zone_again(&aws, "payments.test").await);
    assert!(second.iter().all(|server| !servers(&parent).contains(server)), "each zone has its own: {second:?}");
    let [none, found] = [(ResponseCode::NXDomain, Vec::new()), (ResponseCode::NoError, servers(&parent))];
    assert_eq!(found.1.len(), 4);
    assert_eq!(resolved(&emulator, "payments.test.", RecordType::NS).await, none);
    record(&aws, &parent, "dev.payments.test", "NS", "ns-1.awsdns-1.org").await;
    assert_eq!(resolved(&emulator, "dev.payments.test.", RecordType::NS).await, none, "the parent is not delegated");
    emulator.delegate("payments.test");
    assert_eq!(resolved(&emulator, "Payments.test.", RecordType::NS).await, found, "the oldest zone of the name");
    assert_eq!(resolved(&emulator, "dev.payments.test.", RecordType::NS).await.0, ResponseCode::NoError);
    assert_eq!(resolved(&emulator, "api.payments.test.", RecordType::NS).await, none, "it is not a zone");
    assert_eq!(resolved(&emulator, "payments.test.", RecordType::SOA).await.0, ResponseCode::NotImp);
    emulator.control().delegate("payments.test", false).await.unwrap();
    assert_eq!(resolved(&emulator, "payments.test.", RecordType::NS).await, none);

    let lax = Emulator::builder().strict(false).start().await.unwrap();
    assert_eq!(resolved(&lax, "payments.test.", RecordType::NS).await, none, "there is no zone");
    zone(&Aws::of(&lax), "payments.test").await;
    assert_eq!(resolved(&lax, "payments.test.", RecordType::NS).await.0, ResponseCode::NoError);
}

#[tokio::test]
async fn services_do_not_know_a_fresh_key_or_role() {
    let (emulator, aws) = strict().await;
    // Long enough for this test.
    emulator.set_latency_scale(Some(0.2));
    let created = aws.json("kms", "TrentService.CreateKey", "{}").await;
    let created: Value = serde_json::from_str(&created.body).unwrap();
    let (id, arn) = (&created["KeyMetadata"]["KeyId"], &created["KeyMetadata"]["Arn"]);
    let alias = json!({ "AliasName": "alias/payments", "TargetKeyId": id }).to_string();
    assert_eq!(outcome(&aws.json("kms", "TrentService.CreateAlias", &alias).await), "200");
    let table = |key: &Value| {
        json!({
            "TableName": "payments",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST",
            "SSESpecification": { "Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": key },
        })
        .to_string()
    };
    let create_table = async |key: &Value| aws.json("dynamodb", "DynamoDB_20120810.CreateTable", &table(key)).await;
    for key in [id, arn, &json!("alias/payments")] {
        let refused = create_table(key).await;
        assert_eq!(outcome(&refused), "ValidationException");
        assert!(refused.body.contains("KMS validation error"), "{refused:?}");
    }
    let secret = json!({ "Name": "payments", "SecretString": "s", "KmsKeyId": arn }).to_string();
    let refused = aws.json("secretsmanager", "secretsmanager.CreateSecret", &secret).await;
    assert_eq!(outcome(&refused), "AccessDeniedException");
    assert!(refused.body.contains("Access to KMS is not allowed"), "{refused:?}");

    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"vpc-flow-logs.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    let trust = trust.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let form = format!("Action=CreateRole&Version=2010-05-08&RoleName=flow&AssumeRolePolicyDocument={trust}");
    assert_eq!(outcome(&aws.form("iam", "us-east-1", &form).await.unwrap()), "200");
    let vpc = aws.ec2("Action=CreateVpc&CidrBlock=10.0.0.0/16").await;
    let flow = format!(
        "Action=CreateFlowLogs&ResourceType=VPC&TrafficType=ALL&ResourceId.1={}&LogGroupName=flow\
         &DeliverLogsPermissionArn=arn:aws:iam::123456789012:role/flow",
        vpc.value("vpcId").unwrap()
    );
    assert_eq!(outcome(&aws.ec2(&flow).await), "InvalidParameter");
    // Soon they are known.
    for _ in 0..100 {
        if outcome(&create_table(id).await) == "200" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the key is still not known");
}

/// A subnet of the default VPC's size in a new VPC, its group and its id.
async fn subnets(aws: &Aws) -> (String, Vec<String>) {
    let vpc = aws.ec2("Action=CreateVpc&CidrBlock=10.0.0.0/16").await.value("vpcId").unwrap().to_owned();
    let mut subnets = Vec::new();
    for (third, zone) in ["a", "b"].into_iter().enumerate() {
        let create =
            format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.0.{third}.0/24&AvailabilityZone=us-east-1{zone}");
        subnets.push(aws.ec2(&create).await.value("subnetId").unwrap().to_owned());
    }
    let group = aws.ec2(&format!("Action=CreateSecurityGroup&GroupName=a&GroupDescription=a&VpcId={vpc}")).await;
    (group.value("groupId").unwrap().to_owned(), subnets)
}

async fn interfaces_in(aws: &Aws, subnet: &str) -> Answer {
    aws.ec2(&format!("Action=DescribeNetworkInterfaces&Filter.1.Name=subnet-id&Filter.1.Value.1={subnet}")).await
}

/// Deletes a subnet as soon as it can be deleted.
async fn delete_soon(aws: &Aws, delete: &str) {
    for _ in 0..200 {
        if outcome(&aws.ec2(delete).await) == "200" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("still refused: {delete}");
}

#[tokio::test]
async fn interfaces_of_services_hold_their_subnets_and_groups_for_a_while() {
    let (_emulator, aws) = strict().await;
    let (group, subnets) = subnets(&aws).await;
    let elb = async |form: String| {
        let form = format!("Version=2015-12-01&{form}");
        aws.form("elasticloadbalancing", "us-east-1", &form).await.unwrap()
    };
    let [first, second] = [&subnets[0], &subnets[1]];
    let balancer = elb(format!(
        "Action=CreateLoadBalancer&Name=api&Scheme=internal&Subnets.member.1={first}&Subnets.member.2={second}&SecurityGroups.member.1={group}"
    ))
    .await;
    let arn = balancer.value("LoadBalancerArn").unwrap();
    let found = interfaces_in(&aws, first).await;
    assert!(found.value("description").unwrap().starts_with("ELB app/api/"), "{found:?}");
    assert_eq!(found.value("requesterId"), Some("amazon-elb"));
    assert_eq!(found.value("requesterManaged"), Some("true"));
    let interface = found.value("networkInterfaceId").unwrap();
    let delete = format!("Action=DeleteNetworkInterface&NetworkInterfaceId={interface}");
    assert_eq!(outcome(&aws.ec2(&delete).await), "AuthFailure");
    let rds = async |form: String| {
        let form = format!("Version=2014-10-31&{form}");
        aws.form("rds", "us-east-1", &form).await.unwrap()
    };
    let created = rds(format!(
        "Action=CreateDBSubnetGroup&DBSubnetGroupName=data&DBSubnetGroupDescription=data&SubnetIds.SubnetIdentifier.1={first}&SubnetIds.SubnetIdentifier.2={second}"
    ));
    assert_eq!(outcome(&created.await), "200");
    let created = rds(format!(
        "Action=CreateDBCluster&DBClusterIdentifier=data&Engine=aurora-postgresql&MasterUsername=payments&MasterUserPassword=password1&DBSubnetGroupName=data&VpcSecurityGroupIds.VpcSecurityGroupId.1={group}"
    ));
    assert_eq!(outcome(&created.await), "200");
    let instance = "Action=CreateDBInstance&DBInstanceIdentifier=data-1&DBClusterIdentifier=data&Engine=aurora-postgresql&DBInstanceClass=db.r6g.large";
    assert_eq!(outcome(&rds(instance.to_owned()).await), "200");
    let all = aws.ec2("Action=DescribeNetworkInterfaces").await;
    assert_eq!(all.body.matches("RDSNetworkInterface").count(), 1, "{all:?}");

    assert_eq!(outcome(&elb(format!("Action=DeleteLoadBalancer&LoadBalancerArn={arn}")).await), "200");
    assert_eq!(outcome(&rds("Action=DeleteDBInstance&DBInstanceIdentifier=data-1".to_owned()).await), "200");
    let deletes = [
        format!("Action=DeleteSubnet&SubnetId={first}"),
        format!("Action=DeleteSubnet&SubnetId={second}"),
        format!("Action=DeleteSecurityGroup&GroupId={group}"),
    ];
    for delete in &deletes {
        assert_eq!(outcome(&aws.ec2(delete).await), "DependencyViolation", "{delete}");
    }
    for delete in &deletes {
        delete_soon(&aws, delete).await;
    }
}

#[tokio::test]
async fn services_make_log_groups_and_make_them_again() {
    let (_emulator, aws) = strict().await;
    let logs = async |action: &str, body: Value| {
        let answer = aws.json("logs", &format!("Logs_20140328.{action}"), &body.to_string()).await;
        (outcome(&answer), answer.body)
    };
    let ecs = async |action: &str, body: Value| {
        let target = format!("AmazonEC2ContainerServiceV20141113.{action}");
        outcome(&aws.json("ecs", &target, &body.to_string()).await)
    };
    let insights = json!([{ "name": "containerInsights", "value": "enabled" }]);
    assert_eq!(ecs("CreateCluster", json!({ "clusterName": "plain" })).await, "200");
    assert_eq!(ecs("CreateCluster", json!({ "clusterName": "payments", "settings": insights })).await, "200");
    let group = json!({ "logGroupName": "/aws/ecs/containerinsights/payments/performance" });
    let listed = logs("DescribeLogGroups", json!({})).await.1;
    assert!(listed.contains("containerinsights/payments/performance") && !listed.contains("plain"), "{listed}");
    assert_eq!(logs("CreateLogGroup", group.clone()).await.0, "ResourceAlreadyExistsException");
    assert_eq!(logs("DeleteLogGroup", group.clone()).await.0, "200");
    assert_eq!(logs("CreateLogGroup", group.clone()).await.0, "ResourceAlreadyExistsException", "ECS still writes");
    assert_eq!(ecs("DeleteCluster", json!({ "cluster": "payments" })).await, "200");
    assert!(logs("DescribeLogGroups", json!({})).await.1.contains("containerinsights"), "it stays");
    assert_eq!(logs("DeleteLogGroup", group.clone()).await.0, "200");
    assert!(!logs("DescribeLogGroups", json!({})).await.1.contains("containerinsights"));

    for form in [
        "Action=CreateDBCluster&DBClusterIdentifier=data&Engine=aurora-postgresql&MasterUsername=payments\
         &MasterUserPassword=password1&EnableCloudwatchLogsExports.member.1=postgresql",
        "Action=CreateDBInstance&DBInstanceIdentifier=data-1&DBClusterIdentifier=data&Engine=aurora-postgresql\
         &DBInstanceClass=db.r6g.large&MonitoringInterval=60&MonitoringRoleArn=arn:aws:iam::123456789012:role/monitoring",
    ] {
        let created = aws.form("rds", "us-east-1", &format!("Version=2014-10-31&{form}")).await.unwrap();
        assert_eq!(outcome(&created), "200");
    }
    let listed = logs("DescribeLogGroups", json!({})).await.1;
    assert!(listed.contains("RDSOSMetrics") && listed.contains("/aws/rds/cluster/data/postgresql"), "{listed}");
}

#[tokio::test]
async fn alarms_and_rules_are_on_what_aws_publishes() {
    let (emulator, aws) = strict().await;
    let alarm = async |namespace: &str, metric: &str, dimension: &str| {
        let form = format!(
            "Action=PutMetricAlarm&Version=2010-08-01&AlarmName=a&Namespace={namespace}&MetricName={metric}&Statistic=Sum&Period=60\
             &EvaluationPeriods=1&Threshold=1&ComparisonOperator=GreaterThanThreshold&Dimensions.member.1.Name={dimension}\
             &Dimensions.member.1.Value=x"
        );
        outcome(&aws.form("monitoring", "us-east-1", &form).await.unwrap())
    };
    assert_eq!(alarm("AWS/Lambda", "Errors", "FunctionName").await, "200");
    assert_eq!(alarm("payments", "Declined", "Region").await, "200");
    assert_eq!(alarm("AWS/Lambda", "Failures", "FunctionName").await, "InvalidParameterValue");
    assert_eq!(alarm("AWS/RDS", "AuroraGlobalDBReplicationLag", "DBClusterIdentifier").await, "InvalidParameterValue");
    let rule = async |pattern: Value| {
        let body = json!({ "Name": "a", "EventPattern": pattern.to_string() }).to_string();
        outcome(&aws.json("events", "AWSEvents.PutRule", &body).await)
    };
    assert_eq!(rule(json!({ "source": ["aws.rds"], "detail-type": ["RDS DB Cluster Event"] })).await, "200");
    let unknown = json!({ "source": ["aws.rds"], "detail-type": ["RDS Cluster Event"] });
    assert_eq!(rule(unknown.clone()).await, "InvalidEventPatternException");
    let violations: Vec<_> = emulator.calls().into_iter().filter_map(|call| call.violation).collect();
    assert_eq!(violations.len(), 3);
    assert_eq!(violations[0], "AWS never publishes a metric Failures in AWS/Lambda");
    let lax = Emulator::builder().strict(false).start().await.unwrap();
    let body = json!({ "Name": "a", "EventPattern": unknown.to_string() }).to_string();
    assert_eq!(outcome(&Aws::of(&lax).json("events", "AWSEvents.PutRule", &body).await), "200");
}

/// All pages of a list, and the number of pages.
async fn pages(ask: impl AsyncFn(Option<String>) -> Answer, next: &str) -> (String, usize) {
    let (mut all, mut count, mut token) = (String::new(), 0, None);
    loop {
        let answer = ask(token).await;
        assert_eq!(outcome(&answer), "200", "{answer:?}");
        count += 1;
        let json: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        token = answer.value(next).or_else(|| json[next].as_str()).map(str::to_owned);
        all.push_str(&answer.body);
        if token.is_none() {
            return (all, count);
        }
        assert!(count < 100, "no end");
    }
}

#[tokio::test]
async fn pages_are_as_small_as_a_test_sets() {
    let emulator = Emulator::builder().strict(false).start().await.unwrap();
    let aws = Aws::of(&emulator);
    for number in 1..=3 {
        aws.ec2(&format!("Action=CreateVpc&CidrBlock=10.{number}.0.0/16")).await;
        zone(&aws, &format!("zone-{number}.test")).await;
        aws.json("kms", "TrentService.CreateKey", "{}").await;
        let group = "Action=CreateDBClusterParameterGroup&Version=2014-10-31&DBParameterGroupFamily=aurora-postgresql16&Description=a";
        let group = format!("{group}&DBClusterParameterGroupName=group-{number}");
        assert_eq!(outcome(&aws.form("rds", "us-east-1", &group).await.unwrap()), "200");
    }
    let vpcs = async |token: Option<String>| {
        let token = token.map(|token| format!("&NextToken={token}")).unwrap_or_default();
        aws.ec2(&format!("Action=DescribeVpcs{token}")).await
    };
    let groups = async |token: Option<String>| {
        let token = token.map(|token| format!("&Marker={token}")).unwrap_or_default();
        let form = format!("Action=DescribeDBClusterParameterGroups&Version=2014-10-31{token}");
        aws.form("rds", "us-east-1", &form).await.unwrap()
    };
    let zones = async |token: Option<String>| {
        let query = token.map(|token| format!("?marker={token}")).unwrap_or_default();
        let path = format!("/2013-04-01/hostedzone{query}");
        aws.send("route53", "us-east-1", "GET", &path, &[], "").await.unwrap()
    };
    let keys = async |token: Option<String>| {
        let body = token.map_or(json!({}), |token| json!({ "Marker": token }));
        aws.json("kms", "TrentService.ListKeys", &body.to_string()).await
    };
    let (whole, count) = pages(vpcs, "nextToken").await;
    assert_eq!((whole.matches("<vpcId>").count(), count), (4, 1), "with the default VPC");
    for size in [1, 2] {
        emulator.set_page_size(Some(size));
        let (all, count) = pages(vpcs, "nextToken").await;
        assert_eq!((all.matches("<vpcId>").count(), count), (4, 4_usize.div_ceil(size)));
        let (all, count) = pages(groups, "Marker").await;
        assert_eq!(all.matches("<DBClusterParameterGroupName>group-").count(), 3, "{all}");
        assert!(count >= 3_usize.div_ceil(size));
        let (all, count) = pages(zones, "NextMarker").await;
        assert_eq!((all.matches("<Name>zone-").count(), count), (3, 3_usize.div_ceil(size)));
        assert_eq!(all.matches("<IsTruncated>true").count(), count - 1);
        let (all, count) = pages(keys, "NextMarker").await;
        assert_eq!((all.matches("\"KeyArn\"").count(), count), (3, 3_usize.div_ceil(size)));
    }
}

#[tokio::test]
async fn pages_are_no_larger_than_those_of_aws() {
    let (_emulator, aws) = strict().await;
    for number in 0..60 {
        let form = format!(
            "Action=PutMetricAlarm&Version=2010-08-01&AlarmName=alarm-{number}&Namespace=payments&MetricName=Declined&Statistic=Sum\
             &Period=60&EvaluationPeriods=1&Threshold=1&ComparisonOperator=GreaterThanThreshold"
        );
        assert_eq!(outcome(&aws.form("monitoring", "us-east-1", &form).await.unwrap()), "200");
    }
    let describe = |more: &str| format!("Action=DescribeAlarms&Version=2010-08-01{more}");
    for (more, size) in [("", 50), ("&MaxRecords=100", 60), ("&MaxRecords=7", 7)] {
        let page = aws.form("monitoring", "us-east-1", &describe(more)).await.unwrap();
        assert_eq!(page.body.matches("<AlarmName>").count(), size, "{more}");
        assert_eq!(page.value("NextToken").is_some(), size < 60, "{more}");
    }
}
