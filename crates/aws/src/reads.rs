//! The IAM actions that reading resources needs: for roles that must not change anything.

use std::collections::BTreeSet;

/// The actions by the first part of the kinds that they read, sorted. None of them changes anything.
///
/// The names are those of the Service Authorization Reference, which for S3 and API Gateway are not those of the operations.
const READS: &[(&str, &[&str])] = &[
    ("acm", &["acm:DescribeCertificate", "acm:ListTagsForCertificate"]),
    ("apigateway", &["apigateway:GET"]),
    ("apigatewayv2", &["apigateway:GET"]),
    (
        "application-autoscaling",
        &[
            "application-autoscaling:DescribeScalableTargets",
            "application-autoscaling:DescribeScalingPolicies",
            "application-autoscaling:ListTagsForResource",
        ],
    ),
    (
        "cloudtrail",
        &[
            "cloudtrail:DescribeTrails",
            "cloudtrail:GetEventSelectors",
            "cloudtrail:GetTrailStatus",
            "cloudtrail:ListTags",
        ],
    ),
    ("cloudwatch", &["cloudwatch:DescribeAlarms", "cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource"]),
    (
        "dynamodb",
        &[
            "dynamodb:DescribeContinuousBackups",
            "dynamodb:DescribeTable",
            "dynamodb:DescribeTimeToLive",
            "dynamodb:ListTagsOfResource",
        ],
    ),
    (
        "ec2",
        &[
            "ec2:DescribeAddresses",
            "ec2:DescribeFlowLogs",
            "ec2:DescribeInternetGateways",
            "ec2:DescribeNatGateways",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeTransitGatewayPeeringAttachments",
            "ec2:DescribeTransitGatewayVpcAttachments",
            "ec2:DescribeTransitGateways",
            "ec2:DescribeVpcAttribute",
            "ec2:DescribeVpcEndpoints",
            "ec2:DescribeVpcPeeringConnections",
            "ec2:DescribeVpcs",
            "ec2:SearchTransitGatewayRoutes",
        ],
    ),
    (
        "ecs",
        &[
            "ecs:DescribeClusters",
            "ecs:DescribeServiceDeployments",
            "ecs:DescribeServices",
            "ecs:DescribeTaskDefinition",
            "ecs:ListServiceDeployments",
            "ecs:ListTagsForResource",
            "elasticloadbalancing:DescribeRules",
        ],
    ),
    (
        "elbv2",
        &[
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeLoadBalancerAttributes",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeRules",
            "elasticloadbalancing:DescribeTags",
            "elasticloadbalancing:DescribeTargetGroupAttributes",
            "elasticloadbalancing:DescribeTargetGroups",
        ],
    ),
    ("eventbridge", &["events:DescribeRule", "events:ListTagsForResource", "events:ListTargetsByRule"]),
    (
        "iam",
        &[
            "iam:GetAccountAuthorizationDetails",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:ListRoleTags",
        ],
    ),
    (
        "kms",
        &["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases", "kms:ListResourceTags"],
    ),
    (
        "lambda",
        &[
            "lambda:GetAlias",
            "lambda:GetEventSourceMapping",
            "lambda:GetFunction",
            "lambda:GetFunctionEventInvokeConfig",
            "lambda:GetPolicy",
            "lambda:ListTags",
        ],
    ),
    ("logs", &["logs:DescribeLogGroups", "logs:DescribeMetricFilters", "logs:ListTagsForResource"]),
    (
        "rds",
        &[
            "rds:DescribeDBClusterParameterGroups",
            "rds:DescribeDBClusterParameters",
            "rds:DescribeDBClusters",
            "rds:DescribeDBInstances",
            "rds:DescribeDBParameterGroups",
            "rds:DescribeDBParameters",
            "rds:DescribeDBSubnetGroups",
            "rds:DescribeGlobalClusters",
            "rds:ListTagsForResource",
        ],
    ),
    (
        "route53",
        &[
            "route53:GetHealthCheck",
            "route53:GetHostedZone",
            "route53:ListResourceRecordSets",
            "route53:ListTagsForResource",
            "route53:ListTagsForResources",
        ],
    ),
    (
        "s3",
        &[
            "s3:GetBucketLogging",
            "s3:GetBucketNotification",
            "s3:GetBucketOwnershipControls",
            "s3:GetBucketPolicy",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetBucketTagging",
            "s3:GetBucketVersioning",
            "s3:GetEncryptionConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:GetReplicationConfiguration",
            "s3:ListBucket",
        ],
    ),
    ("secretsmanager", &["secretsmanager:DescribeSecret"]),
    (
        "sns",
        &[
            "sns:GetSubscriptionAttributes",
            "sns:GetTopicAttributes",
            "sns:ListSubscriptionsByTopic",
            "sns:ListTagsForResource",
        ],
    ),
    ("ssm", &["ssm:DescribeParameters", "ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"]),
    ("wafv2", &["wafv2:GetWebACL", "wafv2:GetWebACLForResource", "wafv2:ListTagsForResource"]),
];

