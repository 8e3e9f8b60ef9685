//! Protection of data: deletion protection, final snapshots, and deletion windows.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all shared items are used here")]

mod support;

use payinfra_localstack::{ACCOUNT_ID, Emulator};
use support::{Answer, Aws};

const OTHER: &str = "210987654321";

/// Status and error code.
fn outcome(answer: &Answer) -> (u16, String) {
    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let code = answer.code().or_else(|| json["__type"].as_str()).unwrap_or_default();
    (answer.status.as_u16(), code.rsplit('#').next().unwrap_or_default().to_owned())
}

fn refused(code: &str) -> (u16, String) {
    (400, code.to_owned())
}

fn done() -> (u16, String) {
    (200, String::new())
}

struct Client {
    _emulator: Emulator,
    aws: Aws,
}

impl Client {
    async fn new() -> Self {
        let emulator = Emulator::start().await.unwrap();
        Self { aws: Aws::of(&emulator), _emulator: emulator }
    }

    async fn kms(&self, action: &str, body: &str) -> Answer {
        self.aws.json("kms", &format!("TrentService.{action}"), body).await
    }

    async fn secrets(&self, action: &str, body: &str) -> Answer {
        self.aws.json("secretsmanager", &format!("secretsmanager.{action}"), body).await
    }

    async fn ecs(&self, action: &str, body: &str) -> Answer {
        self.aws.json("ecs", &format!("AmazonEC2ContainerServiceV20141113.{action}"), body).await
    }

    async fn dynamodb(&self, region: &str, action: &str, body: &str) -> Answer {
        let target = format!("DynamoDB_20120810.{action}");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
        self.aws.send("dynamodb", region, "POST", "/", &headers, body).await.unwrap()
    }

    async fn rds(&self, form: &str) -> Answer {
        self.aws.form("rds", "us-east-1", &format!("Action={form}&Version=2014-10-31")).await.unwrap()
    }
}

/// A body for `PutBucketTagging`, which other operations ignore.
const TAGS: &str = "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet></TagSet></Tagging>";

#[tokio::test]
async fn buckets_have_the_owner_that_is_expected() {
    let client = Client::new().await;
    let s3 = |method: &'static str, path: &'static str, owner: &'static str| {
        let aws = &client.aws;
        async move { outcome(&aws.s3(method, path, &[("x-amz-expected-bucket-owner", owner)], TAGS).await) }
    };
    assert_eq!(outcome(&client.aws.s3("PUT", "/bucket", &[], "").await), done());
    for (method, path) in [
        ("PUT", "/bucket/key"),
        ("GET", "/bucket/key"),
        ("HEAD", "/bucket"),
        ("HEAD", "/bucket/key"),
        ("GET", "/bucket?list-type=2"),
        ("GET", "/bucket?versions"),
        ("GET", "/bucket?versioning"),
        ("PUT", "/bucket?tagging"),
        ("DELETE", "/bucket/key"),
        ("DELETE", "/bucket"),
    ] {
        let (status, code) = s3(method, path, OTHER).await;
        // A response to HEAD has no body.
        assert_eq!((status, code == "AccessDenied"), (403, method != "HEAD"), "{method} {path}");
    }
    // In the query of a presigned URL, and for the source of a copy.
    let presigned = format!("/bucket/key?x-amz-expected-bucket-owner={OTHER}");
    assert_eq!(outcome(&client.aws.s3("GET", &presigned, &[], "").await), (403, "AccessDenied".to_owned()));
    let copied = [("x-amz-copy-source", "bucket/key"), ("x-amz-source-expected-bucket-owner", OTHER)];
    assert_eq!(outcome(&client.aws.s3("PUT", "/bucket/copy", &copied, "").await), (403, "AccessDenied".to_owned()));
    // Nothing was changed, and the owner has access.
    assert!(!client.aws.s3("GET", "/bucket?list-type=2", &[], "").await.body.contains("<Key>"));
    assert_eq!(s3("PUT", "/bucket/key", ACCOUNT_ID).await, done());
    assert_eq!(s3("GET", "/bucket/key", ACCOUNT_ID).await, done());
    assert_eq!(s3("HEAD", "/bucket", ACCOUNT_ID).await, done());
}

