//! A REST API in front of a function: keys, limits, validation, errors, CORS, logs, and a stage with a usage plan.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::apigateway::{
    self, AccessLog, Account, ApiKey, ApiResource, ApiStage, Deployment, GatewayResponse, Integration,
    IntegrationResponse, IntegrationType, LogLevel, Method, MethodResponse, Model, Period, Quota, RequestValidator,
    Stage, Throttle, UsagePlan, UsagePlanKey,
};
use payinfra_aws::lambda::Permission;
use payinfra_aws::logs::LogGroup;
use payinfra_engine::{Address, Error, Graph, Node, Ref, Result, Text};
use payinfra_stack::Site;
use serde_json::{Value, json};

use crate::digest::digest;
use crate::function::Deployed;
use crate::roles::{self, TaskRole};

/// The resource type in the name of the role with which API Gateway writes logs.
pub const LOGS_ROLE: &str = "api-logs";
/// The timeout of an integration in milliseconds, API Gateway's maximum: the function's own is shorter.
const TIMEOUT: i32 = 29_000;
/// The content type of all bodies.
const JSON: &str = "application/json";
/// The responses that API Gateway itself gives, and the seconds until a retry is useful. Others are like the defaults.
const REFUSALS: [(&str, Option<u32>); 3] = [("DEFAULT_4XX", None), ("DEFAULT_5XX", None), ("THROTTLED", Some(1))];
/// The managed policy that API Gateway's role needs.
const PUSH_LOGS: &str = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs";

/// A REST API, and what it needs.
#[derive(Debug)]
pub struct RestApi<'a> {
    /// Its name in addresses and outputs, and the resource type in its name in AWS, such as `api`.
    pub name: &'a str,
    /// What it is for, such as `Payments`.
    pub about: &'a str,
    /// The name of its stage, the first part of its paths.
    pub stage: &'a str,
    /// Its models by name.
    pub models: BTreeMap<&'a str, Value>,
    /// Its routes; a path may have several methods.
    pub routes: Vec<Route<'a>>,
    /// The function that handles all requests, by its alias.
    pub function: &'a Deployed,
    /// The value of `Access-Control-Allow-Origin`: an origin, or `*`. The function sends it as well.
    pub origin: &'a str,
    /// The limits for requests.
    pub limits: Limits,
    /// The key that encrypts its access log.
    pub log_key: &'a Ref<String>,
    /// The retention of its access log in days.
    pub log_retention_days: i32,
}

/// A method of a path.
#[derive(Clone, Debug)]
pub struct Route<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The path, such as `/payments/{payment_id}`.
    pub path: &'a str,
    /// Whether clients need an API key.
    pub keyed: bool,
    /// The model that bodies of requests must match.
    pub body: Option<&'a str>,
    /// The models of the responses by status code; AWS's own are `Empty` and `Error`.
    pub responses: BTreeMap<u16, &'a str>,
}

/// The limits of an API.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The rate for all clients together in requests per second, and the burst.
    pub total: (f64, i32),
    /// The rate for each client in requests per second, and the burst.
    pub client: (f64, i32),
    /// The number of requests of each client per day.
    pub per_day: i32,
}

/// A REST API of a region.
#[derive(Debug)]
pub struct Api {
    /// The API.
    pub api: Node<apigateway::RestApi>,
    /// Its stage.
    pub stage: Node<Stage>,
    /// The key of its clients.
    pub key: Node<ApiKey>,
    /// The group of its access log.
    pub access_log: Node<LogGroup>,
}

/// The name of the group of an API's access log, known before it exists: key policies contain it.
#[must_use]
pub fn access_log_name(site: &Site<'_>, api: &str) -> String {
    site.names.name(&format!("{api}-access"))
}

/// The names of the groups of the execution logs of all APIs: API Gateway puts the id of the API after it.
pub const EXECUTION_LOGS: &str = "API-Gateway-Execution-Logs_";

