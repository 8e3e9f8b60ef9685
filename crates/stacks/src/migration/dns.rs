//! The service's domain name: its zone, its certificates, and the routing to regions (M-16, M-25).

use payinfra_aws::acm::{Certificate, ExistingCertificate};
use payinfra_aws::elbv2::LoadBalancer;
use payinfra_aws::route53::{Answer, DnsName, HealthCheck, HostedZone, RecordSet, RecordType, Routing, Zone};
use payinfra_engine::{Address, Error, Graph, Id, Node, Ref, Region, Result, Secret, Tags, Text};

use super::Site;
use super::settings::Settings;
use payinfra_stack::Names;

/// The interval of Route 53 health checks in seconds, and the number of consecutive results that decide: traffic moves
/// away from a failed region after half a minute.
const INTERVAL: i32 = 10;
const THRESHOLD: i32 = 3;
/// The TTL of a validation record in seconds; it never changes.
const TTL: i64 = 300;
/// The number of name servers of a zone.
const NAME_SERVERS: usize = 4;
/// The maximum length of a certificate's common name (RFC 5280).
const COMMON_NAME: usize = 64;

/// The zone, and the name of the service in it.
pub(super) struct Domain {
    zone: Ref<Id<HostedZone>>,
    service: DnsName,
    /// The validation record, once it is declared: the certificates of all regions use the same one.
    validation: Option<Address>,
}

/// Declares the zone, or looks it up. There is one for all regions.
pub(super) fn domain(graph: &mut Graph, settings: &Settings, names: &Names) -> Result<Domain> {
    let name = DnsName::new(&settings.domain.zone);
    let service = DnsName::new(&format!("{}.{name}", names.name("api")));
    graph.output("service_domain", service.as_str());
    let zone = if settings.domain.create_zone {
        let comment = format!("Names of {}", names.name("platform"));
        let tags = Tags::new().with("Name", names.name("zone"));
        let zone = graph.add(&Region::global(), "main", HostedZone { name, comment, tags })?;
        let servers = (0..NAME_SERVERS).map(|index| zone.outputs.name_servers.at(index));
        let servers = servers.collect::<Result<Vec<_>>>()?;
        let list = servers.iter().enumerate().fold(Text::default(), |list, (index, server)| {
            let list = if index == 0 { list } else { list.and(",") };
            list.and(server)
        });
        graph.output("name_servers", list);
        zone.id
    } else {
        graph.find(&Region::global(), "main", &Zone { name })?.outputs.id
    };
    graph.output("zone_id", &zone);
    Ok(Domain { zone, service, validation: None })
}

/// Declares the certificate of a region, or looks it up, and returns its ARN. References to it wait until it is issued.
pub(super) fn certificate(graph: &mut Graph, site: &Site<'_>, domain: &mut Domain) -> Result<Ref<String>> {
    let name = domain.service.clone();
    let arn = if let Some(arn) = site.settings.domain.certificates.get(site.region()) {
        let existing = ExistingCertificate { arn: Some(arn.clone()), domain_name: name };
        graph.find(site.region(), "api", &existing)?.outputs.arn
    } else {
        requested(graph, site, domain)?
    };
    site.output(graph, "certificate_arn", &arn);
    Ok(arn)
}

fn requested(graph: &mut Graph, site: &Site<'_>, domain: &mut Domain) -> Result<Ref<String>> {
    let name = domain.service.clone();
    let length = name.as_str().len();
    if length > COMMON_NAME {
        let message = format!(
            "the service's name `{name}` has {length} characters, but a certificate's common name has at most {COMMON_NAME}"
        );
        return Err(Error::invalid(message)
            .hint("shorten `domain.zone`, the workspace's name or the suffix, or set existing certificates"));
    }
    let tags = site.named("certificate");
    let certificate = Certificate { domain_name: name, subject_alternative_names: [].into(), tags };
    let certificate = graph.add(site.region(), "api", certificate)?;
    if let Some(validation) = &domain.validation {
        // Without the record, its validation would never finish.
        graph.order(validation, &certificate.address);
    } else {
        let record = RecordSet {
            zone: domain.zone.clone(),
            name: certificate.outputs.validation_names.at(0)?,
            record_type: RecordType::Cname,
            set_identifier: String::new(),
            routing: Routing::Simple,
            answer: Answer::Name { ttl: TTL, name: certificate.outputs.validation_values.at(0)? },
            health_check: None,
        };
        domain.validation = Some(graph.add(&Region::global(), "validation", record)?.address);
    }
    Ok(certificate.outputs.arn)
}

/// Declares the record that routes traffic to a region by its weight, while it is healthy. `ready` lists what must be
/// ready before the region gets traffic.
pub(super) fn record(
    graph: &mut Graph,
    site: &Site<'_>,
    domain: &Domain,
    balancer: &Node<LoadBalancer>,
    ready: &[&Address],
) -> Result<Node<HealthCheck>> {
    let region = site.region().as_str();
    let host = DnsName::of(balancer.outputs.dns_name.clone());
    let check = HealthCheck {
        // Check the load balancer's own name, because the service's name resolves to any region. Health checks do not
        // validate certificates.
        fully_qualified_domain_name: host.clone(),
        port: 443,
        resource_path: Secret::new("/health".to_owned()),
        request_interval: INTERVAL,
        failure_threshold: THRESHOLD,
        enable_sni: true,
        tags: tags(site),
    };
    let check = graph.add(&Region::global(), region, check)?;
    site.output(graph, "health_check_id", &check.id);
    let record = RecordSet {
        zone: domain.zone.clone(),
        name: Ref::Known(domain.service.clone()),
        record_type: RecordType::A,
        set_identifier: region.to_owned(),
        routing: Routing::Weighted(site.weight()),
        answer: Answer::Alias { name: host, zone: balancer.outputs.zone_id.clone(), evaluate_target_health: true },
        health_check: Some(check.id.clone()),
    };
    let record = graph.add(&Region::global(), &format!("api-{region}"), record)?;
    // For the record, the load balancer only has to exist; to get traffic, it has to respond.
    for first in ready.iter().copied().chain([&balancer.address]) {
        graph.order(first, &record.address);
    }
    Ok(check)
}

/// Health checks are global, so the name includes the region.
fn tags(site: &Site<'_>) -> Tags {
    site.named(&format!("{}-health", site.region()))
}