#[tokio::test]
async fn versions_of_objects_are_listed_and_read() {
    let client = Client::new().await;
    let aws = &client.aws;
    let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    aws.s3("PUT", "/bucket", &[], "").await;
    assert_eq!(outcome(&aws.s3("PUT", "/bucket?versioning", &[], on).await), done());
    for text in ["one", "two"] {
        aws.s3("PUT", "/bucket/workspaces/state.json", &[], text).await;
    }
    aws.s3("PUT", "/bucket/workspaces/state.json.other", &[], "three").await;
    assert_eq!(aws.s3("DELETE", "/bucket/workspaces/state.json", &[], "").await.status, 204);
    let listed = aws.s3("GET", "/bucket?versions&prefix=workspaces%2Fstate.json", &[], "").await;
    assert_eq!(listed.body.matches("<Version>").count(), 3, "{listed:?}");
    assert_eq!(listed.body.matches("<DeleteMarker>").count(), 1, "{listed:?}");
    assert_eq!(aws.s3("GET", "/bucket/workspaces/state.json", &[], "").await.status, 404);
    // Newest first.
    let versions = listed.body.split("<Version>").skip(1).filter(|entry| entry.contains("state.json</Key>"));
    let ids: Vec<_> =
        versions.map(|entry| entry.split_once("<VersionId>").unwrap().1.split_once('<').unwrap().0).collect();
    assert_eq!(ids.len(), 2);
    for (id, text) in ids.iter().zip(["two", "one"]) {
        assert_eq!(aws.s3("GET", &format!("/bucket/workspaces/state.json?versionId={id}"), &[], "").await.body, text);
    }
}