/// Declares a REST API of a region, with everything that it needs. The policy of its log key must allow `CloudWatch` Logs to use it
/// for [`access_log_name`] and [`EXECUTION_LOGS`].
///
/// # Errors
/// If a route refers to a model that is not declared, or the region has an API of that name already.
pub fn rest_api(graph: &mut Graph, site: &Site<'_>, wanted: &RestApi<'_>) -> Result<Api> {
    let (region, name) = (site.region(), wanted.name);
    let api = apigateway::RestApi {
        name: site.names.name(name),
        description: wanted.about.to_owned(),
        disable_execute_api: false,
        tags: site.named(name),
    };
    let api = graph.add(region, name, api)?;
    let mut definition = Definition::default();
    let models = models(graph, site, wanted, &api, &mut definition)?;
    let validator = RequestValidator { api: api.id.clone(), name: "strict".to_owned(), body: true, parameters: true };
    let validator = definition.add(graph, site, &format!("{name}-strict"), validator)?;
    let mut paths = Paths { api: &api, name, known: BTreeMap::from([(String::new(), api.outputs.root.clone())]) };
    for route in &wanted.routes {
        let resource = paths.resource(graph, site, route.path, &mut definition)?;
        let model = |name: &str| {
            let own = models.get(name).map(|model: &Node<Model>| model.outputs.name.clone());
            own.or_else(|| ["Empty", "Error"].contains(&name).then(|| Ref::Known(name.to_owned()))).ok_or_else(|| {
                Error::invalid(format!("{} {} refers to the model `{name}`", route.method, route.path))
                    .hint("declare it in `models`")
            })
        };
        let method = method(wanted, route, &api, resource, &validator, &model)?;
        definition.add(graph, site, &format!("{name}-{}", slug(route.method, route.path)), method)?;
    }
    for path in wanted.routes.iter().map(|route| route.path).collect::<BTreeSet<_>>() {
        let resource = paths.resource(graph, site, path, &mut definition)?;
        let methods: Vec<_> = wanted.routes.iter().filter(|route| route.path == path).map(|it| it.method).collect();
        let method = preflight(wanted, &api, resource, &methods);
        definition.add(graph, site, &format!("{name}-{}", slug("OPTIONS", path)), method)?;
    }
    for (kind, retry) in REFUSALS {
        let response = refusal(wanted, &api, kind, retry);
        definition.add(graph, site, &format!("{name}-{}", kind.to_lowercase().replace('_', "-")), response)?;
    }
    let deployment = Deployment { api: api.id.clone(), definition: definition.digest() };
    let deployment = graph.add(region, name, deployment)?;
    for part in &definition.parts {
        graph.order(part, &deployment.address);
    }
    allow(graph, site, wanted, &api)?;
    let (stage, [access_log, execution_log]) = stage(graph, site, wanted, &api, &deployment)?;
    let key = plan(graph, site, wanted, &api, &stage)?;
    site.output(graph, &format!("{name}_url"), &stage.outputs.url);
    site.output(graph, &format!("{name}_id"), &api.id);
    site.output(graph, &format!("{name}_key_id"), &key.id);
    site.output(graph, &format!("{name}_access_log_group_name"), &access_log.id);
    site.output(graph, &format!("{name}_execution_log_group_name"), &execution_log.id);
    Ok(Api { api, stage, key, access_log })
}

/// What a deployment copies, and a digest of it.
#[derive(Default)]
struct Definition {
    parts: Vec<Address>,
    texts: Vec<String>,
}

impl Definition {
    fn add<R>(&mut self, graph: &mut Graph, site: &Site<'_>, name: &str, part: R) -> Result<Node<R>>
    where
        R: payinfra_engine::Resource<Cx = payinfra_aws::Cx>,
    {
        let node = graph.add(site.region(), name, part)?;
        let args = graph.nodes().get(&node.address).map(|declared| declared.args.to_string());
        self.texts.push(format!("{} {}", node.address, args.unwrap_or_default()));
        self.parts.push(node.address.clone());
        Ok(node)
    }

    fn digest(&self) -> String {
        digest(&self.texts.join("\n"))
    }
}

/// The resources of an API by path.
struct Paths<'a> {
    api: &'a Node<apigateway::RestApi>,
    name: &'a str,
    known: BTreeMap<String, Ref<String>>,
}

impl Paths<'_> {
    /// The resource of `path`, with those above it.
    fn resource(
        &mut self,
        graph: &mut Graph,
        site: &Site<'_>,
        path: &str,
        definition: &mut Definition,
    ) -> Result<Ref<String>> {
        let path = path.trim_end_matches('/');
        if let Some(known) = self.known.get(path) {
            return Ok(known.clone());
        }
        let (above, part) = path.rsplit_once('/').unwrap_or_default();
        let parent = self.resource(graph, site, above, definition)?;
        let resource = ApiResource { api: self.api.id.clone(), parent, path_part: part.to_owned() };
        let resource = definition.add(graph, site, &format!("{}{}", self.name, slug("", path)), resource)?;
        self.known.insert(path.to_owned(), resource.outputs.resource.clone());
        Ok(resource.outputs.resource)
    }
}

/// A method and a path in addresses: `post-payments`.
fn slug(method: &str, path: &str) -> String {
    let path: String = path.chars().filter(|it| !"{}".contains(*it)).collect();
    format!("{}{}", method.to_lowercase(), path.replace(['/', '_'], "-"))
}

