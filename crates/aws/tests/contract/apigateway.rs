//! Examples of API Gateway, version 1.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::apigateway::{
    AccessLog, Account, ApiKey, ApiResource, ApiStage, BasePathMapping, Deployment, DomainName, GatewayResponse,
    Integration, IntegrationResponse, IntegrationType, LogLevel, Method, MethodResponse, Model, Period, Quota,
    RequestValidator, RestApi, Stage, Throttle, UsagePlan, UsagePlanKey,
};
use payinfra_aws::logs::LogGroup;
use payinfra_aws::{Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Error, Graph, Node, Ref, Region, Resource, Result, Secret, Tags};
use serde_json::json;

use crate::example::{Again, Example, examples, form, graph, region};
use crate::iam::role_for;
use crate::lambda::function_for;
use crate::life::{access, site};

examples![
    account,
    api_key,
    api_resource,
    base_path_mapping,
    deployment,
    domain_name,
    gateway_response,
    method,
    method_for_cors,
    model,
    request_validator,
    rest_api,
    stage,
    usage_plan,
    usage_plan_key,
];

fn api_args(name: &str) -> RestApi {
    RestApi {
        name: format!("contract-{name}"),
        description: "an example".to_owned(),
        disable_execute_api: false,
        tags: Tags::new(),
    }
}

fn api_for(graph: &mut Graph, name: &str) -> Result<Node<RestApi>> {
    let args = api_args(&format!("{}-{name}", graph.workspace));
    graph.add(&region(), name, args)
}

fn rest_api() -> Result<Example> {
    Example::new(graph("rest-api"), &region(), api_args("example"))?
        .change(|api: &mut RestApi| api.description.push_str(" for more"))?
        .change(|api: &mut RestApi| api.name.push_str("-renamed"))?
        .change(|api: &mut RestApi| api.disable_execute_api = true)
}

fn resource_for(graph: &mut Graph, api: &Node<RestApi>, path: &str) -> Result<Node<ApiResource>> {
    let args = ApiResource { api: api.id.clone(), parent: api.outputs.root.clone(), path_part: path.to_owned() };
    graph.add(&region(), path, args)
}

fn api_resource() -> Result<Example> {
    let mut graph = graph("api-resource");
    let api = api_for(&mut graph, "api")?;
    let parent = resource_for(&mut graph, &api, "payments")?.outputs.resource;
    let resource = ApiResource { api: api.id, parent, path_part: "{payment_id}".to_owned() };
    Ok(Example::new(graph, &region(), resource)?.again(Again::Taken))
}

fn model_args(api: &Node<RestApi>) -> Model {
    Model {
        api: api.id.clone(),
        name: "Payment".to_owned(),
        description: "an example".to_owned(),
        content_type: "application/json".to_owned(),
        schema: json!({ "type": "object", "required": ["amount"] }).to_string(),
    }
}

fn model() -> Result<Example> {
    let mut graph = graph("api-model");
    let api = api_for(&mut graph, "api")?;
    Example::new(graph, &region(), model_args(&api))?
        .again(Again::Taken)
        .change(|model: &mut Model| model.description.push_str(" for more"))?
        .change(|model: &mut Model| model.schema = json!({ "type": "object", "required": ["currency"] }).to_string())
}

fn validator_args(api: &Node<RestApi>) -> RequestValidator {
    RequestValidator { api: api.id.clone(), name: "all".to_owned(), body: true, parameters: true }
}

fn request_validator() -> Result<Example> {
    let mut graph = graph("request-validator");
    let api = api_for(&mut graph, "api")?;
    Example::new(graph, &region(), validator_args(&api))?
        .change(|validator: &mut RequestValidator| (validator.body, validator.parameters) = (false, true))?
        .change(|validator: &mut RequestValidator| (validator.body, validator.parameters) = (true, false))
}

