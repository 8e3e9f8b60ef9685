//! An HTTP API in front of a function: routes, limits, an access log, and a domain name.

use std::collections::BTreeMap;

use payinfra_aws::apigateway::DomainName;
use payinfra_aws::apigatewayv2::{
    self, AccessLog, ApiMapping, Integration, IntegrationType, Route as DeclaredRoute, Stage, Throttle,
};
use payinfra_aws::lambda::Permission;
use payinfra_aws::logs::LogGroup;
use payinfra_engine::{Graph, Node, Ref, Result, Text};
use payinfra_stack::Site;

use crate::function::Deployed;

/// The stage for paths without the name of a stage.
pub const DEFAULT_STAGE: &str = "$default";
/// The timeout of an integration in milliseconds, API Gateway's maximum: the function's own is shorter.
const TIMEOUT: i32 = 30_000;

/// An HTTP API, and what it needs.
#[derive(Debug)]
pub struct HttpApi<'a> {
    /// Its name in addresses and outputs, and the resource type in its name in AWS, such as `api`.
    pub name: &'a str,
    /// What it is for, such as `Sessions`.
    pub about: &'a str,
    /// Its stage: the first part of all paths, or [`DEFAULT_STAGE`].
    pub stage: &'a str,
    /// Its routes.
    pub routes: &'a [Route<'a>],
    /// The function that handles all requests, by its alias.
    pub function: &'a Deployed,
    /// The limit for each route, in requests per second, and the burst.
    pub limit: (f64, i32),
    /// The key that encrypts its access log.
    pub log_key: &'a Ref<String>,
    /// The retention of its access log in days.
    pub log_retention_days: i32,
}

/// A route.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// Its name in addresses.
    pub name: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// The path, such as `/sessions/{session_id}`.
    pub path: &'a str,
    /// Who may call it.
    pub access: Access,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Public,
    /// Principals of IAM with the permission `execute-api:Invoke`.
    Iam,
}

/// An HTTP API of a region.
#[derive(Debug)]
pub struct Api {
    /// The API.
    pub api: Node<apigatewayv2::Api>,
    /// Its stage.
    pub stage: Node<Stage>,
    /// The group of its access log.
    pub access_log: Node<LogGroup>,
}

/// The name of the group of an API's access log, known before it exists: key policies contain it.
#[must_use]
pub fn access_log_name(site: &Site<'_>, api: &str) -> String {
    site.names.name(&format!("{api}-access"))
}

/// Declares an HTTP API of a region, with everything that it needs. The policy of its log key must allow `CloudWatch` Logs to use it
/// for [`access_log_name`].
///
/// # Errors
/// If two routes have the same name, or the region has an API of that name already.
pub fn http_api(graph: &mut Graph, site: &Site<'_>, wanted: &HttpApi<'_>) -> Result<Api> {
    let (region, name) = (site.region(), wanted.name);
    let api = apigatewayv2::Api {
        name: site.names.name(name),
        description: wanted.about.to_owned(),
        cors: None,
        disable_execute_api: false,
        tags: site.named(name),
    };
    let api = graph.add(region, name, api)?;
    let integration = Integration {
        api: api.id.clone(),
        kind: IntegrationType::AwsProxy,
        uri: wanted.function.alias.outputs.arn.clone(),
        http_method: "POST".to_owned(),
        payload_format: "2.0".to_owned(),
        timeout_millis: TIMEOUT,
        description: wanted.about.to_owned(),
    };
    let integration = graph.add(region, name, integration)?;
    for route in wanted.routes {
        let declared = DeclaredRoute {
            api: api.id.clone(),
            key: format!("{} {}", route.method, route.path),
            target: integration.outputs.target.clone(),
            authorization: match route.access {
                Access::Public => "NONE".to_owned(),
                Access::Iam => "AWS_IAM".to_owned(),
            },
        };
        graph.add(region, &format!("{name}-{}", route.name), declared)?;
        permission(graph, site, wanted, &api, route)?;
    }
    let (stage, access_log) = stage(graph, site, wanted, &api)?;
    let url = Text::from(&api.outputs.url);
    let url = if wanted.stage == DEFAULT_STAGE { url } else { url.and(format!("/{}", wanted.stage)) };
    site.output(graph, &format!("{name}_url"), url);
    site.output(graph, &format!("{name}_access_log_group_name"), &access_log.id);
    Ok(Api { api, stage, access_log })
}

