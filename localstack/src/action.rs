//! What a request asks for: the name of the operation, and whether it changes anything.

use bytes::Bytes;
use hyper::{HeaderMap, Method, Uri, header::CONTENT_TYPE};
use serde_json::Value;

use crate::route::{Scope, decode, pairs, query};

/// How a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `Action=…` as a form, XML with EC2's own error document.
    Ec2,
    /// `Action=…` as a form, XML.
    Query,
    /// `X-Amz-Target`, JSON.
    Json,
    /// Method and path, JSON.
    RestJson,
    /// Method and path, XML.
    RestXml,
    /// As `RestXml` with S3's own error document.
    S3,
    /// Smithy's CBOR, which the newer `CloudWatch` clients speak.
    Cbor,
}

/// A request to AWS, understood.
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

/// Operations begin with one of these if they change nothing.
const READS: &[&str] = &[
    "BatchGet", "Describe", "Filter", "Get", "Head", "List", "Lookup", "Search", "Select", "Simulate", "Test",
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
                return (Protocol::S3, s3(&self.method, path, parameters, &self.headers));
            }
            "route53" => return (Protocol::RestXml, rest(&self.method, path)),
            _ => {}
        }
        if let Some(action) = self.form("Action").or_else(|| query(parameters, "Action")) {
            return (if service == "ec2" { Protocol::Ec2 } else { Protocol::Query }, action);
        }
        (Protocol::RestJson, rest(&self.method, path))
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

    /// The body if it is a form.
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

    /// The body if it is JSON, else null.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Everything that the request says, decoded: for finding out whether it mentions something.
    pub(crate) fn text(&self) -> String {
        let target = self.uri.path_and_query().map_or("", |target| target.as_str());
        decode(target) + "\n" + &decode(&String::from_utf8_lossy(&self.body))
    }

    /// What makes two requests the same question: all but when it was signed.
    pub(crate) fn question(&self) -> String {
        let target = self.uri.path_and_query().map_or("", |target| target.as_str());
        let target = target.split("X-Amz-Algorithm").next().unwrap_or_default();
        let Scope { service, region, .. } = &self.scope;
        format!("{service} {region} {} {} {target} {}", self.action, self.method, String::from_utf8_lossy(&self.body))
    }
}

/// Sub-resources of a bucket, as the query names them and as operations do.
const BUCKET: &[(&str, &str)] = &[
    ("accelerate", "BucketAccelerateConfiguration"),
    ("acl", "BucketAcl"),
    ("analytics", "BucketAnalyticsConfiguration"),
    ("cors", "BucketCors"),
    ("encryption", "BucketEncryption"),
    ("intelligent-tiering", "BucketIntelligentTieringConfiguration"),
    ("inventory", "BucketInventoryConfiguration"),
    ("lifecycle", "BucketLifecycleConfiguration"),
    ("location", "BucketLocation"),
    ("logging", "BucketLogging"),
    ("metrics", "BucketMetricsConfiguration"),
    ("notification", "BucketNotificationConfiguration"),
    ("object-lock", "ObjectLockConfiguration"),
    ("ownershipControls", "BucketOwnershipControls"),
    ("policy", "BucketPolicy"),
    ("policyStatus", "BucketPolicyStatus"),
    ("publicAccessBlock", "PublicAccessBlock"),
    ("replication", "BucketReplication"),
    ("requestPayment", "BucketRequestPayment"),
    ("tagging", "BucketTagging"),
    ("versioning", "BucketVersioning"),
    ("website", "BucketWebsite"),
];

/// Sub-resources of an object.
const OBJECT: &[(&str, &str)] = &[
    ("acl", "ObjectAcl"),
    ("attributes", "ObjectAttributes"),
    ("legal-hold", "ObjectLegalHold"),
    ("retention", "ObjectRetention"),
    ("tagging", "ObjectTagging"),
];