/// The IAM actions that reading resources of these kinds needs, sorted. None of them changes anything.
#[must_use]
pub fn reads<'a>(kinds: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'static str> {
    let services: BTreeSet<_> = kinds.into_iter().filter_map(|kind| kind.split('.').next()).collect();
    let needed = READS.iter().filter(|(service, _)| services.contains(service));
    needed.flat_map(|(_, actions)| actions.iter().copied()).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::KINDS;

    /// Read operations of the kinds' code that serve other purposes than to read a known resource: lookups, and searches for
    /// resources by their tags or names.
    const OTHERS: &[&str] = &[
        "acm:ListCertificates",
        "dynamodb:ListTables",
        "ec2:DescribeAvailabilityZones",
        "ec2:DescribeImages",
        "ec2:DescribeManagedPrefixLists",
        "ec2:DescribeNetworkInterfaces",
        "ec2:GetManagedPrefixListEntries",
        "ecs:ListTaskDefinitions",
        "events:ListRules",
        "iam:ListRoles",
        "kms:ListKeys",
        "lambda:ListEventSourceMappings",
        "lambda:ListFunctions",
        "lambda:ListVersionsByFunction",
        "route53:ListHealthChecks",
        "route53:ListHostedZones",
        "route53:ListHostedZonesByName",
        "s3:HeadObject",
        "s3:ListBuckets",
        "s3:ListMultipartUploads",
        "s3:ListObjectVersions",
        "secretsmanager:GetRandomPassword",
        "secretsmanager:GetSecretValue",
        "secretsmanager:ListSecrets",
        "sns:ListTopics",
        "wafv2:ListWebACLs",
    ];

    /// The prefixes of read operations, and those of actions that read.
    const PREFIXES: [&str; 5] = ["describe", "get", "head", "list", "search"];

    /// The IAM action of an operation of a client.
    fn action(client: &str, operation: &str) -> String {
        let service = match client {
            "apigateway" | "apigatewayv2" => return "apigateway:get".to_owned(),
            "application_autoscaling" => "application-autoscaling",
            "elbv2" => "elasticloadbalancing",
            "eventbridge" => "events",
            other => other,
        };
        let operation = match (client, operation) {
            ("s3", "get_bucket_encryption") => "get_encryption_configuration",
            ("s3", "get_bucket_lifecycle_configuration") => "get_lifecycle_configuration",
            ("s3", "get_bucket_notification_configuration") => "get_bucket_notification",
            ("s3", "get_bucket_replication") => "get_replication_configuration",
            ("s3", "get_public_access_block") => "get_bucket_public_access_block",
            ("s3", "head_bucket") => "list_bucket",
            (_, other) => other,
        };
        format!("{service}:{}", operation.replace('_', "")).to_lowercase()
    }

    /// The read operations in the code of a file: `cx.SERVICE().OPERATION(`.
    fn operations(text: &str) -> BTreeSet<String> {
        let code: String = text.split_whitespace().collect();
        let calls = code.split("cx.").skip(1).filter_map(|rest| {
            let (client, rest) = rest.split_once("().")?;
            let (operation, _) = rest.split_once('(')?;
            let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let reads = PREFIXES.iter().any(|prefix| operation.starts_with(&format!("{prefix}_")));
            (is_name(client) && is_name(operation) && reads).then(|| action(client, operation))
        });
        calls.collect()
    }

    fn found(folder: &Path, all: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found(&path, all);
            } else {
                all.extend(operations(&fs::read_to_string(&path).unwrap()));
            }
        }
    }

    #[test]
    fn x04_every_read_of_a_kind_is_listed() {
        let known: BTreeSet<_> =
            READS.iter().flat_map(|(_, actions)| *actions).chain(OTHERS).map(|it| it.to_lowercase()).collect();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut all = BTreeSet::new();
        for (service, _) in READS {
            found(&source.join(service.replace('-', "_")), &mut all);
        }
        assert!(all.len() > 80, "{all:?}");
        let missing: Vec<_> = all.difference(&known).collect();
        assert!(missing.is_empty(), "add them to READS, or to OTHERS: {missing:?}");
        // The other way round, no action is left over, except those of calls that the code writes in another form.
        let unused: Vec<_> = known.difference(&all).collect();
        assert_eq!(unused, ["kms:getkeypolicy", "kms:getkeyrotationstatus"]);
    }

    #[test]
    fn x04_every_kind_has_actions_that_only_read() {
        assert!(READS.is_sorted_by_key(|(service, _)| *service));
        for kind in KINDS.iter().copied().flatten().map(|kind| kind.spec().kind) {
            // A lookup reads the states of other workspaces.
            assert_eq!(reads([kind]).is_empty(), kind == "payinfra.outputs", "{kind}");
        }
        for action in READS.iter().flat_map(|(_, actions)| *actions) {
            let name = action.split_once(':').unwrap().1.to_lowercase();
            assert!(PREFIXES.iter().any(|prefix| name.starts_with(prefix)), "{action}");
        }
    }
}