fn models(
    graph: &mut Graph,
    site: &Site<'_>,
    wanted: &RestApi<'_>,
    api: &Node<apigateway::RestApi>,
    definition: &mut Definition,
) -> Result<BTreeMap<String, Node<Model>>> {
    let mut models = BTreeMap::new();
    for (name, schema) in &wanted.models {
        let model = Model {
            api: api.id.clone(),
            name: (*name).to_owned(),
            description: String::new(),
            content_type: JSON.to_owned(),
            schema: schema.to_string(),
        };
        let model = definition.add(graph, site, &format!("{}-{}", wanted.name, name.to_lowercase()), model)?;
        models.insert((*name).to_owned(), model);
    }
    Ok(models)
}

/// A method that the function handles.
fn method(
    wanted: &RestApi<'_>,
    route: &Route<'_>,
    api: &Node<apigateway::RestApi>,
    resource: Ref<String>,
    validator: &Node<RequestValidator>,
    model: &dyn Fn(&str) -> Result<Ref<String>>,
) -> Result<Method> {
    let parameters = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let responses = route.responses.iter().map(|(status, name)| {
        let models = BTreeMap::from([(JSON.to_owned(), model(name)?)]);
        Ok((status.to_string(), MethodResponse { parameters: BTreeMap::new(), models }))
    });
    let body = route.body.map(|name| Ok::<_, Error>((JSON.to_owned(), model(name)?)));
    Ok(Method {
        api: api.id.clone(),
        resource,
        http_method: route.method.to_owned(),
        authorization: "NONE".to_owned(),
        api_key_required: route.keyed,
        validator: Some(validator.outputs.validator.clone()),
        parameters: parameters.map(|name| (format!("method.request.path.{name}"), true)).collect(),
        models: body.into_iter().collect::<Result<_>>()?,
        responses: responses.collect::<Result<_>>()?,
        integration: Integration {
            kind: IntegrationType::AwsProxy,
            uri: Some(wanted.function.alias.outputs.invoke_arn.clone()),
            http_method: Some("POST".to_owned()),
            timeout_millis: TIMEOUT,
            request_templates: BTreeMap::new(),
            request_parameters: BTreeMap::new(),
            responses: BTreeMap::new(),
        },
    })
}

/// The method that answers CORS preflight requests, without a key and without an invocation.
fn preflight(wanted: &RestApi<'_>, api: &Node<apigateway::RestApi>, resource: Ref<String>, methods: &[&str]) -> Method {
    let headers = [
        ("Access-Control-Allow-Headers", "Content-Type,X-Api-Key,X-Correlation-Id".to_owned()),
        ("Access-Control-Allow-Methods", format!("{},OPTIONS", methods.join(","))),
        ("Access-Control-Allow-Origin", wanted.origin.to_owned()),
    ];
    let header = |name: &str| format!("method.response.header.{name}");
    let parameters = headers.iter().map(|(name, value)| (header(name), format!("'{value}'")));
    let response = MethodResponse {
        parameters: headers.iter().map(|(name, _)| (header(name), true)).collect(),
        models: BTreeMap::new(),
    };
    Method {
        api: api.id.clone(),
        resource,
        http_method: "OPTIONS".to_owned(),
        authorization: "NONE".to_owned(),
        api_key_required: false,
        validator: None,
        parameters: BTreeMap::new(),
        models: BTreeMap::new(),
        responses: BTreeMap::from([("204".to_owned(), response)]),
        integration: Integration {
            kind: IntegrationType::Mock,
            uri: None,
            http_method: None,
            timeout_millis: TIMEOUT,
            request_templates: BTreeMap::from([(JSON.to_owned(), json!({ "statusCode": 204 }).to_string())]),
            request_parameters: BTreeMap::new(),
            responses: BTreeMap::from([(
                "204".to_owned(),
                IntegrationResponse {
                    selection_pattern: String::new(),
                    parameters: parameters.collect(),
                    templates: BTreeMap::new(),
                },
            )]),
        },
    }
}