#[tokio::test]
async fn a_key_waits_for_its_deletion_and_comes_back() {
    let client = Client::new().await;
    let created = client.kms("CreateKey", "{}").await;
    let key: serde_json::Value = serde_json::from_str(&created.body).unwrap();
    let key = key["KeyMetadata"]["KeyId"].as_str().unwrap();
    let id = format!(r#"{{"KeyId": "{key}"}}"#);
    let state = || async {
        let described: serde_json::Value = serde_json::from_str(&client.kms("DescribeKey", &id).await.body).unwrap();
        let metadata = &described["KeyMetadata"];
        (metadata["KeyState"].as_str().unwrap().to_owned(), metadata["DeletionDate"].is_number())
    };
    assert_eq!(outcome(&client.kms("CancelKeyDeletion", &id).await), refused("KMSInvalidStateException"));
    assert_eq!(outcome(&client.kms("EnableKeyRotation", &id).await), done());
    assert_eq!(outcome(&client.kms("ScheduleKeyDeletion", &id).await), done());
    assert_eq!(state().await, ("PendingDeletion".to_owned(), true));
    let plaintext = format!(r#"{{"KeyId": "{key}", "Plaintext": "cGF5"}}"#);
    let data_key = format!(r#"{{"KeyId": "{key}", "KeySpec": "AES_256"}}"#);
    let everyone = r#"{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}}"#;
    let policy = serde_json::json!({ "KeyId": key, "PolicyName": "default", "Policy": everyone }).to_string();
    let tag = format!(r#"{{"KeyId": "{key}", "Tags": [{{"TagKey": "a", "TagValue": "b"}}]}}"#);
    let described = format!(r#"{{"KeyId": "{key}", "Description": "d"}}"#);
    let alias = format!(r#"{{"TargetKeyId": "{key}", "AliasName": "alias/a"}}"#);
    for (action, body) in [
        ("EnableKeyRotation", &id),
        ("DisableKeyRotation", &id),
        ("EnableKey", &id),
        ("DisableKey", &id),
        ("ScheduleKeyDeletion", &id),
        ("Encrypt", &plaintext),
        ("GenerateDataKey", &data_key),
        ("TagResource", &tag),
        ("UpdateKeyDescription", &described),
        ("CreateAlias", &alias),
    ] {
        assert_eq!(outcome(&client.kms(action, body).await), refused("KMSInvalidStateException"), "{action}");
    }
    assert_eq!(outcome(&client.kms("PutKeyPolicy", &policy).await), done());
    assert!(client.kms("GetKeyRotationStatus", &id).await.body.contains("false"));
    assert_eq!(outcome(&client.kms("CancelKeyDeletion", &id).await), done());
    assert_eq!(state().await, ("Disabled".to_owned(), false));
    assert!(client.kms("GetKeyRotationStatus", &id).await.body.contains("true"));
    for (action, body) in [("Encrypt", &plaintext), ("EnableKeyRotation", &id), ("DisableKeyRotation", &id)] {
        assert_eq!(outcome(&client.kms(action, body).await), refused("DisabledException"), "{action}");
    }
    assert_eq!(outcome(&client.kms("EnableKey", &id).await), done());
    assert_eq!(state().await, ("Enabled".to_owned(), false));
    assert_eq!(outcome(&client.kms("Encrypt", &plaintext).await), done());
}

#[tokio::test]
async fn a_secret_is_created_with_its_replicas() {
    let client = Client::new().await;
    let create = r#"{"Name": "secret", "SecretString": "s", "AddReplicaRegions": [{"Region": "REGION"}]}"#;
    let home = create.replace("REGION", "us-east-1");
    assert_eq!(outcome(&client.secrets("CreateSecret", &home).await), refused("InvalidParameterException"));
    let created = client.secrets("CreateSecret", &create.replace("REGION", "us-east-2")).await;
    assert!(created.body.contains("InSync"), "{created:?}");
    let created: serde_json::Value = serde_json::from_str(&created.body).unwrap();
    let arn = created["ARN"].as_str().unwrap().replace("us-east-1", "us-east-2");
    let body = serde_json::json!({ "SecretId": arn }).to_string();
    let target = "secretsmanager.GetSecretValue";
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
    let read = client.aws.send("secretsmanager", "us-east-2", "POST", "/", &headers, &body).await.unwrap();
    assert_eq!(outcome(&read), done(), "{read:?}");
}

#[tokio::test]
async fn a_secret_waits_for_its_deletion_and_comes_back() {
    let client = Client::new().await;
    let create = r#"{"Name": "secret", "SecretString": "s"}"#;
    let id = r#"{"SecretId": "secret"}"#;
    assert_eq!(outcome(&client.secrets("CreateSecret", create).await), done());
    assert_eq!(outcome(&client.secrets("CreateSecret", create).await), refused("ResourceExistsException"));
    let window = r#"{"SecretId": "secret", "RecoveryWindowInDays": 7}"#;
    assert_eq!(outcome(&client.secrets("DeleteSecret", window).await), done());
    assert!(client.secrets("DescribeSecret", id).await.body.contains("DeletedDate"));
    let again = client.secrets("CreateSecret", create).await;
    assert_eq!(outcome(&again), refused("InvalidRequestException"));
    assert!(again.body.contains("scheduled for deletion"), "{again:?}");
    let everyone = r#"{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}}"#;
    let policy = serde_json::json!({ "SecretId": "secret", "ResourcePolicy": everyone }).to_string();
    for (action, body) in [
        ("GetSecretValue", id),
        ("PutSecretValue", r#"{"SecretId": "secret", "SecretString": "t"}"#),
        ("UpdateSecret", r#"{"SecretId": "secret", "Description": "d"}"#),
        ("TagResource", r#"{"SecretId": "secret", "Tags": [{"Key": "a", "Value": "b"}]}"#),
        ("PutResourcePolicy", policy.as_str()),
        ("GetResourcePolicy", id),
        ("DeleteResourcePolicy", id),
        ("DeleteSecret", id),
    ] {
        assert_eq!(outcome(&client.secrets(action, body).await), refused("InvalidRequestException"), "{action}");
    }
    assert!(!client.secrets("ListSecrets", "{}").await.body.contains("secret"));
    assert_eq!(outcome(&client.secrets("RestoreSecret", id).await), done());
    assert!(!client.secrets("DescribeSecret", id).await.body.contains("DeletedDate"));
    assert!(client.secrets("GetSecretValue", id).await.body.contains("\"s\""));
    assert!(client.secrets("ListSecrets", "{}").await.body.contains("\"secret\""));
}

#[tokio::test]
async fn a_deleted_cluster_is_inactive_and_its_name_free() {
    let client = Client::new().await;
    let state = || async {
        let described = client.ecs("DescribeClusters", r#"{"clusters": ["cluster"]}"#).await;
        let described: serde_json::Value = serde_json::from_str(&described.body).unwrap();
        described["clusters"][0]["status"].as_str().unwrap_or("MISSING").to_owned()
    };
    assert_eq!(state().await, "MISSING");
    client.ecs("CreateCluster", r#"{"clusterName": "cluster"}"#).await;
    assert_eq!(state().await, "ACTIVE");
    assert_eq!(outcome(&client.ecs("DeleteCluster", r#"{"cluster": "cluster"}"#).await), done());
    assert_eq!(state().await, "INACTIVE");
    assert!(!client.ecs("ListClusters", "{}").await.body.contains("cluster/cluster"));
    let run = r#"{"cluster": "cluster", "taskDefinition": "task"}"#;
    let serve = r#"{"cluster": "cluster", "serviceName": "service", "taskDefinition": "task"}"#;
    let update = r#"{"cluster": "cluster", "settings": [{"name": "containerInsights", "value": "enabled"}]}"#;
    for (action, body) in [("RunTask", run), ("CreateService", serve), ("UpdateCluster", update)] {
        let answer = client.ecs(action, body).await;
        assert_eq!(outcome(&answer), refused("ClusterNotFoundException"), "{action}");
        assert!(answer.body.contains("The referenced cluster was inactive"), "{answer:?}");
    }
    let arn = format!("arn:aws:ecs:us-east-1:{ACCOUNT_ID}:cluster/cluster");
    let tag = format!(r#"{{"resourceArn": "{arn}", "tags": [{{"key": "a", "value": "b"}}]}}"#);
    let tags = format!(r#"{{"resourceArn": "{arn}"}}"#);
    for (action, body) in [("TagResource", &tag), ("ListTagsForResource", &tags)] {
        assert_eq!(outcome(&client.ecs(action, body).await), refused("InvalidParameterException"), "{action}");
    }
    assert_eq!(outcome(&client.ecs("CreateCluster", r#"{"clusterName": "cluster"}"#).await), done());
    assert_eq!(state().await, "ACTIVE");
    assert_eq!(outcome(&client.ecs("TagResource", &tag).await), done());
}

#[tokio::test]
async fn databases_go_when_protection_is_off_and_leave_a_snapshot() {
    let client = Client::new().await;
    let cluster = "DBClusterIdentifier=cluster";
    let create = "Engine=aurora-postgresql&MasterUsername=main&MasterUserPassword=password&DeletionProtection=true\
                  &CopyTagsToSnapshot=true&Tags.Tag.1.Key=Project&Tags.Tag.1.Value=payments";
    assert_eq!(outcome(&client.rds(&format!("CreateDBCluster&{cluster}&{create}")).await), done());
    for last in ["SkipFinalSnapshot=true", "FinalDBSnapshotIdentifier=last"] {
        let protected = client.rds(&format!("DeleteDBCluster&{cluster}&{last}")).await;
        assert_eq!(outcome(&protected), refused("InvalidParameterCombination"));
        assert!(protected.body.contains("disable deletion protection"), "{protected:?}");
    }
    assert_eq!(
        outcome(
            &client.rds(&format!("ModifyDBCluster&{cluster}&DeletionProtection=false&ApplyImmediately=true")).await
        ),
        done()
    );
    for last in ["SkipFinalSnapshot=false", "SkipFinalSnapshot=true&FinalDBSnapshotIdentifier=last"] {
        let unclear = client.rds(&format!("DeleteDBCluster&{cluster}&{last}")).await;
        assert_eq!(outcome(&unclear), refused("InvalidParameterCombination"), "{last}");
        assert!(unclear.body.contains("FinalDBSnapshotIdentifier"), "{unclear:?}");
    }
    client.rds(&format!("CreateDBClusterSnapshot&{cluster}&DBClusterSnapshotIdentifier=taken")).await;
    let taken = client.rds(&format!("DeleteDBCluster&{cluster}&FinalDBSnapshotIdentifier=taken")).await;
    assert_eq!(outcome(&taken), refused("DBClusterSnapshotAlreadyExistsFault"));
    assert_eq!(outcome(&client.rds(&format!("DescribeDBClusters&{cluster}")).await), done());
    assert_eq!(
        outcome(&client.rds(&format!("DeleteDBCluster&{cluster}&FinalDBSnapshotIdentifier=last")).await),
        done()
    );
    assert_eq!(client.rds(&format!("DescribeDBClusters&{cluster}")).await.status, 404);

    let last = "DBClusterSnapshotIdentifier=last";
    let found = client.rds(&format!("DescribeDBClusterSnapshots&{last}")).await;
    assert_eq!(outcome(&found), done());
    assert_eq!(found.value("DBClusterIdentifier"), Some("cluster"));
    assert_eq!(found.value("Status"), Some("available"));
    assert!(found.body.contains("<Key>Project</Key>"), "{found:?}");
    let arn = found.value("DBClusterSnapshotArn").unwrap();
    let tags = client.rds(&format!("ListTagsForResource&ResourceName={arn}")).await;
    assert!(tags.body.contains("<Value>payments</Value>"), "{tags:?}");
    assert_eq!(outcome(&client.rds(&format!("DeleteDBClusterSnapshot&{last}")).await), done());
    let gone = client.rds(&format!("DescribeDBClusterSnapshots&{last}")).await;
    assert_eq!(gone.code(), Some("DBClusterSnapshotNotFoundFault"));
}

#[tokio::test]
async fn instances_and_global_databases_are_protected() {
    let client = Client::new().await;
    let create = "Engine=postgres&DBInstanceClass=db.t3.micro&AllocatedStorage=20&MasterUsername=main\
                  &MasterUserPassword=password&DeletionProtection=true";
    assert_eq!(outcome(&client.rds(&format!("CreateDBInstance&DBInstanceIdentifier=one&{create}")).await), done());
    let delete = "DeleteDBInstance&DBInstanceIdentifier=one";
    let protected = client.rds(&format!("{delete}&SkipFinalSnapshot=true")).await;
    assert_eq!(outcome(&protected), refused("InvalidParameterCombination"));
    client.rds("ModifyDBInstance&DBInstanceIdentifier=one&DeletionProtection=false&ApplyImmediately=true").await;
    assert_eq!(outcome(&client.rds(delete).await), refused("InvalidParameterCombination"));
    assert_eq!(outcome(&client.rds(&format!("{delete}&SkipFinalSnapshot=true")).await), done());

    let global = "GlobalClusterIdentifier=global";
    let create = format!("CreateGlobalCluster&{global}&Engine=aurora-postgresql&DeletionProtection=true");
    assert_eq!(outcome(&client.rds(&create).await), done());
    let delete = format!("DeleteGlobalCluster&{global}");
    assert_eq!(outcome(&client.rds(&delete).await), refused("InvalidParameterCombination"));
    client.rds(&format!("ModifyGlobalCluster&{global}&DeletionProtection=false")).await;
    assert_eq!(outcome(&client.rds(&delete).await), done());

    // A member of a cluster has no final snapshot of its own.
    let create = "Engine=aurora-postgresql&MasterUsername=main&MasterUserPassword=password";
    client.rds(&format!("CreateDBCluster&DBClusterIdentifier=cluster&{create}")).await;
    let member = "Engine=aurora-postgresql&DBInstanceClass=db.r6g.large&DBClusterIdentifier=cluster";
    assert_eq!(outcome(&client.rds(&format!("CreateDBInstance&DBInstanceIdentifier=member&{member}")).await), done());
    assert_eq!(outcome(&client.rds("DeleteDBInstance&DBInstanceIdentifier=member").await), done());
}

#[tokio::test]
async fn tables_and_their_replicas_are_protected() {
    let client = Client::new().await;
    let create = r#"{"TableName": "table", "BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": true,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}}"#;
    let name = r#"{"TableName": "table"}"#;
    let (home, far) = ("us-east-1", "us-east-2");
    let protect = |on: bool| format!(r#"{{"TableName": "table", "DeletionProtectionEnabled": {on}}}"#);
    let replica = |action: &str| {
        format!(r#"{{"TableName": "table", "ReplicaUpdates": [{{"{action}": {{"RegionName": "us-east-2"}}}}]}}"#)
    };
    let validation = refused("ValidationException");
    assert_eq!(outcome(&client.dynamodb(home, "CreateTable", create).await), done());
    assert_eq!(outcome(&client.dynamodb(home, "DeleteTable", name).await), validation);
    assert_eq!(outcome(&client.dynamodb(home, "UpdateTable", &replica("Create")).await), done());
    assert_eq!(outcome(&client.dynamodb(far, "UpdateTable", &protect(true)).await), done());
    assert_eq!(outcome(&client.dynamodb(home, "UpdateTable", &replica("Delete")).await), validation);
    assert_eq!(outcome(&client.dynamodb(far, "DeleteTable", name).await), validation);
    assert_eq!(outcome(&client.dynamodb(far, "DescribeTable", name).await), done());
    assert_eq!(outcome(&client.dynamodb(far, "UpdateTable", &protect(false)).await), done());
    assert_eq!(outcome(&client.dynamodb(home, "UpdateTable", &replica("Delete")).await), done());
    assert_eq!(outcome(&client.dynamodb(far, "DescribeTable", name).await), refused("ResourceNotFoundException"));
    assert_eq!(outcome(&client.dynamodb(home, "UpdateTable", &protect(false)).await), done());
    assert_eq!(outcome(&client.dynamodb(home, "DeleteTable", name).await), done());
}

#[tokio::test]
async fn replicas_outlive_the_table_that_they_were_added_to() {
    let client = Client::new().await;
    let create = r#"{"TableName": "table", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"}}"#;
    let name = r#"{"TableName": "table"}"#;
    let (home, far, farther) = ("us-east-1", "us-east-2", "us-west-2");
    let replica = |action: &str, region: &str| {
        format!(r#"{{"TableName": "table", "ReplicaUpdates": [{{"{action}": {{"RegionName": "{region}"}}}}]}}"#)
    };
    let arn = format!("arn:aws:dynamodb:{far}:{ACCOUNT_ID}:table/table");
    let tag = format!(r#"{{"ResourceArn": "{arn}", "Tags": [{{"Key": "a", "Value": "b"}}]}}"#);
    let tags = format!(r#"{{"ResourceArn": "{arn}"}}"#);
    let missing = refused("ResourceNotFoundException");
    assert_eq!(outcome(&client.dynamodb(home, "CreateTable", create).await), done());
    for region in [far, farther] {
        assert_eq!(outcome(&client.dynamodb(home, "UpdateTable", &replica("Create", region)).await), done());
    }
    let item = r#"{"TableName": "table", "Item": {"id": {"S": "one"}}}"#;
    assert_eq!(outcome(&client.dynamodb(home, "PutItem", item).await), done());
    assert_eq!(outcome(&client.dynamodb(far, "TagResource", &tag).await), done());

    assert_eq!(outcome(&client.dynamodb(home, "DeleteTable", name).await), done());
    assert_eq!(outcome(&client.dynamodb(home, "DescribeTable", name).await), missing);
    let left = client.dynamodb(far, "DescribeTable", name).await;
    assert!(left.body.contains(r#""us-west-2""#) && !left.body.contains(r#""us-east-1""#), "{left:?}");
    assert!(client.dynamodb(farther, "Scan", name).await.body.contains("one"));
    assert!(client.dynamodb(far, "ListTagsOfResource", &tags).await.body.contains(r#""a""#));
    // A new table with the same name in the home region is not their source.
    assert_eq!(outcome(&client.dynamodb(home, "CreateTable", create).await), done());
    let taken = client.dynamodb(home, "UpdateTable", &replica("Create", far)).await;
    assert_eq!(outcome(&taken), refused("ValidationException"));
    assert_eq!(outcome(&client.dynamodb(home, "DeleteTable", name).await), done());

    assert_eq!(outcome(&client.dynamodb(far, "UpdateTable", &replica("Delete", farther)).await), done());
    assert_eq!(outcome(&client.dynamodb(farther, "DescribeTable", name).await), missing);
    assert!(!client.dynamodb(far, "DescribeTable", name).await.body.contains("us-west-2"));
    assert_eq!(outcome(&client.dynamodb(far, "DeleteTable", name).await), done());
    assert_eq!(outcome(&client.dynamodb(far, "DescribeTable", name).await), missing);
}

#[tokio::test]
async fn load_balancers_are_protected() {
    let client = Client::new().await;
    let elb = |form: String| {
        let aws = &client.aws;
        async move {
            aws.form("elasticloadbalancing", "us-east-1", &format!("Action={form}&Version=2015-12-01")).await.unwrap()
        }
    };
    let vpc = client.aws.ec2("Action=CreateVpc&CidrBlock=10.50.0.0/16").await;
    let vpc = vpc.value("vpcId").unwrap();
    let mut subnets = String::new();
    for (index, zone) in [(1, "a"), (2, "b")] {
        let form =
            format!("Action=CreateSubnet&VpcId={vpc}&CidrBlock=10.50.{index}.0/24&AvailabilityZone=us-east-1{zone}");
        let subnet = client.aws.ec2(&form).await;
        subnets = format!("{subnets}&Subnets.member.{index}={}", subnet.value("subnetId").unwrap());
    }
    let created = elb(format!("CreateLoadBalancer&Name=one&Scheme=internal{subnets}")).await;
    let arn = created.value("LoadBalancerArn").unwrap().to_owned();
    let protect = |on: bool| {
        format!(
            "ModifyLoadBalancerAttributes&LoadBalancerArn={arn}&Attributes.member.1.Key=deletion_protection.enabled\
             &Attributes.member.1.Value={on}"
        )
    };
    assert_eq!(outcome(&elb(protect(true)).await), done());
    let delete = format!("DeleteLoadBalancer&LoadBalancerArn={arn}");
    assert_eq!(outcome(&elb(delete.clone()).await), refused("OperationNotPermitted"));
    assert_eq!(outcome(&elb(protect(false)).await), done());
    assert_eq!(outcome(&elb(delete).await), done());
}
