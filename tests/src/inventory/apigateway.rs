//! REST APIs and HTTP APIs with everything in them, domain names, keys and usage plans.

use super::Inventory;
use crate::Bench;

/// The maximum number of items in a page.
const PAGE: i32 = 500;

impl Inventory {
    pub(super) async fn apis(&mut self, bench: &Bench, region: &str) {
        let client = aws_sdk_apigateway::Client::new(&bench.sdk(region));
        for api in client.get_rest_apis().limit(PAGE).send().await.unwrap().items() {
            let (id, name) = (api.id().unwrap_or("?"), api.name().unwrap_or("?"));
            self.note(region, "apigateway.rest-api", Some(name));
            let mut note = |kind: &str, part: Option<&str>| {
                self.note(region, kind, Some(&format!("{name} {}", part.unwrap_or("?"))));
            };
            for it in client.get_resources().rest_api_id(id).limit(PAGE).send().await.unwrap().items() {
                note("apigateway.resource", it.path());
                for verb in it.resource_methods().into_iter().flat_map(|methods| methods.keys()) {
                    note("apigateway.method", Some(&format!("{verb} {}", it.path().unwrap_or("?"))));
                }
            }
            for it in client.get_models().rest_api_id(id).limit(PAGE).send().await.unwrap().items() {
                note("apigateway.model", it.name());
            }
            for it in client.get_request_validators().rest_api_id(id).limit(PAGE).send().await.unwrap().items() {
                note("apigateway.request-validator", it.name());
            }
            let deployments = client.get_deployments().rest_api_id(id).limit(PAGE).send().await.unwrap();
            for index in 0..deployments.items().len() {
                note("apigateway.deployment", Some(&index.to_string()));
            }
            for it in client.get_stages().rest_api_id(id).send().await.unwrap().item() {
                note("apigateway.stage", it.stage_name());
            }
        }
        for it in client.get_api_keys().limit(PAGE).send().await.unwrap().items() {
            self.note(region, "apigateway.api-key", it.name());
        }
        for plan in client.get_usage_plans().limit(PAGE).send().await.unwrap().items() {
            self.note(region, "apigateway.usage-plan", plan.name());
            let keys = client.get_usage_plan_keys().usage_plan_id(plan.id().unwrap_or("?"));
            for it in keys.send().await.unwrap().items() {
                self.note(region, "apigateway.usage-plan-key", it.name());
            }
        }
        for domain in client.get_domain_names().limit(PAGE).send().await.unwrap().items() {
            let name = domain.domain_name().unwrap_or("?");
            self.note(region, "apigateway.domain-name", Some(name));
            let mappings = client.get_base_path_mappings().domain_name(name).limit(PAGE);
            for it in mappings.send().await.unwrap().items() {
                self.note(region, "apigateway.base-path-mapping", Some(&format!("{name} {:?}", it.base_path())));
            }
        }
    }

    pub(super) async fn http_apis(&mut self, bench: &Bench, region: &str) {
        let client = aws_sdk_apigatewayv2::Client::new(&bench.sdk(region));
        for api in client.get_apis().send().await.unwrap().items() {
            let (id, name) = (api.api_id().unwrap_or("?"), api.name().unwrap_or("?"));
            self.note(region, "apigatewayv2.api", Some(name));
            for it in client.get_routes().api_id(id).send().await.unwrap().items() {
                self.note(region, "apigatewayv2.route", Some(&format!("{name} {}", it.route_key().unwrap_or("?"))));
            }
            let integrations = client.get_integrations().api_id(id).send().await.unwrap();
            for index in 0..integrations.items().len() {
                self.note(region, "apigatewayv2.integration", Some(&format!("{name} {index}")));
            }
            for it in client.get_stages().api_id(id).send().await.unwrap().items() {
                self.note(region, "apigatewayv2.stage", Some(&format!("{name} {}", it.stage_name().unwrap_or("?"))));
            }
        }
    }
}
