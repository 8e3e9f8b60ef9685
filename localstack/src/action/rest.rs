//! The names of operations of REST services.

use hyper::Method;

/// A readable name for an operation of a REST service. Without the service's model, that is a text such as `Get
/// /2015-03-31/functions/{}`, except for the most common operations.
pub(super) fn action(method: &Method, path: &str) -> String {
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
    // Every second segment is an id, after the version if there is one.
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

/// Whether a path matches a pattern, in which `*` matches one segment and a final `**` any number of segments.
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

/// Method, path and name of the most common operations.
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
    ("POST", "2013-04-01/hostedzone/*", "UpdateHostedZoneComment"),
    ("GET", "2013-04-01/change/*", "GetChange"),
    ("GET", "2013-04-01/healthcheck", "ListHealthChecks"),
    ("POST", "2013-04-01/healthcheck", "CreateHealthCheck"),
    ("GET", "2013-04-01/healthcheck/*", "GetHealthCheck"),
    ("POST", "2013-04-01/healthcheck/*", "UpdateHealthCheck"),
    ("DELETE", "2013-04-01/healthcheck/*", "DeleteHealthCheck"),
    ("GET", "2013-04-01/tags/**", "ListTagsForResource"),
    ("POST", "2013-04-01/tags/*", "ListTagsForResources"),
    ("POST", "2013-04-01/tags/*", "ListTagsForResources"),
    ("POST", "2013-04-01/tags/**", "ChangeTagsForResource"),
];
