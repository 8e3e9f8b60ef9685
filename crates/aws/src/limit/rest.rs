//! Names of operations of REST protocols, whose requests contain no names.

/// Method, path and name of the operations that have a limit of their own. `*` matches one segment.
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("GET", "*/functions/*", "GetFunction"),
    ("GET", "*/functions/*/policy", "GetPolicy"),
    ("PATCH", "account", "UpdateAccount"),
    ("POST", "apikeys", "CreateApiKey"),
    ("DELETE", "apikeys/*", "DeleteApiKey"),
    ("POST", "domainnames", "CreateDomainName"),
    ("PATCH", "domainnames/*", "UpdateDomainName"),
    ("DELETE", "domainnames/*", "DeleteDomainName"),
    ("POST", "restapis", "CreateRestApi"),
    ("DELETE", "restapis/*", "DeleteRestApi"),
    ("POST", "restapis/*/deployments", "CreateDeployment"),
    ("GET", "restapis/*/resources", "GetResources"),
    ("POST", "restapis/*/resources/*", "CreateResource"),
    ("DELETE", "restapis/*/resources/*", "DeleteResource"),
    ("PATCH", "usageplans/*", "UpdateUsagePlan"),
    ("POST", "v2/domainnames", "CreateDomainName"),
    ("PATCH", "v2/domainnames/*", "UpdateDomainName"),
    ("DELETE", "v2/domainnames/*", "DeleteDomainName"),
    // The only read-only operation of Route 53 that uses POST; changing the tags of a resource appends its id.
    ("POST", "*/tags/healthcheck", "ListTagsForResources"),
    ("POST", "*/tags/hostedzone", "ListTagsForResources"),
];

/// The operation with this method and path, if it has a name here.
pub(super) fn operation(method: &str, path: &str) -> Option<&'static str> {
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    let fits = |pattern: &str| {
        let pattern: Vec<_> = pattern.split('/').collect();
        pattern.len() == parts.len() && pattern.iter().zip(&parts).all(|(one, part)| *one == "*" || one == part)
    };
    OPERATIONS.iter().find(|(of, pattern, _)| *of == method && fits(pattern)).map(|(_, _, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_by_method_and_path() {
        for (method, path, name) in [
            ("GET", "/2015-03-31/functions/payment", Some("GetFunction")),
            ("GET", "/2015-03-31/functions/payment/policy", Some("GetPolicy")),
            ("DELETE", "/2015-03-31/functions/payment", None),
            ("DELETE", "/restapis/a1b2c3", Some("DeleteRestApi")),
            ("DELETE", "/restapis/a1b2c3/stages/v1", None),
            ("PATCH", "/v2/domainnames/pay.example.com", Some("UpdateDomainName")),
            ("POST", "/2013-04-01/tags/hostedzone", Some("ListTagsForResources")),
            ("POST", "/2013-04-01/tags/hostedzone/Z1", None),
        ] {
            assert_eq!(operation(method, path), name, "{method} {path}");
        }
    }
}
