//! Examples of API Gateway, version 2.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::apigatewayv2::{
    AccessLog, Api, ApiMapping, Cors, Integration, IntegrationType, Route, Stage, Throttle,
};
use payinfra_aws::logs::LogGroup;
use payinfra_engine::{Graph, Node, Result, Tags};
use serde_json::json;

use crate::apigateway::domain_args;
use crate::example::{Again, Example, examples, graph, region};
use crate::lambda::function_for;

examples![api, api_mapping, integration, route, stage];

fn api_args(name: &str) -> Api {
    Api {
        name: format!("contract-{name}"),
        description: "an example".to_owned(),
        cors: None,
        disable_execute_api: false,
        tags: Tags::new(),
    }
}

fn api_for(graph: &mut Graph, name: &str) -> Result<Node<Api>> {
    let args = api_args(&format!("{}-{name}", graph.workspace));
    graph.add(&region(), name, args)
}

fn api() -> Result<Example> {
    let set = |value: &str| BTreeSet::from([value.to_owned()]);
    let cors = Cors { origins: set("https://example.com"), methods: set("GET"), headers: set("*"), max_age: 60 };
    Example::new(graph("http-api"), &region(), api_args("example"))?
        .change(|api: &mut Api| api.description.push_str(" for more"))?
        .change(|api: &mut Api| (api.name, api.cors) = ("contract-renamed".to_owned(), Some(cors)))?
        .change(|api: &mut Api| (api.disable_execute_api, api.cors) = (true, None))
}

fn integration_args(graph: &mut Graph, api: &Node<Api>, name: &str) -> Result<Integration> {
    let function = function_for(graph, name)?;
    Ok(Integration {
        api: api.id.clone(),
        kind: IntegrationType::AwsProxy,
        uri: function.outputs.arn,
        http_method: "POST".to_owned(),
        payload_format: "2.0".to_owned(),
        timeout_millis: 10_000,
        description: "an example".to_owned(),
    })
}

fn integration() -> Result<Example> {
    let mut graph = graph("http-integration");
    let api = api_for(&mut graph, "api")?;
    let other = function_for(&mut graph, "other")?.outputs.arn;
    let args = integration_args(&mut graph, &api, "function")?;
    Example::new(graph, &region(), args)?
        .change(|it: &mut Integration| (it.uri, it.payload_format) = (other, "1.0".to_owned()))?
        .change(|it: &mut Integration| (it.http_method, it.timeout_millis) = ("GET".to_owned(), 5_000))?
        .change(|it: &mut Integration| it.description.clear())
}

fn route() -> Result<Example> {
    let mut graph = graph("http-route");
    let api = api_for(&mut graph, "api")?;
    let first = integration_args(&mut graph, &api, "first")?;
    let first = graph.add(&region(), "first", first)?.outputs.target;
    let second = integration_args(&mut graph, &api, "second")?;
    let second = graph.add(&region(), "second", second)?.outputs.target;
    let route = Route {
        api: api.id,
        key: "GET /payments/{payment_id}".to_owned(),
        target: first,
        authorization: "NONE".to_owned(),
    };
    Example::new(graph, &region(), route)?
        .again(Again::Taken)
        .change(|route: &mut Route| (route.target, route.authorization) = (second, "AWS_IAM".to_owned()))?
        .change(|route: &mut Route| "$default".clone_into(&mut route.key))
}

fn stage_args(api: &Node<Api>, name: &str) -> Stage {
    Stage {
        api: api.id.clone(),
        name: name.to_owned(),
        description: "an example".to_owned(),
        variables: BTreeMap::new(),
        access_log: None,
        metrics: false,
        throttle: Throttle { rate: 100.0, burst: 200 },
        tags: Tags::new(),
    }
}

fn stage() -> Result<Example> {
    let mut graph = graph("http-stage");
    let api = api_for(&mut graph, "api")?;
    let name = "/contract/http-stage".to_owned();
    let log = LogGroup { name: name.into(), retention_days: None, kms_key: None, tags: Tags::new() };
    let group_arn = graph.add(&region(), "log", log)?.outputs.arn;
    let format = json!({ "id": "$context.requestId" }).to_string();
    Example::new(graph, &region(), stage_args(&api, "$default"))?
        .again(Again::Taken)
        .change(|stage: &mut Stage| {
            stage.description.push_str(" for more");
            stage.variables = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
            stage.access_log = Some(AccessLog { group_arn, format });
            (stage.metrics, stage.throttle) = (true, Throttle { rate: 0.5, burst: 1 });
        })?
        .change(|stage: &mut Stage| {
            stage.variables = BTreeMap::from([("b".to_owned(), "3".to_owned())]);
            (stage.metrics, stage.access_log) = (false, None);
        })
}

fn api_mapping() -> Result<Example> {
    let mut graph = graph("api-mapping");
    let mut add = |name: &str| -> Result<_> {
        let api = api_for(&mut graph, name)?;
        let stage = graph.add(&region(), name, stage_args(&api, "v1"))?;
        Ok((api.id, stage.outputs.name))
    };
    let ((api, stage), other) = (add("first")?, add("second")?);
    let domain = graph.add(&region(), "domain", domain_args("http"))?.id;
    let mapping = ApiMapping { domain, key: String::new(), api, stage };
    Example::new(graph, &region(), mapping)?
        .again(Again::Taken)
        .change(|mapping: &mut ApiMapping| (mapping.api, mapping.stage) = other)?
        .change(|mapping: &mut ApiMapping| "payments/v1".clone_into(&mut mapping.key))
}
