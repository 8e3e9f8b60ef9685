//! The REST API of a region, and its domain name (G-01, G-02).

use std::collections::BTreeMap;

use payinfra_aws::apigateway::{BasePathMapping, DomainName};
use payinfra_aws::route53::{self, DnsName, FailoverRole, HealthCheck};
use payinfra_components::domain::{Alias, Domain, health_check};
use payinfra_components::function::Deployed;
use payinfra_components::rest_api::{Api, Limits, RestApi, Route, rest_api};
use payinfra_engine::{Graph, Node, Ref, Result};
use payinfra_stack::{Names, Workspace};
use serde_json::{Value, json};

use super::Part;
use super::settings::{PaymentVariables, Routing};
use crate::settings::domain::resolver;

/// The API in names and addresses.
pub(super) const API: &str = "api";
/// The stage of the API.
const STAGE: &str = "v1";

/// Declares the REST API of a region.
pub(super) fn api(graph: &mut Graph, part: &Part<'_>, function: &Deployed) -> Result<Api> {
    let variables = part.site.variables();
    let config = &variables.api;
    let burst = |rate: u32| i32::try_from(rate.saturating_mul(2)).unwrap_or(i32::MAX);
    let errors = |statuses: &[u16]| statuses.iter().map(|status| (*status, "Problem")).collect::<Vec<_>>();
    let responses = |statuses: &[u16]| errors(statuses).into_iter().chain([(200, "Payment")]).collect();
    let wanted = RestApi {
        name: API,
        about: "Payments",
        stage: STAGE,
        models: models(),
        routes: vec![
            Route {
                method: "POST",
                path: "/payments",
                keyed: true,
                body: Some("NewPayment"),
                responses: responses(&[400, 409, 413, 500, 503]),
            },
            Route {
                method: "GET",
                path: "/payments/{payment_id}",
                keyed: true,
                body: None,
                responses: responses(&[404, 500, 503]),
            },
            Route {
                method: "GET",
                path: "/health",
                keyed: false,
                body: None,
                responses: BTreeMap::from([(200, "Empty"), (503, "Empty")]),
            },
        ],
        function,
        origin: &config.origin,
        limits: Limits {
            total: (config.requests_per_second.into(), burst(config.requests_per_second)),
            client: (config.client_requests_per_second.into(), burst(config.client_requests_per_second)),
            per_day: config.client_requests_per_day,
        },
        log_key: &part.keys.logs.outputs.arn,
        log_retention_days: variables.log_retention_days.0,
    };
    rest_api(graph, &part.site, &wanted)
}

/// The bodies of requests and responses. The function validates everything; the API only rejects what is obviously wrong.
fn models() -> BTreeMap<&'static str, Value> {
    let schema = |title: &str, required: &[&str], properties: Value| {
        json!({
            "$schema": "http://json-schema.org/draft-04/schema#",
            "title": title,
            "type": "object",
            "required": required,
            "properties": properties,
        })
    };
    let amount = json!({ "type": ["number", "string"] });
    let text = |longest: u32| json!({ "type": "string", "minLength": 1, "maxLength": longest });
    let new = json!({
        "transactionId": text(128),
        "customerId": text(128),
        "amount": amount,
        "currency": { "type": "string", "minLength": 3, "maxLength": 3 },
        "description": { "type": "string" },
    });
    let payment = json!({
        "transactionId": text(128),
        "customerId": text(128),
        "amount": { "type": "string" },
        "currency": { "type": "string" },
        "status": { "type": "string", "enum": ["accepted", "pending"] },
    });
    BTreeMap::from([
        ("NewPayment", schema("A payment to be made", &["transactionId", "customerId", "amount"], new)),
        ("Payment", schema("A payment", &["transactionId", "amount", "currency", "status"], payment)),
        ("Problem", schema("An error", &["error"], json!({ "error": { "type": "string" } }))),
    ])
}

/// Declares the zone of the API's name, or looks it up.
pub(super) fn domain(
    graph: &mut Graph,
    workspace: &Workspace<PaymentVariables>,
    names: &Names,
) -> Result<Option<Domain>> {
    let Some(config) = &workspace.variables.domain else { return Ok(None) };
    let found = if config.create_zone {
        let resolver = config.resolver.as_deref().map(resolver).transpose()?;
        Domain::create(graph, names, &config.zone, API, resolver)?
    } else {
        Domain::find(graph, names, &config.zone, API)?
    };
    Ok(Some(found))
}

/// The weight in the arguments of a record, which `payinfra traffic` changes.
const WEIGHT: &str = "/routing/weighted";

/// Declares the health check of a region's API, and with a domain its name and the record that leads to it.
pub(super) fn route(
    graph: &mut Graph,
    part: &Part<'_>,
    api: &Api,
    domain: Option<&mut Domain>,
) -> Result<Node<HealthCheck>> {
    let site = &part.site;
    let check = health_check(graph, site, api.api.outputs.host.clone(), &format!("/{STAGE}/health"))?;
    let (Some(domain), Some(config)) = (domain, &site.variables().domain) else { return Ok(check) };
    let certificate: Ref<String> = match config.certificates.get(site.region().as_str()) {
        Some(arn) => domain.existing_certificate(graph, site, arn)?,
        None => domain.certificate(graph, site)?,
    };
    let name = DomainName { name: domain.name.as_str().to_owned(), certificate, tags: site.named("domain") };
    let name = graph.add(site.region(), API, name)?;
    let mapping = BasePathMapping {
        domain: name.id.clone(),
        base_path: String::new(),
        api: api.api.id.clone(),
        stage: api.stage.outputs.name.clone(),
    };
    let mapping = graph.add(site.region(), API, mapping)?;
    let routing = match (config.routing, site.config.is_primary()) {
        (Routing::Latency, _) => route53::Routing::Latency(site.region().clone()),
        (Routing::Failover, true) => route53::Routing::Failover(FailoverRole::Primary),
        (Routing::Failover, false) => route53::Routing::Failover(FailoverRole::Secondary),
        (Routing::Weighted, true) => route53::Routing::Weighted(100),
        (Routing::Weighted, false) => route53::Routing::Weighted(0),
    };
    let target: Ref<DnsName> = name.outputs.target.clone();
    let alias = Alias { name: target, zone: name.outputs.zone.clone() };
    let record = domain.record(graph, site, alias, routing, &check)?;
    if config.routing == Routing::Weighted {
        graph.operational(&record.address, WEIGHT)?;
    }
    // Before, the name would lead to an API that does not know it.
    graph.order(&mapping.address, &record.address);
    Ok(check)
}