/// The name of an S3 operation.
fn s3(method: &Method, path: &str, query_text: &str, headers: &HeaderMap) -> String {
    let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let has = |name: &str| pairs(query_text).any(|(key, _)| key == name);
    let verb = match method.as_str() {
        "PUT" => "Put",
        "DELETE" => "Delete",
        "HEAD" => "Head",
        _ => "Get",
    };
    let subresource =
        |table: &[(&str, &str)]| table.iter().find(|(name, _)| has(name)).map(|(_, noun)| (*noun).to_owned());
    let list = |noun: &str| format!("List{noun}");
    match (method.as_str(), bucket.is_empty(), key.is_empty()) {
        (_, true, _) => list("Buckets"),
        ("POST", false, true) if has("delete") => "DeleteObjects".to_owned(),
        ("GET", false, true) if has("versions") => list("ObjectVersions"),
        ("GET", false, true) if has("uploads") => list("MultipartUploads"),
        (_, false, true) => match (subresource(BUCKET), method.as_str()) {
            // AWS's own exceptions from the pattern.
            (Some(noun), "DELETE") if noun == "BucketLifecycleConfiguration" => "DeleteBucketLifecycle".to_owned(),
            (Some(noun), _) => format!("{verb}{noun}"),
            (None, "PUT") => "CreateBucket".to_owned(),
            (None, "GET") => list(if has("list-type") { "ObjectsV2" } else { "Objects" }),
            (None, _) => format!("{verb}Bucket"),
        },
        ("POST", ..) if has("uploads") => "CreateMultipartUpload".to_owned(),
        ("POST", ..) if has("uploadId") => "CompleteMultipartUpload".to_owned(),
        ("POST", ..) if has("restore") => "RestoreObject".to_owned(),
        ("POST", ..) if has("select") => "SelectObjectContent".to_owned(),
        ("PUT", ..) if has("partNumber") => "UploadPart".to_owned(),
        ("GET", ..) if has("uploadId") => list("Parts"),
        ("DELETE", ..) if has("uploadId") => "AbortMultipartUpload".to_owned(),
        ("PUT", ..) if headers.contains_key("x-amz-copy-source") => "CopyObject".to_owned(),
        _ => format!("{verb}{}", subresource(OBJECT).unwrap_or_else(|| "Object".to_owned())),
    }
}

/// A readable name for an operation of a REST service: `Get /2015-03-31/functions/{}` is the best that can be said
/// without the service's model, except for the names that are used most.
fn rest(method: &Method, path: &str) -> String {
    let trimmed = path.trim_matches('/');
    let parts: Vec<&str> = trimmed.split('/').collect();
    for (pattern_method, pattern, action) in REST {
        if *pattern_method == method.as_str() && matches(pattern, &parts) {
            return (*action).to_owned();
        }
    }
    let verb = match method.as_str() {
        "GET" => "Get",
        "HEAD" => "Head",
        "DELETE" => "Delete",
        "PATCH" => "Update",
        "PUT" => "Put",
        _ => "Post",
    };
    // Every second part is an id, after the version if there is one.
    let versioned = parts.first().is_some_and(|part| part.starts_with(|first: char| first.is_ascii_digit()));
    let skip = usize::from(versioned);
    let template: Vec<&str> = parts
        .iter()
        .skip(skip)
        .enumerate()
        .map(|(index, part)| if index % 2 == 1 && !path.starts_with("/tags/") { "{}" } else { part })
        .collect();
    format!("{verb} /{}", template.join("/"))
}