fn gateway_response() -> Result<Example> {
    let mut graph = graph("api-gateway-response");
    let api = api_for(&mut graph, "api")?;
    let template = |text: &str| BTreeMap::from([("application/json".to_owned(), text.to_owned())]);
    let response = GatewayResponse {
        api: api.id,
        response_type: "INVALID_API_KEY".to_owned(),
        status_code: None,
        parameters: BTreeMap::new(),
        templates: template(r#"{"error":$context.error.messageString}"#),
    };
    Example::new(graph, &region(), response)?
        .again(Again::Taken)
        .change(|response: &mut GatewayResponse| response.status_code = Some("401".to_owned()))?
        .change(|response: &mut GatewayResponse| {
            let header = "gatewayresponse.header.Access-Control-Allow-Origin".to_owned();
            response.parameters = BTreeMap::from([(header, "'*'".to_owned())]);
            response.templates = template(r#"{"error":"forbidden"}"#);
        })
}

/// A method that answers by itself.
fn mock(api: &Node<RestApi>, resource: Ref<String>) -> Method {
    let header = "method.response.header.Access-Control-Allow-Origin".to_owned();
    let template = ("application/json".to_owned(), json!({ "statusCode": 200 }).to_string());
    let response = MethodResponse { parameters: BTreeMap::from([(header.clone(), false)]), models: BTreeMap::new() };
    let answer = IntegrationResponse {
        selection_pattern: String::new(),
        parameters: BTreeMap::from([(header, "'*'".to_owned())]),
        templates: BTreeMap::new(),
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
        responses: BTreeMap::from([("200".to_owned(), response)]),
        integration: Integration {
            kind: IntegrationType::Mock,
            uri: None,
            http_method: None,
            timeout_millis: 29_000,
            request_templates: BTreeMap::from([template]),
            request_parameters: BTreeMap::new(),
            responses: BTreeMap::from([("200".to_owned(), answer)]),
        },
    }
}

fn method_for_cors() -> Result<Example> {
    let mut graph = graph("api-method-for-cors");
    let api = api_for(&mut graph, "api")?;
    let resource = api.outputs.root.clone();
    Example::new(graph, &region(), mock(&api, resource))?.again(Again::Taken).change(|method: &mut Method| {
        for response in method.integration.responses.values_mut() {
            response.parameters.values_mut().for_each(|value| "'https://example.com'".clone_into(value));
            response.templates.insert("application/json".to_owned(), "{}".to_owned());
        }
    })
}

fn method() -> Result<Example> {
    let mut graph = graph("api-method");
    let api = api_for(&mut graph, "api")?;
    let resource = resource_for(&mut graph, &api, "payments")?.outputs.resource;
    let model = graph.add(&region(), "model", model_args(&api))?.outputs.name;
    let validator = graph.add(&region(), "validator", validator_args(&api))?.outputs.validator;
    let function = function_for(&mut graph, "function")?;
    let integration = Integration {
        kind: IntegrationType::AwsProxy,
        uri: Some(function.outputs.invoke_arn),
        http_method: Some("POST".to_owned()),
        timeout_millis: 10_000,
        request_templates: BTreeMap::new(),
        request_parameters: BTreeMap::new(),
        responses: BTreeMap::new(),
    };
    let method =
        Method { http_method: "POST".to_owned(), responses: BTreeMap::new(), integration, ..mock(&api, resource) };
    let json = || "application/json".to_owned();
    Example::new(graph, &region(), method)?
        .again(Again::Taken)
        .change(|method: &mut Method| (method.validator, method.api_key_required) = (Some(validator), true))?
        .change(|method: &mut Method| {
            method.models = BTreeMap::from([(json(), model.clone())]);
            method.parameters = BTreeMap::from([("method.request.header.Idempotency-Key".to_owned(), true)]);
            let response = MethodResponse { parameters: BTreeMap::new(), models: BTreeMap::from([(json(), model)]) };
            method.responses = BTreeMap::from([("201".to_owned(), response)]);
        })?
        .change(|method: &mut Method| {
            "AWS_IAM".clone_into(&mut method.authorization);
            method.integration.timeout_millis = 5_000;
        })
}

/// An API with one method, and its deployment.
fn deployed(graph: &mut Graph) -> Result<(Node<RestApi>, Node<Deployment>)> {
    let api = api_for(graph, "api")?;
    let method = graph.add(&region(), "method", mock(&api, api.outputs.root.clone()))?;
    let deployment = Deployment { api: api.id.clone(), definition: "first".to_owned() };
    let deployment = graph.add(&region(), "deployment", deployment)?;
    graph.order(&method.address, &deployment.address);
    Ok((api, deployment))
}

fn deployment() -> Result<Example> {
    let mut graph = graph("api-deployment");
    let api = api_for(&mut graph, "api")?;
    let method = graph.add(&region(), "method", mock(&api, api.outputs.root.clone()))?;
    let deployment = Deployment { api: api.id, definition: "first".to_owned() };
    let mut example = Example::new(graph, &region(), deployment)?;
    example.graph.order(&method.address, &example.address.clone());
    Ok(example)
}

fn stage_args(api: &Node<RestApi>, deployment: &Node<Deployment>, name: &str) -> Stage {
    Stage {
        api: api.id.clone(),
        name: name.to_owned(),
        deployment: deployment.id.clone(),
        description: "an example".to_owned(),
        variables: BTreeMap::new(),
        access_log: None,
        log_level: LogLevel::Off,
        metrics: false,
        throttle: None,
        tracing: false,
        tags: Tags::new(),
    }
}

fn stage_for(graph: &mut Graph) -> Result<(Node<RestApi>, Node<Stage>)> {
    let (api, deployment) = deployed(graph)?;
    let stage = graph.add(&region(), "stage", stage_args(&api, &deployment, "v1"))?;
    Ok((api, stage))
}

fn stage() -> Result<Example> {
    let mut graph = graph("api-stage");
    let (api, first) = deployed(&mut graph)?;
    let second = Deployment { api: api.id.clone(), definition: "second".to_owned() };
    let second = graph.add(&region(), "second", second)?;
    graph.order(&first.address, &second.address);
    let name = "/contract/api-stage".to_owned();
    let log = LogGroup { name: name.into(), retention_days: None, kms_key: None, tags: Tags::new() };
    let group_arn = graph.add(&region(), "log", log)?.outputs.arn;
    let format = json!({ "id": "$context.requestId", "status": "$context.status" }).to_string();
    Example::new(graph, &region(), stage_args(&api, &first, "v1"))?
        .again(Again::Taken)
        .change(|stage: &mut Stage| (stage.deployment, stage.tracing) = (second.id, true))?
        .change(|stage: &mut Stage| {
            stage.description.push_str(" for more");
            stage.variables = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
            (stage.log_level, stage.metrics) = (LogLevel::Error, true);
            stage.access_log = Some(AccessLog { group_arn, format });
        })?
        .change(|stage: &mut Stage| {
            stage.variables = BTreeMap::from([("b".to_owned(), "3".to_owned())]);
            stage.throttle = Some(Throttle { rate: 100.0, burst: 200 });
        })?
        .change(|stage: &mut Stage| {
            (stage.log_level, stage.metrics) = (LogLevel::Info, false);
            (stage.throttle, stage.access_log) = (None, None);
        })
}

pub(crate) fn key_args(name: &str) -> ApiKey {
    ApiKey {
        name: format!("contract-{name}"),
        description: "an example".to_owned(),
        enabled: true,
        value: None,
        tags: Tags::new(),
    }
}

fn api_key() -> Result<Example> {
    let value = Some(Secret::new("a-value-of-at-least-20-characters".to_owned()));
    Example::new(graph("api-key"), &region(), ApiKey { value, ..key_args("example") })?
        .again(Again::Taken)
        .change(|key: &mut ApiKey| key.name.push_str("-renamed"))?
        .change(|key: &mut ApiKey| key.description.push_str(" for more"))?
        .change(|key: &mut ApiKey| key.enabled = false)
}

fn plan_args(name: &str) -> UsagePlan {
    UsagePlan {
        name: format!("contract-{name}"),
        description: "an example".to_owned(),
        stages: BTreeSet::new(),
        throttle: None,
        quota: None,
        tags: Tags::new(),
    }
}

fn usage_plan() -> Result<Example> {
    let mut graph = graph("usage-plan");
    let (api, stage) = stage_for(&mut graph)?;
    let stages = BTreeSet::from([ApiStage { api: api.id, stage: stage.outputs.name }]);
    let args = UsagePlan { throttle: Some(Throttle { rate: 10.0, burst: 20 }), ..plan_args("example") };
    Example::new(graph, &region(), args)?
        .change(|plan: &mut UsagePlan| {
            plan.name.push_str("-renamed");
            plan.description.push_str(" for more");
            plan.stages = stages;
            plan.throttle = Some(Throttle { rate: 50.5, burst: 100 });
            plan.quota = Some(Quota { limit: 1_000, period: Period::Day });
        })?
        .change(|plan: &mut UsagePlan| plan.quota = Some(Quota { limit: 5_000, period: Period::Month }))?
        .change(|plan: &mut UsagePlan| (plan.throttle, plan.quota) = (None, None))
}

fn usage_plan_key() -> Result<Example> {
    let mut graph = graph("usage-plan-key");
    let plan = graph.add(&region(), "plan", plan_args("with-key"))?;
    let key = graph.add(&region(), "key", key_args("of-plan"))?;
    Ok(Example::new(graph, &region(), UsagePlanKey { plan: plan.id, key: key.id })?.again(Again::Taken))
}

/// AWS knows no certificates by these ARNs; the emulator does not check them.
fn certificate(name: &str) -> Ref<String> {
    Ref::Known(format!("arn:aws:acm:us-east-1:123456789012:certificate/{name}"))
}

pub(crate) fn domain_args(name: &str) -> DomainName {
    DomainName { name: format!("{name}.contract.example"), certificate: certificate("first"), tags: Tags::new() }
}

fn domain_name() -> Result<Example> {
    Example::new(graph("api-domain-name"), &region(), domain_args("api"))?
        .again(Again::Taken)
        .change(|domain: &mut DomainName| domain.certificate = certificate("second"))
}

fn base_path_mapping() -> Result<Example> {
    let mut graph = graph("base-path-mapping");
    let (api, stage) = stage_for(&mut graph)?;
    let other = api_for(&mut graph, "other")?;
    let domain = graph.add(&region(), "domain", domain_args("mapped"))?;
    let mapping =
        BasePathMapping { domain: domain.id, base_path: String::new(), api: api.id, stage: stage.outputs.name };
    Example::new(graph, &region(), mapping)?.again(Again::Taken).change(|mapping: &mut BasePathMapping| {
        (mapping.api, mapping.stage) = (other.id, "v2".into());
    })
}

/// In a region without other examples, because all of the account share it.
fn account() -> Result<Example> {
    let mut graph = graph("api-account");
    let role = role_for(&mut graph, "role", "apigateway.amazonaws.com")?.outputs.arn;
    Ok(Example::new(graph, &Region::new("us-west-2"), Account { role })?.again(Again::Same))
}

/// The role of others is neither replaced nor taken away, nor is ours while a stage of others needs it.
#[tokio::test]
async fn the_role_of_the_account_is_shared() -> Result<()> {
    let region = Region::new("us-east-2");
    let access = access().await?;
    let (cx, aws) = (access.cx(&region), Aws::new(access.clone()));
    let site = site(&region, Account::KIND, "account")?;
    let role = |name: &str| format!("arn:aws:iam::123456789012:role/{name}");
    let role_now = async || Ok::<_, Error>(cx.apigateway().get_account().send().await.explain()?.cloudwatch_role_arn);
    let args = |name: &str| json!({ "role": role(name) });
    let theirs = aws.create(&site, &args("theirs")).await?;
    let ours = aws.create(&site, &args("ours")).await?;
    assert_eq!(role_now().await?, Some(theirs.clone()), "the first one is kept");
    let live = aws.read(&region, Account::KIND, &[ours]).await?.pop().need("Account")?;
    assert_eq!(live.args, args("ours"), "there is nothing to change");
    let kept = aws.delete(&site, &live).await.map_err(|error| error.class());
    assert_eq!((kept, role_now().await?), (Err(Class::NotFound), Some(theirs.clone())));

    let client = cx.apigateway();
    let api = client.create_rest_api().name("contract-theirs").send().await.explain()?.id.need("Id")?;
    client.create_stage().rest_api_id(&api).stage_name("v1").deployment_id("d1").send().await.explain()?;
    let stage_logs = aws_sdk_apigateway::types::PatchOperation::builder().op(aws_sdk_apigateway::types::Op::Replace);
    let stage_logs = stage_logs.path("/accessLogSettings/destinationArn").value("arn:aws:logs:…").build();
    let call = client.update_stage().rest_api_id(&api).stage_name("v1").patch_operations(stage_logs);
    call.send().await.explain()?;
    let live = aws.read(&region, Account::KIND, std::slice::from_ref(&theirs)).await?.pop().need("Account")?;
    let refused = aws.delete(&site, &live).await.map_err(|error| error.class());
    assert_eq!((refused, role_now().await?), (Err(Class::Failed), Some(theirs)));
    client.delete_rest_api().rest_api_id(api).send().await.explain()?;
    aws.delete(&site, &live).await?;
    assert_eq!(role_now().await?.unwrap_or_default(), "");
    Ok(())
}

#[tokio::test]
async fn a_domain_name_of_others_is_refused() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let site = site(&region(), DomainName::KIND, "theirs")?;
    let wanted = form(&DomainName { tags: site.owner.tags(), ..domain_args("theirs") })?;
    cx.apigateway().create_domain_name().domain_name("theirs.contract.example").send().await.explain()?;
    for refused in [aws.create(&site, &wanted).await.map(drop), aws.recover(&site, &wanted).await.map(drop)] {
        assert_eq!(refused.map_err(|error| error.class()), Err(Class::Foreign));
    }
    cx.apigateway().delete_domain_name().domain_name("theirs.contract.example").send().await.explain().map(drop)
}
