//! The HTTP API of a region, with a domain name on the region's certificate (T-05).

use payinfra_aws::acm::ExistingCertificate;
use payinfra_aws::route53::{Answer, DnsName, HostedZone, RecordSet, RecordType, Routing, Zone};
use payinfra_components::function::Deployed;
use payinfra_components::http_api::{self, Access, Api, HttpApi, Route, http_api};
use payinfra_engine::{Graph, Id, Ref, Region, Result};
use payinfra_stack::Workspace;

use super::Part;
use super::settings::TradingVariables;

/// The API in names and addresses.
pub(super) const API: &str = "api";

/// Its routes. Sessions are for principals of the account only.
const ROUTES: [Route<'static>; 2] = [
    Route { name: "health", method: "GET", path: "/health", access: Access::Public },
    Route { name: "session", method: "GET", path: "/sessions/{session_id}", access: Access::Iam },
];

/// Looks up the hosted zone of the domain names.
pub(super) fn zone(graph: &mut Graph, workspace: &Workspace<TradingVariables>) -> Result<Option<Ref<Id<HostedZone>>>> {
    let Some(config) = &workspace.variables.domain else { return Ok(None) };
    let found = graph.find(&Region::global(), "main", &Zone { name: DnsName::new(&config.zone) })?;
    graph.output("zone_id", &found.outputs.id);
    Ok(Some(found.outputs.id))
}

/// Declares the API of a region, and with a zone its domain name.
pub(super) fn api(
    graph: &mut Graph,
    part: &Part<'_>,
    function: &Deployed,
    zone: Option<&Ref<Id<HostedZone>>>,
) -> Result<Api> {
    let site = &part.site;
    let variables = site.variables();
    let rate = variables.api.requests_per_second;
    let wanted = HttpApi {
        name: API,
        about: "Sessions",
        stage: http_api::DEFAULT_STAGE,
        routes: &ROUTES,
        function,
        limit: (rate.into(), i32::try_from(rate.saturating_mul(2)).unwrap_or(i32::MAX)),
        log_key: &part.key,
        log_retention_days: variables.log_retention_days.0,
    };
    let api = http_api(graph, site, &wanted)?;
    let module = site.module();
    let (Some(zone), Some(domain), Some(certificate)) = (zone, module.domain, module.certificate) else {
        return Ok(api);
    };
    let name = DnsName::new(&domain);
    let certificate = ExistingCertificate { arn: Some(certificate), domain_name: name.clone() };
    let certificate = graph.find(site.region(), API, &certificate)?.outputs.arn;
    let (endpoint, mapping) = http_api::domain(graph, site, API, &api, &domain, certificate)?;
    let record = RecordSet {
        zone: zone.clone(),
        name: Ref::Known(name),
        record_type: RecordType::A,
        set_identifier: String::new(),
        routing: Routing::Simple,
        answer: Answer::Alias {
            name: endpoint.outputs.target.clone(),
            zone: endpoint.outputs.zone.clone(),
            evaluate_target_health: false,
        },
        health_check: None,
    };
    let record = graph.add(&Region::global(), &format!("{API}-{}", site.region()), record)?;
    // Before, the name would lead to an API that does not know it.
    graph.order(&mapping.address, &record.address);
    site.output(graph, "api_domain", domain);
    Ok(api)
}