/// Whether a path has the shape of a pattern, in which `*` is any one part and a last `**` any rest.
fn matches(pattern: &str, parts: &[&str]) -> bool {
    let mut parts = parts.iter();
    for expected in pattern.split('/') {
        if expected == "**" {
            return true;
        }
        match parts.next() {
            Some(part) if expected == "*" || expected == *part => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}

/// Method, path and name of the operations that stacks use most.
const REST: &[(&str, &str, &str)] = &[
    ("GET", "*/functions", "ListFunctions"),
    ("POST", "*/functions", "CreateFunction"),
    ("GET", "*/functions/*", "GetFunction"),
    ("DELETE", "*/functions/*", "DeleteFunction"),
    ("PUT", "*/functions/*/code", "UpdateFunctionCode"),
    ("GET", "*/functions/*/configuration", "GetFunctionConfiguration"),
    ("PUT", "*/functions/*/configuration", "UpdateFunctionConfiguration"),
    ("POST", "*/functions/*/invocations", "Invoke"),
    ("GET", "*/functions/*/policy", "GetPolicy"),
    ("POST", "*/functions/*/policy", "AddPermission"),
    ("DELETE", "*/functions/*/policy/*", "RemovePermission"),
    ("POST", "*/functions/*/aliases", "CreateAlias"),
    ("GET", "*/functions/*/aliases/*", "GetAlias"),
    ("PUT", "*/functions/*/aliases/*", "UpdateAlias"),
    ("DELETE", "*/functions/*/aliases/*", "DeleteAlias"),
    ("POST", "*/functions/*/versions", "PublishVersion"),
    ("GET", "*/functions/*/versions", "ListVersionsByFunction"),
    ("GET", "*/functions/*/concurrency", "GetFunctionConcurrency"),
    ("PUT", "*/functions/*/concurrency", "PutFunctionConcurrency"),
    ("DELETE", "*/functions/*/concurrency", "DeleteFunctionConcurrency"),
    ("GET", "*/event-source-mappings", "ListEventSourceMappings"),
    ("POST", "*/event-source-mappings", "CreateEventSourceMapping"),
    ("GET", "*/event-source-mappings/*", "GetEventSourceMapping"),
    ("PUT", "*/event-source-mappings/*", "UpdateEventSourceMapping"),
    ("DELETE", "*/event-source-mappings/*", "DeleteEventSourceMapping"),
    ("GET", "tags/**", "ListTags"),
    ("POST", "tags/**", "TagResource"),
    ("PUT", "tags/**", "TagResource"),
    ("DELETE", "tags/**", "UntagResource"),
    ("GET", "restapis", "GetRestApis"),
    ("POST", "restapis", "CreateRestApi"),
    ("PUT", "restapis/*", "PutRestApi"),
    ("GET", "restapis/*", "GetRestApi"),
    ("PATCH", "restapis/*", "UpdateRestApi"),
    ("DELETE", "restapis/*", "DeleteRestApi"),
    ("GET", "restapis/*/resources", "GetResources"),
    ("POST", "restapis/*/resources/*", "CreateResource"),
    ("DELETE", "restapis/*/resources/*", "DeleteResource"),
    ("PUT", "restapis/*/resources/*/methods/*", "PutMethod"),
    ("PUT", "restapis/*/resources/*/methods/*/integration", "PutIntegration"),
    ("POST", "restapis/*/deployments", "CreateDeployment"),
    ("POST", "restapis/*/stages", "CreateStage"),
    ("PATCH", "restapis/*/stages/*", "UpdateStage"),
    ("DELETE", "restapis/*/stages/*", "DeleteStage"),
    ("POST", "apikeys", "CreateApiKey"),
    ("DELETE", "apikeys/*", "DeleteApiKey"),
    ("POST", "usageplans", "CreateUsagePlan"),
    ("PATCH", "usageplans/*", "UpdateUsagePlan"),
    ("DELETE", "usageplans/*", "DeleteUsagePlan"),
    ("POST", "domainnames", "CreateDomainName"),
    ("DELETE", "domainnames/*", "DeleteDomainName"),
    ("PATCH", "account", "UpdateAccount"),
    ("GET", "v2/apis", "GetApis"),
    ("POST", "v2/apis", "CreateApi"),
    ("GET", "v2/apis/*", "GetApi"),
    ("DELETE", "v2/apis/*", "DeleteApi"),
    ("POST", "v2/apis/*/routes", "CreateRoute"),
    ("POST", "v2/apis/*/integrations", "CreateIntegration"),
    ("POST", "v2/apis/*/stages", "CreateStage"),
    ("GET", "2013-04-01/hostedzonesbyname", "ListHostedZonesByName"),
    ("GET", "2013-04-01/hostedzone", "ListHostedZones"),
    ("POST", "2013-04-01/hostedzone", "CreateHostedZone"),
    ("GET", "2013-04-01/hostedzone/*", "GetHostedZone"),
    ("DELETE", "2013-04-01/hostedzone/*", "DeleteHostedZone"),
    ("GET", "2013-04-01/hostedzone/*/rrset", "ListResourceRecordSets"),
    ("POST", "2013-04-01/hostedzone/*/rrset", "ChangeResourceRecordSets"),
    ("GET", "2013-04-01/change/*", "GetChange"),
    ("GET", "2013-04-01/healthcheck", "ListHealthChecks"),
    ("POST", "2013-04-01/healthcheck", "CreateHealthCheck"),
    ("GET", "2013-04-01/healthcheck/*", "GetHealthCheck"),
    ("POST", "2013-04-01/healthcheck/*", "UpdateHealthCheck"),
    ("DELETE", "2013-04-01/healthcheck/*", "DeleteHealthCheck"),
    ("GET", "2013-04-01/tags/**", "ListTagsForResource"),
    ("POST", "2013-04-01/tags/**", "ChangeTagsForResource"),
];

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
}
