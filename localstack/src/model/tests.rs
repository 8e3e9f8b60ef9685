//! Requests as the SDKs send them, against AWS's models.
#![expect(clippy::unwrap_used, reason = "tests")]

use bytes::Bytes;

use super::*;
use crate::route::Scope;

const FORM: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded")];

fn request(service: &str, method: &str, uri: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request {
    let scope = Scope { access_key: "test".into(), region: "us-east-1".into(), service: service.into() };
    let headers = headers.iter().map(|(name, value)| {
        (name.parse::<hyper::header::HeaderName>().unwrap(), value.parse::<hyper::header::HeaderValue>().unwrap())
    });
    Request::new(scope, method.parse().unwrap(), uri.parse().unwrap(), headers.collect(), body.into())
}

fn form(service: &str, body: &str) -> Request {
    request(service, "POST", "/", FORM, body.to_owned())
}

fn json(service: &str, target: &str, body: &str) -> Request {
    request(service, "POST", "/", &[("x-amz-target", target)], body.to_owned())
}

fn models() -> Arc<Models> {
    Models::open(&venv::interpreter("requirements.txt").unwrap()).unwrap()
}

/// The service's code and the message, or an empty text for a request that is accepted.
async fn refusal(request: &Request) -> String {
    refusal_of(request, &Roles::default()).await
}

async fn refusal_of(request: &Request, roles: &Roles) -> String {
    let models = models();
    let service = models.service(folder(request).unwrap()).await.unwrap();
    assert!(service.operation(request).is_some(), "unknown operation {} {}", request.action, request.uri);
    match models.refuse(request, roles).await {
        Some(refused) => {
            let code = refused.answer.error_code();
            let code = code.or_else(|| refused.answer.text().contains("__type").then(|| "CBOR".to_owned()));
            format!("{}: {}", code.unwrap(), refused.message)
        }
        None => String::new(),
    }
}

/// Percent encoding of all bytes.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02X}"))
}

const TRUST_POLICY: &str = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22ecs-tasks.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";

#[tokio::test]
async fn requests_of_query_services() {
    let role = |rest: &str| {
        let body = format!("Action=CreateRole&Version=2010-05-08&AssumeRolePolicyDocument={TRUST_POLICY}{rest}");
        form("iam", &body)
    };
    for (request, expected) in [
        (role("&RoleName=a&Tags.member.1.Key=CostCenter&Tags.member.1.Value=Research+%2B+Development"), ""),
        (role("&RoleName=a&MaxSessionDuration=3600&Tags=&Description=%C3%A9"), ""),
        (
            role("&RoleName=a&Tags.member.1.Key=CostCenter&Tags.member.1.Value=R%26D"),
            "ValidationError: 1 validation error detected: Value 'R&D' at 'tags.1.member.value' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*",
        ),
        (
            role(""),
            "ValidationError: 1 validation error detected: Value null at 'roleName' failed to satisfy constraint: \
             Member must not be null",
        ),
        (
            role("&RoleName=a&MaxSessionDuration=60"),
            "ValidationError: 1 validation error detected: Value '60' at 'maxSessionDuration' failed to satisfy \
             constraint: Member must have value greater than or equal to 3600",
        ),
        (
            role("&RoleName=a&MaxSessionDuration=long"),
            "MalformedInput: 1 validation error detected: Value 'long' at 'maxSessionDuration' failed to satisfy \
             constraint: Member must be an integer",
        ),
        (
            role("&RoleName=a&Colour=red"),
            "ValidationError: 1 validation error detected: Value '' at 'colour' failed to satisfy constraint: Member \
             must be one that the operation has",
        ),
        (
            form(
                "rds",
                "Action=CreateDBCluster&Version=2014-10-31&DBClusterIdentifier=a&Engine=aurora-mysql\
                 &VpcSecurityGroupIds.VpcSecurityGroupId.1=sg-1&Tags.Tag.1.Key=k&Tags.Tag.1.Value=v\
                 &EnableCloudwatchLogsExports.member.1=audit&StorageEncrypted=true&Port=3306",
            ),
            "",
        ),
        (
            form(
                "sns",
                "Action=CreateTopic&Version=2010-03-31&Name=a&Attributes.entry.1.key=KmsMasterKeyId\
                 &Attributes.entry.1.value=k&Tags.member.1.Key=a&Tags.member.1.Value=b",
            ),
            "",
        ),
        (
            form(
                "monitoring",
                "Action=PutMetricAlarm&Version=2010-08-01&AlarmName=a&ComparisonOperator=Above&EvaluationPeriods=1\
                 &Dimensions.member.1.Name=a&Dimensions.member.1.Value=b&Threshold=1.5",
            ),
            "ValidationError: 1 validation error detected: Value 'Above' at 'comparisonOperator' failed to satisfy \
             constraint: Member must satisfy enum value set: [GreaterThanOrEqualToThreshold, GreaterThanThreshold, \
             LessThanThreshold, LessThanOrEqualToThreshold, LessThanLowerOrGreaterThanUpperThreshold, \
             LessThanLowerThreshold, GreaterThanUpperThreshold]",
        ),
    ] {
        assert_eq!(refusal(&request).await, expected);
    }
}

