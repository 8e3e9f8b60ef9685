//! An HTTP API in front of a function, as other systems declare it.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::CodeSha256;
use payinfra_aws::lambda::Architecture;
use payinfra_components::function::{self, Deployed, Function, function};
use payinfra_components::http_api::{Access, DEFAULT_STAGE, HttpApi, Route, access_log_name, domain, http_api};
use payinfra_components::keys::{Purpose, key, logs_statement};
use payinfra_components::network::{Nat, network};
use payinfra_engine::{Graph, Ref, Result};
use payinfra_stack::Site;
use serde_json::json;

use crate::{Setting, layout};

/// A function in two zones, and the key that encrypts everything.
fn deployed(graph: &mut Graph, site: &Site<'_>) -> Result<(Deployed, Ref<String>)> {
    let groups = [function::log_group_name(site, "worker"), access_log_name(site, "api")];
    let statements = vec![logs_statement(site, &groups.each_ref().map(String::as_str))];
    let key = key(graph, site, Purpose { name: "all", services: &["lambda"], grants: true, statements })?.outputs.arn;
    let network = network(graph, site, &layout(site, 2, 0, Nat::None))?;
    let wanted = Function {
        name: "worker",
        about: "Works",
        code: CodeSha256::of(b"package"),
        architecture: Architecture::Arm64,
        memory: 256,
        timeout: 10,
        reserved_concurrency: None,
        environment: BTreeMap::new(),
        environment_key: Some(&key),
        network: Some(&network),
        egress: BTreeSet::new(),
        permissions: Vec::new(),
        log_key: &key,
        log_retention_days: 30,
    };
    Ok((function(graph, site, wanted)?, key))
}

#[test]
fn t05_p07_only_its_routes_may_invoke_the_function() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let (function, log_key) = deployed(graph, &site)?;
    let routes = [
        Route { name: "pay", method: "POST", path: "/payments/{id}", access: Access::Iam },
        Route { name: "health", method: "GET", path: "/health", access: Access::Public },
    ];
    let wanted = HttpApi {
        name: "api",
        about: "Work",
        stage: DEFAULT_STAGE,
        routes: &routes,
        function: &function,
        limit: (100.0, 200),
        log_key: &log_key,
        log_retention_days: 30,
    };
    let api = http_api(graph, &site, &wanted)?;
    domain(graph, &site, "api", &api, "api.example.com", "arn:aws:acm:us-east-1:123456789012:certificate/c".into())?;
    let route = |name: &str| setting.args(&format!("us-east-1/apigatewayv2.route/api-{name}")).clone();
    assert_eq!(
        (&route("pay")["key"], &route("pay")["authorization"]),
        (&json!("POST /payments/{id}"), &json!("AWS_IAM"))
    );
    assert_eq!(route("health")["authorization"], "NONE");
    let permission = setting.args("us-east-1/lambda.permission/api-pay");
    let api = json!({ "$ref": "us-east-1/apigatewayv2.api/api#execution_arn" });
    assert_eq!(permission["source_arn"], json!({ "$text": [api, "/*/POST/payments/*"] }));
    assert_eq!(permission["qualifier"], json!({ "$ref": "us-east-1/lambda.alias/worker-live#name" }));
    let stage = setting.args("us-east-1/apigatewayv2.stage/api");
    assert_eq!((&stage["name"], &stage["throttle"]["burst"]), (&json!("$default"), &json!(200)));
    assert!(stage["access_log"]["group_arn"]["$ref"] == "us-east-1/logs.log-group/api-access#arn");
    let mapping = setting.args("us-east-1/apigatewayv2.api-mapping/api");
    assert_eq!(mapping["stage"], json!({ "$ref": "us-east-1/apigatewayv2.stage/api#name" }));
    setting.check();
    Ok(())
}

#[test]
fn p07_a_stage_is_in_the_url_and_limits_the_permission() -> Result<()> {
    let mut setting = Setting::new();
    let (graph, site) = setting.site(0);
    let (function, log_key) = deployed(graph, &site)?;
    let wanted = HttpApi {
        name: "api",
        about: "Work",
        stage: "prod",
        routes: &[Route { name: "pay", method: "POST", path: "/payment", access: Access::Public }],
        function: &function,
        limit: (100.0, 200),
        log_key: &log_key,
        log_retention_days: 30,
    };
    http_api(graph, &site, &wanted)?;
    let permission = setting.args("us-east-1/lambda.permission/api-pay");
    let api = json!({ "$ref": "us-east-1/apigatewayv2.api/api#execution_arn" });
    assert_eq!(permission["source_arn"], json!({ "$text": [api, "/prod/POST/payment"] }));
    let url = json!({ "$text": [{ "$ref": "us-east-1/apigatewayv2.api/api#url" }, "/prod"] });
    assert_eq!(json!(setting.graph.outputs()["api_url_us_east_1"]), url);
    setting.check();
    Ok(())
}