/// A response of API Gateway itself, in the form of the function's errors.
fn refusal(wanted: &RestApi<'_>, api: &Node<apigateway::RestApi>, kind: &str, retry: Option<u32>) -> GatewayResponse {
    let header = |name: &str| format!("gatewayresponse.header.{name}");
    let origin = (header("Access-Control-Allow-Origin"), format!("'{}'", wanted.origin));
    let retry = retry.map(|seconds| (header("Retry-After"), format!("'{seconds}'")));
    GatewayResponse {
        api: api.id.clone(),
        response_type: kind.to_owned(),
        status_code: None,
        parameters: [origin].into_iter().chain(retry).collect(),
        // The message is a JSON string.
        templates: BTreeMap::from([(JSON.to_owned(), r#"{"error":$context.error.messageString}"#.to_owned())]),
    }
}

/// Allows the API to invoke the function's alias.
fn allow(graph: &mut Graph, site: &Site<'_>, wanted: &RestApi<'_>, api: &Node<apigateway::RestApi>) -> Result<()> {
    let permission = Permission {
        function: wanted.function.function.id.clone(),
        qualifier: Some(wanted.function.alias.outputs.name.clone()),
        statement: wanted.name.to_owned(),
        action: "lambda:InvokeFunction".to_owned(),
        principal: "apigateway.amazonaws.com".to_owned(),
        source_arn: Some(Text::from(&api.outputs.execution_arn).and(format!("/{}/*", wanted.stage))),
        source_account: None,
    };
    graph.add(site.region(), wanted.name, permission).map(drop)
}

/// One line per request, without the key and the body.
const ACCESS: &str = "{\"requestId\":\"$context.requestId\",\"time\":\"$context.requestTime\",\"method\":\"$context.httpMethod\",\
    \"path\":\"$context.resourcePath\",\"status\":\"$context.status\",\"latency\":\"$context.responseLatency\",\
    \"keyId\":\"$context.identity.apiKeyId\",\"ip\":\"$context.identity.sourceIp\"}";

fn stage(
    graph: &mut Graph,
    site: &Site<'_>,
    wanted: &RestApi<'_>,
    api: &Node<apigateway::RestApi>,
    deployment: &Node<Deployment>,
) -> Result<(Node<Stage>, [Node<LogGroup>; 2])> {
    let group = LogGroup {
        name: access_log_name(site, wanted.name).into(),
        retention_days: Some(wanted.log_retention_days),
        kms_key: Some(wanted.log_key.clone()),
        tags: site.named(&format!("{}-access", wanted.name)),
    };
    let group = graph.add(site.region(), &format!("{}-access", wanted.name), group)?;
    // API Gateway would create this group itself, unencrypted and without retention.
    let execution = LogGroup {
        name: Text::from(EXECUTION_LOGS).and(&api.id).and(format!("/{}", wanted.stage)),
        retention_days: Some(wanted.log_retention_days),
        kms_key: Some(wanted.log_key.clone()),
        tags: site.named(&format!("{}-execution", wanted.name)),
    };
    let execution = graph.add(site.region(), &format!("{}-execution", wanted.name), execution)?;
    let role = TaskRole {
        task: LOGS_ROLE,
        description: "Writes the logs of API Gateway",
        trust: roles::trust("apigateway.amazonaws.com"),
        policy: None,
        managed: &[PUSH_LOGS],
    };
    let role = roles::role(graph, site, role)?;
    let account = graph.add(site.region(), "main", Account { role: role.outputs.arn })?;
    let (rate, burst) = wanted.limits.total;
    let stage = Stage {
        api: api.id.clone(),
        name: wanted.stage.to_owned(),
        deployment: deployment.id.clone(),
        description: wanted.about.to_owned(),
        variables: BTreeMap::new(),
        access_log: Some(AccessLog { group_arn: group.outputs.arn.clone(), format: ACCESS.to_owned() }),
        log_level: LogLevel::Error,
        metrics: true,
        throttle: Some(Throttle { rate, burst }),
        tracing: false,
        tags: site.named(&format!("{}-stage", wanted.name)),
    };
    let stage = graph.add(site.region(), wanted.name, stage)?;
    for first in [&account.address, &execution.address] {
        graph.order(first, &stage.address);
    }
    Ok((stage, [group, execution]))
}

/// The usage plan with a key for one client.
fn plan(
    graph: &mut Graph,
    site: &Site<'_>,
    wanted: &RestApi<'_>,
    api: &Node<apigateway::RestApi>,
    stage: &Node<Stage>,
) -> Result<Node<ApiKey>> {
    let name = wanted.name;
    let (rate, burst) = wanted.limits.client;
    let plan = UsagePlan {
        name: site.names.name(&format!("{name}-plan")),
        description: format!("Limits of each client of {}", wanted.about),
        stages: BTreeSet::from([ApiStage { api: api.id.clone(), stage: stage.outputs.name.clone() }]),
        throttle: Some(Throttle { rate, burst }),
        quota: Some(Quota { limit: wanted.limits.per_day, period: Period::Day }),
        tags: site.named(&format!("{name}-plan")),
    };
    let plan = graph.add(site.region(), name, plan)?;
    let key = ApiKey {
        name: site.names.name(&format!("{name}-key")),
        description: format!("The first client of {}", wanted.about),
        enabled: true,
        value: None,
        tags: site.named(&format!("{name}-key")),
    };
    let key = graph.add(site.region(), name, key)?;
    graph.add(site.region(), name, UsagePlanKey { plan: plan.id, key: key.id.clone() })?;
    Ok(key)
}