/// Lets a route invoke the function, and nothing else.
fn permission(
    graph: &mut Graph,
    site: &Site<'_>,
    wanted: &HttpApi<'_>,
    api: &Node<apigatewayv2::Api>,
    route: &Route<'_>,
) -> Result<()> {
    // In the ARN, a variable of the path is a wildcard.
    let path: Vec<_> = route.path.split('/').map(|part| if part.starts_with('{') { "*" } else { part }).collect();
    let stage = if wanted.stage == DEFAULT_STAGE { "*" } else { wanted.stage };
    let source = format!("/{stage}/{}{}", route.method, path.join("/"));
    let source = Text::from(&api.outputs.execution_arn).and(source);
    let name = format!("{}-{}", wanted.name, route.name);
    let permission = Permission {
        function: wanted.function.function.id.clone(),
        qualifier: Some(wanted.function.alias.outputs.name.clone()),
        statement: name.clone(),
        action: "lambda:InvokeFunction".to_owned(),
        principal: "apigateway.amazonaws.com".to_owned(),
        source_arn: Some(source),
        source_account: None,
    };
    graph.add(site.region(), &name, permission).map(drop)
}

/// One line per request, without the body.
const ACCESS: &str = "{\"requestId\":\"$context.requestId\",\"time\":\"$context.requestTime\",\"method\":\"$context.httpMethod\",\
    \"route\":\"$context.routeKey\",\"status\":\"$context.status\",\"latency\":\"$context.responseLatency\",\
    \"ip\":\"$context.identity.sourceIp\"}";

fn stage(
    graph: &mut Graph,
    site: &Site<'_>,
    wanted: &HttpApi<'_>,
    api: &Node<apigatewayv2::Api>,
) -> Result<(Node<Stage>, Node<LogGroup>)> {
    let resource_type = format!("{}-access", wanted.name);
    let group = LogGroup {
        name: access_log_name(site, wanted.name).into(),
        retention_days: Some(wanted.log_retention_days),
        kms_key: Some(wanted.log_key.clone()),
        tags: site.named(&resource_type),
    };
    let group = graph.add(site.region(), &resource_type, group)?;
    let (rate, burst) = wanted.limit;
    let stage = Stage {
        api: api.id.clone(),
        name: wanted.stage.to_owned(),
        description: wanted.about.to_owned(),
        variables: BTreeMap::new(),
        access_log: Some(AccessLog { group_arn: group.outputs.arn.clone(), format: ACCESS.to_owned() }),
        metrics: true,
        throttle: Throttle { rate, burst },
        tags: site.named(&format!("{}-stage", wanted.name)),
    };
    Ok((graph.add(site.region(), wanted.name, stage)?, group))
}

/// Declares the domain name `domain` of an API, with the certificate `certificate` of the same region. Records can lead to it
/// once the mapping, which is the second node, exists.
///
/// # Errors
/// If the region has a domain name for an API of that name already.
pub fn domain(
    graph: &mut Graph,
    site: &Site<'_>,
    name: &str,
    api: &Api,
    domain: &str,
    certificate: Ref<String>,
) -> Result<(Node<DomainName>, Node<ApiMapping>)> {
    let declared = DomainName { name: domain.to_owned(), certificate, tags: site.named(&format!("{name}-domain")) };
    let declared = graph.add(site.region(), name, declared)?;
    let mapping = ApiMapping {
        domain: declared.id.clone(),
        key: String::new(),
        api: api.api.id.clone(),
        stage: api.stage.outputs.name.clone(),
    };
    let mapping = graph.add(site.region(), name, mapping)?;
    Ok((declared, mapping))
}