#[tokio::test]
async fn requests_of_ec2() {
    for (body, expected) in [
        (
            "Action=CreateVpc&CidrBlock=10.0.0.0%2F16&TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=a\
             &TagSpecification.1.Tag.1.Value=b",
            "",
        ),
        ("Action=DescribeVpcs&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&MaxResults=100", ""),
        (
            "Action=CreateSubnet&CidrBlock=10.0.0.0%2F24",
            "MissingParameter: 1 validation error detected: Value null at 'vpcId' failed to satisfy constraint: Member \
             must not be null",
        ),
        (
            "Action=DescribeVpcs&Filters.1.Name=vpc-id",
            "UnknownParameter: 1 validation error detected: Value '' at 'filters' failed to satisfy constraint: Member \
             must be one that the operation has",
        ),
        (
            "Action=DescribeVpcs&MaxResults=2",
            "InvalidParameterValue: 1 validation error detected: Value '2' at 'maxResults' failed to satisfy constraint: \
             Member must have value greater than or equal to 5",
        ),
    ] {
        assert_eq!(refusal(&form("ec2", body)).await, expected, "{body}");
    }
}

#[tokio::test]
async fn requests_of_json_services() {
    let cluster = "AmazonEC2ContainerServiceV20141113.CreateCluster";
    let alarm = b"\xbf\x69AlarmName\x61a\x71EvaluationPeriods\x01\x72ComparisonOperator\x74GreaterThanThreshold\xff";
    let cbor = |body: &'static [u8]| {
        let path = "/service/GraniteServiceVersion20100801/operation/PutMetricAlarm";
        request("monitoring", "POST", path, &[("smithy-protocol", "rpc-v2-cbor")], body)
    };
    for (request, expected) in [
        (json("ecs", cluster, r#"{"clusterName": "a", "tags": [{"key": "a", "value": "b"}]}"#), ""),
        (
            json("ecs", cluster, r#"{"clusterName": "a", "tags": [{"key": "a", "value": "R&D"}]}"#),
            "InvalidParameterException: 1 validation error detected: Value 'R&D' at 'tags.1.member.value' failed to satisfy \
             constraint: Member must satisfy regular expression pattern: ([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)",
        ),
        (
            json("ecs", cluster, r#"{"ClusterName": 1}"#),
            "InvalidParameterException: 1 validation error detected: Value '' at 'clusterName' failed to satisfy \
             constraint: Member must be one that the operation has",
        ),
        (
            json("ecs", cluster, r#"{"clusterName": 1}"#),
            "SerializationException: 1 validation error detected: Value '1' at 'clusterName' failed to satisfy constraint: \
             Member must be a string",
        ),
        (
            json("kms", "TrentService.ScheduleKeyDeletion", r#"{"KeyId": "", "PendingWindowInDays": 400}"#),
            "ValidationException: 2 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: Member \
             must have length greater than or equal to 1; Value '400' at 'pendingWindowInDays' failed to satisfy constraint: \
             Member must have value less than or equal to 365",
        ),
        (json("kms", "TrentService.CreateKey", "{}"), ""),
        (
            json(
                "dynamodb",
                "DynamoDB_20120810.PutItem",
                r#"{"TableName": "abc", "Item": {"k": {"M": {"a": {"N": "1"}}}}}"#,
            ),
            "",
        ),
        (
            json("dynamodb", "DynamoDB_20120810.PutItem", r#"{"TableName": "abc", "Item": {"k": {"Number": "1"}}}"#),
            "ValidationException: 1 validation error detected: Value '' at 'item.k.member.number' failed to satisfy \
             constraint: Member must be one that the operation has",
        ),
        (cbor(alarm), ""),
        (
            cbor(b"\xbf\x71EvaluationPeriods\x01\x72ComparisonOperator\x74GreaterThanThreshold\xff"),
            "CBOR: 1 validation error detected: Value null at 'alarmName' failed to satisfy constraint: Member must not be \
             null",
        ),
    ] {
        assert_eq!(refusal(&request).await, expected);
    }
}

#[tokio::test]
async fn requests_of_rest_services() {
    let function = "/2015-03-31/functions";
    let change = |action: &str| {
        format!(
            "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><ChangeBatch><Changes>\
             <Change><Action>{action}</Action><ResourceRecordSet><Name>a.example.org</Name><Type>A</Type><TTL>60</TTL>\
             <ResourceRecords><ResourceRecord><Value>10.0.0.1</Value></ResourceRecord></ResourceRecords>\
             </ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        )
    };
    let records = "/2013-04-01/hostedzone/Z1/rrset/";
    let lifecycle = |status: &str| {
        format!(
            "<LifecycleConfiguration><Rule><ID>a</ID><Filter><Prefix>a/</Prefix></Filter><Status>{status}</Status>\
             <NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration></Rule>\
             <Rule><ID>b</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status></Rule></LifecycleConfiguration>"
        )
    };
    let role = "arn:aws:iam::123456789012:role/a";
    for (request, expected) in [
        (
            request(
                "lambda",
                "POST",
                function,
                &[],
                format!(r#"{{"FunctionName": "a", "Role": "{role}", "Code": {{"ZipFile": "UEs="}}, "Timeout": 30}}"#),
            ),
            "",
        ),
        (
            request(
                "lambda",
                "POST",
                function,
                &[],
                format!(r#"{{"FunctionName": "a", "Role": "{role}", "Code": {{}}, "Timeout": 0}}"#),
            ),
            "ValidationException: 1 validation error detected: Value '0' at 'timeout' failed to satisfy constraint: Member \
             must have value greater than or equal to 1",
        ),
        (request("lambda", "GET", "/2015-03-31/functions/a/policy?Qualifier=live", &[], ""), ""),
        (
            request("lambda", "GET", "/2015-03-31/functions?MaxItems=20000&Marker=a", &[], ""),
            "ValidationException: 1 validation error detected: Value '20000' at 'maxItems' failed to satisfy constraint: \
             Member must have value less than or equal to 10000",
        ),
        (
            request("lambda", "GET", "/2015-03-31/functions?Size=2", &[], ""),
            "ValidationException: 1 validation error detected: Value '' at 'Size' failed to satisfy constraint: Member must \
             be one that the operation has",
        ),
        (
            request(
                "lambda",
                "GET",
                "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Aa",
                &[],
                "",
            ),
            "",
        ),
        (request("route53", "POST", records, &[], change("UPSERT")), ""),
        (
            request("route53", "POST", records, &[], change("REPLACE")),
            "InvalidInput: 1 validation error detected: Value 'REPLACE' at 'changeBatch.changes.1.member.action' failed to \
             satisfy constraint: Member must satisfy enum value set: [CREATE, DELETE, UPSERT]",
        ),
        (request("s3", "PUT", "/bucket?lifecycle", &[], lifecycle("Enabled")), ""),
        (
            request("s3", "PUT", "/bucket?lifecycle", &[], lifecycle("On")),
            "InvalidArgument: 1 validation error detected: Value 'On' at \
             'lifecycleConfiguration.rules.1.member.status' failed to satisfy constraint: Member must satisfy enum value \
             set: [Enabled, Disabled]",
        ),
        (request("s3", "PUT", "/bucket/a%2Bb?x-id=PutObject", &[("x-amz-server-side-encryption", "aws:kms")], "x"), ""),
        (
            request("s3", "PUT", "/bucket/a", &[("x-amz-server-side-encryption", "rot13")], "x"),
            "InvalidArgument: 1 validation error detected: Value 'rot13' at 'serverSideEncryption' failed to satisfy \
             constraint: Member must satisfy enum value set: [AES256, aws:fsx, aws:backup, aws:kms, aws:kms:dsse]",
        ),
        (request("s3", "GET", "/bucket/a?X-Amz-Signature=0&X-Amz-Date=1&x-amz-expected-bucket-owner=1", &[], ""), ""),
        (
            request(
                "s3",
                "PUT",
                "/bucket?acl",
                &[],
                "<AccessControlPolicy><AccessControlList><Grant><Grantee xmlns:xsi=\"x\" xsi:type=\"Group\"><URI>u</URI>\
                 </Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>",
            ),
            "",
        ),
    ] {
        assert_eq!(refusal(&request).await, expected, "{} {}", request.method, request.uri);
    }
}

#[tokio::test]
async fn documents_within_members() {
    let policy =
        |document: &str| serde_json::json!({ "KeyId": "k", "PolicyName": "default", "Policy": document }).to_string();
    let key = |document: &str| json("kms", "TrentService.PutKeyPolicy", &policy(document));
    let statement = |rest: &str| {
        format!(r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "kms:*"{rest}}}]}}"#)
    };
    let resource = r#", "Resource": "*""#;
    let principal = r#", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Resource": "*""#;
    let refused = |reason: &str| {
        let start = "MalformedPolicyDocumentException: 1 validation error detected: Value '";
        (start.to_owned(), format!("' at 'policy' failed to satisfy constraint: Member must be {reason}"))
    };
    assert_eq!(refusal(&key(&statement(principal))).await, "");
    let with_condition = format!(r#"{principal}, "Condition": {{"StringMatches": {{"a": "b"}}}}"#);
    for (document, reason) in [
        (statement(resource), "a policy whose statement 1 has Principal"),
        (statement(&with_condition), "a policy whose statement 1 has a condition operator, not StringMatches"),
        (
            statement(&format!(r#"{principal}, "Actions": []"#)),
            "a policy whose statement 1 has the elements of statements, not Actions",
        ),
        (
            statement(r#", "Principal": {"User": "a"}, "Resource": "*""#),
            "a policy whose statement 1 has the types of principals, not User",
        ),
        (r#"{"Statement": []}"#.to_owned(), "a policy with at least one Statement"),
        (r#"{"Version": "2012-10-17""#.to_owned(), "valid JSON: EOF while parsing an object at line 1 column 24"),
        (" ".repeat(32_769), "a policy of at most 32768 bytes, not 32769"),
    ] {
        let (start, end) = refused(reason);
        let text = refusal(&key(&document)).await;
        assert!(text.starts_with(&start) && text.ends_with(&end), "{text}");
    }

    let event = |pattern: &str| {
        let body = serde_json::json!({ "Name": "r", "EventPattern": pattern }).to_string();
        json("events", "AWSEvents.PutRule", &body)
    };
    assert_eq!(refusal(&event(r#"{"source": ["aws.rds"], "detail": {"a": [{"prefix": "b"}]}}"#)).await, "");
    for pattern in [r#"{"source": "aws.rds"}"#, r#"{"sources": ["a"]}"#, r#"{"detail": {"a": [{"like": "b"}]}}"#, "{}"]
    {
        let text = refusal(&event(pattern)).await;
        assert!(text.starts_with("InvalidEventPatternException: "), "{text}");
    }

    let task = |containers: &str| {
        let body = format!(r#"{{"family": "f", "containerDefinitions": {containers}}}"#);
        json("ecs", "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition", &body)
    };
    assert_eq!(refusal(&task(r#"[{"name": "a", "image": "i", "essential": true}]"#)).await, "");
    for containers in
        ["[]", r#"[{"name": "a b", "image": "i"}]"#, r#"[{"name": "a", "image": "i", "essential": false}]"#]
    {
        let text = refusal(&task(containers)).await;
        assert!(text.starts_with("ClientException: "), "{text}");
    }

    let dashboard = |body: &str| {
        let encoded = encoded(body);
        form("monitoring", &format!("Action=PutDashboard&DashboardName=d&DashboardBody={encoded}"))
    };
    assert_eq!(refusal(&dashboard(r#"{"widgets": [{"type": "text", "width": 24, "properties": {}}]}"#)).await, "");
    for body in [r#"{"widgets": [{"type": "text", "width": 25, "properties": {}}]}"#, r#"{"widget": []}"#, "["] {
        let text = refusal(&dashboard(body)).await;
        assert!(text.starts_with("InvalidParameterInput: "), "{text}");
    }
}

#[tokio::test]
async fn inline_policies_of_a_role_count_together() {
    let roles = Roles::default();
    let put = |name: &str, size: usize| {
        let resource = format!("arn:{}", "a".repeat(size - 100));
        let document =
            format!(r#"{{ "Statement": {{"Effect": "Allow", "Action": "s3:*", "Resource": "{resource}"}}}}"#);
        let encoded = encoded(&document);
        form("iam", &format!("Action=PutRolePolicy&RoleName=r&PolicyName={name}&PolicyDocument={encoded}"))
    };
    assert_eq!(refusal_of(&put("a", 5_000), &roles).await, "");
    assert_eq!(refusal_of(&put("b", 5_000), &roles).await, "");
    assert_eq!(refusal_of(&put("a", 5_200), &roles).await, "");
    let text = refusal_of(&put("c", 1_000), &roles).await;
    assert!(text.starts_with("LimitExceeded: ") && text.contains("at most 10240 bytes together"), "{text}");
    let delete = form("iam", "Action=DeleteRolePolicy&RoleName=r&PolicyName=a");
    assert_eq!(refusal_of(&delete, &roles).await, "");
    assert_eq!(refusal_of(&put("c", 1_000), &roles).await, "");
}

/// Services and patterns.
const UNSUPPORTED: &[&str] = &[
    r"acm (\*\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])",
    r"application-autoscaling (?!((^[ ]+.*)|(.*([\u0000-\u001f]|[\u007f-\u009f]|[:/|])+.*)|(.*[ ]+$))).+",
    r"ec2 ^(?=.{20,2048}$)arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[a-zA-Z0-9/_+=.@-]+",
    r"events ^(?!\s*$).+",
    r"iam ^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$",
    r"lambda ((?!^\d+$)^[0-9a-zA-Z-_]+$)",
    r"lambda (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
    r"lambda (^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)",
    r"lambda (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]{1,64})(:((?!\d+$)[0-9a-zA-Z-_]+))?",
    r"lambda [0-9A-Za-z\.\-_]*(?<!\.)",
    r"rds [A-Za-z](?!.*--)[0-9A-Za-z-]*[^-]|^default(?!.*--)(?!.*\.\.)[0-9A-Za-z-.]*[^-]",
    r"scheduler ^(?=[/\.\-_A-Za-z0-9]+)((?!aws\.).*)|(\$(\.[\w_-]+(\[(\d+|\*)\])*)*)$",
    r"ssm ^(?!\s*$).+",
    r"stepfunctions ^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$",
];

#[tokio::test]
#[ignore = "a measurement, for an idle machine"]
async fn a_check_costs_less_than_two_tenths_of_a_millisecond() {
    let tags = "Tags.member.1.Key=a&Tags.member.1.Value=b";
    let role = format!("Action=CreateRole&RoleName=a&AssumeRolePolicyDocument={TRUST_POLICY}&{tags}");
    let (models, roles) = (models(), Roles::default());
    for request in [form("iam", &role), form("ec2", "Action=CreateVpc&CidrBlock=10.0.0.0%2F16")] {
        assert!(models.refuse(&request, &roles).await.is_none());
        let began = std::time::Instant::now();
        for _ in 0..1_000 {
            assert!(models.refuse(&request, &roles).await.is_none());
        }
        let each = began.elapsed() / 1_000;
        assert!(each < std::time::Duration::from_micros(200), "{each:?}");
    }
}

/// Expressions with look-around, which `regex` doesn't have: their members are checked without them.
#[tokio::test]
async fn the_other_patterns_of_all_models_are_checked() {
    let models = models();
    let mut unsupported = std::collections::BTreeSet::new();
    let folders = SERVICES.iter().map(|(_, folder)| *folder).chain(["apigatewayv2", "dynamodbstreams", "elbv2"]);
    for folder in folders {
        let service = models.service(folder).await.unwrap();
        assert!(!service.table.is_empty(), "{folder} has no model");
        for line in service.table.lines() {
            let operation = Operation::parse(line).unwrap();
            for shape in &operation.shapes {
                let (Some(pattern), Some(expression)) = (&shape.pattern, &shape.regex) else { continue };
                if !check::is_supported(expression) {
                    unsupported.insert(format!("{folder} {pattern}"));
                }
            }
        }
    }
    let lines: Vec<_> = unsupported.into_iter().collect();
    assert_eq!(lines, UNSUPPORTED);
}
