//! Parses requests: the name of the operation, and whether it changes anything.

mod rest;
mod s3;

use bytes::Bytes;
use hyper::{HeaderMap, Method, Uri, header::CONTENT_TYPE};
use serde_json::Value;

use crate::route::{Scope, decode, pairs, query};

/// The protocol of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Form parameters with `Action=…`, XML responses with EC2's own error document.
    Ec2,
    /// Form parameters with `Action=…`, XML responses.
    Query,
    /// `X-Amz-Target`, JSON.
    Json,
    /// REST with JSON.
    RestJson,
    /// REST with XML.
    RestXml,
    /// As `RestXml` with S3's own error document.
    S3,
    /// Smithy's CBOR, which newer `CloudWatch` clients use.
    Cbor,
}

/// A parsed request to AWS.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) scope: Scope,
    pub(crate) protocol: Protocol,
    pub(crate) action: String,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The prefixes of read-only operations.
const READS: &[&str] = &[
    "BatchGet", "Check", "Describe", "Filter", "Get", "Head", "List", "Lookup", "Search", "Select", "Simulate", "Test",
    "Validate",
];

impl Request {
    pub(crate) fn new(scope: Scope, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Self {
        let mut request =
            Self { scope, protocol: Protocol::RestJson, action: String::new(), method, uri, headers, body };
        (request.protocol, request.action) = request.identify();
        request
    }

    fn identify(&self) -> (Protocol, String) {
        let path = self.uri.path();
        let parameters = self.uri.query().unwrap_or_default();
        if self.header("smithy-protocol").is_some_and(|protocol| protocol == "rpc-v2-cbor") {
            let action = path.rsplit('/').next().unwrap_or_default();
            return (Protocol::Cbor, action.to_owned());
        }
        if let Some((_, action)) = self.header("x-amz-target").and_then(|target| target.rsplit_once('.')) {
            return (Protocol::Json, action.to_owned());
        }
        let service = self.scope.service.as_str();
        match service {
            "s3" => {
                return (Protocol::S3, s3::action(&self.method, path, parameters, &self.headers));
            }
            "route53" => return (Protocol::RestXml, rest::action(&self.method, path)),
            _ => {}
        }
        if let Some(action) = self.form("Action").or_else(|| query(parameters, "Action")) {
            return (if service == "ec2" { Protocol::Ec2 } else { Protocol::Query }, action);
        }
        (Protocol::RestJson, rest::action(&self.method, path))
    }

    /// Whether the operation changes something.
    pub(crate) fn is_mutating(&self) -> bool {
        if self.scope.service == "dynamodb" && ["Query", "Scan", "TransactGetItems"].contains(&self.action.as_str()) {
            return false;
        }
        !READS.iter().any(|prefix| self.action.starts_with(prefix))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body, if it is a form.
    pub(crate) fn form_text(&self) -> Option<&str> {
        let form = self.headers.get(CONTENT_TYPE)?.to_str().ok()?.starts_with("application/x-www-form-urlencoded");
        form.then(|| std::str::from_utf8(&self.body).ok()).flatten()
    }

    /// A parameter of a query protocol.
    pub(crate) fn form(&self, name: &str) -> Option<String> {
        query(self.form_text()?, name)
    }

    /// The parameters of a query protocol.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        self.form_text().map(|text| pairs(text).collect()).unwrap_or_default()
    }

    /// The body if it is JSON, or null.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// All text of the request, decoded, to search it.
    pub(crate) fn text(&self) -> String {
        let target = self.uri.path_and_query().map_or("", |target| target.as_str());
        decode(target) + "\n" + &decode(&String::from_utf8_lossy(&self.body))
    }

    /// Identifies equal requests: everything except the signature and its time.
    pub(crate) fn question(&self) -> String {
        let target = self.uri.path_and_query().map_or("", |target| target.as_str());
        let target = target.split("X-Amz-Algorithm").next().unwrap_or_default();
        let Scope { service, region, .. } = &self.scope;
        format!("{service} {region} {} {} {target} {}", self.action, self.method, String::from_utf8_lossy(&self.body))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn request(service: &str, method: &str, uri: &str, headers: &[(&'static str, &str)], body: &str) -> Request {
        let scope = Scope { access_key: "test".into(), region: "us-east-1".into(), service: service.into() };
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Request::new(scope, method.parse().unwrap(), uri.parse().unwrap(), headers, Bytes::from(body.to_owned()))
    }

    #[test]
    fn actions_and_whether_they_mutate() {
        let form: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let table = [
            ("ec2", "POST", "/", form, "Action=CreateVpc&Version=1", "CreateVpc", true),
            ("ec2", "POST", "/", form, "Action=DescribeVpcs", "DescribeVpcs", false),
            ("kms", "POST", "/", &[("x-amz-target", "TrentService.CreateKey")], "{}", "CreateKey", true),
            ("dynamodb", "POST", "/", &[("x-amz-target", "DynamoDB_20120810.Scan")], "{}", "Scan", false),
            ("s3", "PUT", "/bucket", &[], "", "CreateBucket", true),
            ("s3", "PUT", "/bucket/?versioning", &[], "", "PutBucketVersioning", true),
            ("s3", "GET", "/bucket?list-type=2", &[], "", "ListObjectsV2", false),
            ("s3", "GET", "/bucket/a/b?x-id=GetObject", &[], "", "GetObject", false),
            ("s3", "PUT", "/bucket/a/b?tagging", &[], "", "PutObjectTagging", true),
            ("s3", "POST", "/bucket?delete", &[], "", "DeleteObjects", true),
            ("s3", "HEAD", "/bucket", &[], "", "HeadBucket", false),
            ("s3", "GET", "/", &[], "", "ListBuckets", false),
            ("lambda", "POST", "/2015-03-31/functions", &[], "{}", "CreateFunction", true),
            (
                "lambda",
                "GET",
                "/2020-06-30/functions/f/code-signing-config",
                &[],
                "",
                "Get /functions/{}/code-signing-config",
                false,
            ),
            ("route53", "POST", "/2013-04-01/hostedzone/Z1/rrset/", &[], "", "ChangeResourceRecordSets", true),
            (
                "monitoring",
                "POST",
                "/service/GraniteServiceVersion20100801/operation/PutMetricAlarm",
                &[("smithy-protocol", "rpc-v2-cbor")],
                "",
                "PutMetricAlarm",
                true,
            ),
        ];
        for (service, method, uri, headers, body, action, mutating) in table {
            let request = request(service, method, uri, headers, body);
            assert_eq!((request.action.as_str(), request.is_mutating()), (action, mutating), "{method} {uri}");
        }
    }

    /// The operations that the kinds of the stacks use, by service: read-only and mutating.
    const CALLS: &[(&str, &str, &[&str], &[&str])] = &[
        (
            "acm",
            "CertificateManager",
            &["DescribeCertificate", "ListCertificates", "ListTagsForCertificate"],
            &["AddTagsToCertificate", "DeleteCertificate", "RemoveTagsFromCertificate", "RequestCertificate"],
        ),
        (
            "application-autoscaling",
            "AnyScaleFrontendService",
            &["DescribeScalableTargets", "DescribeScalingPolicies", "ListTagsForResource"],
            &[
                "DeleteScalingPolicy",
                "DeregisterScalableTarget",
                "PutScalingPolicy",
                "RegisterScalableTarget",
                "TagResource",
            ],
        ),
        (
            "cloudtrail",
            "CloudTrail_20131101",
            &["DescribeTrails", "GetEventSelectors", "GetTrailStatus", "ListTags", "LookupEvents"],
            &[
                "AddTags",
                "CreateTrail",
                "DeleteTrail",
                "PutEventSelectors",
                "StartLogging",
                "StopLogging",
                "UpdateTrail",
            ],
        ),
        (
            "dynamodb",
            "DynamoDB_20120810",
            &["DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive", "ListTables", "ListTagsOfResource"],
            &[
                "CreateTable",
                "DeleteTable",
                "TagResource",
                "UpdateContinuousBackups",
                "UpdateTable",
                "UpdateTimeToLive",
            ],
        ),
        (
            "ecs",
            "AmazonEC2ContainerServiceV20141113",
            &[
                "DescribeClusters",
                "DescribeServiceDeployments",
                "DescribeServices",
                "DescribeTaskDefinition",
                "ListServiceDeployments",
                "ListServices",
                "ListTagsForResource",
            ],
            &[
                "CreateCluster",
                "CreateService",
                "DeleteCluster",
                "DeleteService",
                "DeleteTaskDefinitions",
                "DeregisterTaskDefinition",
                "PutClusterCapacityProviders",
                "RegisterTaskDefinition",
                "StopServiceDeployment",
                "TagResource",
                "UpdateCluster",
                "UpdateService",
            ],
        ),
        (
            "elasticloadbalancing",
            "",
            &[
                "DescribeListeners",
                "DescribeLoadBalancerAttributes",
                "DescribeLoadBalancers",
                "DescribeRules",
                "DescribeTags",
                "DescribeTargetGroups",
                "DescribeTargetHealth",
            ],
            &[
                "AddTags",
                "CreateListener",
                "CreateLoadBalancer",
                "CreateRule",
                "CreateTargetGroup",
                "DeleteListener",
                "DeleteLoadBalancer",
                "DeleteRule",
                "DeleteTargetGroup",
                "ModifyLoadBalancerAttributes",
                "RemoveTags",
                "SetSecurityGroups",
                "SetSubnets",
            ],
        ),
        (
            "events",
            "AWSEvents",
            &["DescribeRule", "ListRules", "ListTagsForResource", "ListTargetsByRule", "TestEventPattern"],
            &["DeleteRule", "DisableRule", "PutRule", "PutTargets", "RemoveTargets", "TagResource"],
        ),
        (
            "monitoring",
            "",
            &["DescribeAlarms", "GetDashboard", "ListDashboards", "ListTagsForResource"],
            &["DeleteAlarms", "DeleteDashboards", "PutCompositeAlarm", "PutDashboard", "PutMetricAlarm", "TagResource"],
        ),
        (
            "rds",
            "",
            &[
                "DescribeDBClusterParameters",
                "DescribeDBClusters",
                "DescribeDBEngineVersions",
                "DescribeDBInstances",
                "DescribeDBParameters",
                "DescribeDBSubnetGroups",
                "DescribeGlobalClusters",
                "ListTagsForResource",
            ],
            &[
                "AddTagsToResource",
                "CreateDBCluster",
                "CreateDBClusterParameterGroup",
                "CreateDBInstance",
                "CreateDBParameterGroup",
                "CreateDBSubnetGroup",
                "CreateGlobalCluster",
                "DeleteDBCluster",
                "DeleteDBInstance",
                "DeleteGlobalCluster",
                "ModifyDBCluster",
                "RemoveFromGlobalCluster",
                "RemoveTagsFromResource",
                "ResetDBClusterParameterGroup",
                "ResetDBParameterGroup",
            ],
        ),
        (
            "secretsmanager",
            "secretsmanager",
            &["BatchGetSecretValue", "DescribeSecret", "GetSecretValue", "ListSecrets"],
            &["CreateSecret", "DeleteSecret", "PutSecretValue", "RestoreSecret", "TagResource", "UpdateSecret"],
        ),
        (
            "sns",
            "",
            &["GetSubscriptionAttributes", "GetTopicAttributes", "ListSubscriptionsByTopic", "ListTagsForResource"],
            &["CreateTopic", "DeleteTopic", "SetTopicAttributes", "Subscribe", "TagResource", "Unsubscribe"],
        ),
        (
            "ssm",
            "AmazonSSM",
            &["DescribeParameters", "GetParameter", "GetParameters", "ListTagsForResource"],
            &["AddTagsToResource", "DeleteParameter", "DeleteParameters", "PutParameter", "RemoveTagsFromResource"],
        ),
        (
            "wafv2",
            "AWSWAF_20190729",
            &["CheckCapacity", "GetWebACL", "GetWebACLForResource", "ListResourcesForWebACL", "ListWebACLs"],
            &["AssociateWebACL", "CreateWebACL", "DeleteWebACL", "DisassociateWebACL", "TagResource", "UpdateWebACL"],
        ),
    ];

    #[test]
    fn what_the_kinds_call_is_known_by_name_and_by_whether_it_mutates() {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        for (service, target, reads, writes) in CALLS {
            let actions = reads.iter().map(|action| (action, false)).chain(writes.iter().map(|action| (action, true)));
            for (action, mutating) in actions {
                let named = format!("{target}.{action}");
                let (request, protocol) = if target.is_empty() {
                    (request(service, "POST", "/", &form, &format!("Action={action}&Version=1")), Protocol::Query)
                } else {
                    (request(service, "POST", "/", &[("x-amz-target", &named)], "{}"), Protocol::Json)
                };
                let known = (request.action.as_str(), request.is_mutating(), request.protocol);
                assert_eq!(known, (*action, mutating, protocol), "{service}");
            }
        }
        for (method, path, action, mutating) in [
            ("GET", "/2013-04-01/change/C1", "GetChange", false),
            ("GET", "/2013-04-01/healthcheck/H1", "GetHealthCheck", false),
            ("GET", "/2013-04-01/hostedzone/Z1", "GetHostedZone", false),
            ("GET", "/2013-04-01/hostedzone/Z1/rrset?name=a", "ListResourceRecordSets", false),
            ("GET", "/2013-04-01/hostedzonesbyname?dnsname=a", "ListHostedZonesByName", false),
            ("GET", "/2013-04-01/tags/healthcheck/H1", "ListTagsForResource", false),
            ("POST", "/2013-04-01/tags/healthcheck", "ListTagsForResources", false),
            ("DELETE", "/2013-04-01/healthcheck/H1", "DeleteHealthCheck", true),
            ("DELETE", "/2013-04-01/hostedzone/Z1", "DeleteHostedZone", true),
            ("POST", "/2013-04-01/healthcheck", "CreateHealthCheck", true),
            ("POST", "/2013-04-01/healthcheck/H1", "UpdateHealthCheck", true),
            ("POST", "/2013-04-01/hostedzone", "CreateHostedZone", true),
            ("POST", "/2013-04-01/hostedzone/Z1/rrset", "ChangeResourceRecordSets", true),
            ("POST", "/2013-04-01/tags/hostedzone/Z1", "ChangeTagsForResource", true),
        ] {
            let request = request("route53", method, path, &[], "");
            assert_eq!((request.action.as_str(), request.is_mutating()), (action, mutating), "{method} {path}");
        }
    }
}
