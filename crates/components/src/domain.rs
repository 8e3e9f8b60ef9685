//! A service's domain name: its zone, its certificates, and the records that route traffic to regions.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use payinfra_aws::acm::{Certificate, ExistingCertificate};
use payinfra_aws::route53::{
    Answer, Delegation, DnsName, HealthCheck, HostedZone, RecordSet, RecordType, Routing, Zone,
};
use payinfra_engine::{Address, Error, Graph, Id, Node, Ref, Region, Result, Secret, Tags, Text};
use payinfra_stack::{Names, Site};

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

/// A zone, and the name of a service in it.
#[derive(Debug)]
pub struct Domain {
    /// The zone.
    pub zone: Ref<Id<HostedZone>>,
    /// The service's name.
    pub name: DnsName,
    /// What the service is called in names and addresses, such as `api`.
    service: String,
    /// The delegation of a zone that is declared here.
    delegation: Option<Address>,
    /// The validation record, once it is declared: the certificates of all regions use the same one.
    validation: Option<Address>,
}

/// Where a record leads: a load balancer, or another resource that an alias record can refer to.
#[derive(Clone, Debug)]
pub struct Alias {
    /// Its domain name.
    pub name: Ref<DnsName>,
    /// The id of the zone that AWS keeps its name in.
    pub zone: Ref<String>,
}

impl Domain {
    /// Declares the zone `zone` and its delegation by the parent domain, which has to be seen at the DNS server `resolver`,
    /// or else at the system's. The service's name is derived from `service`, such as `api`.
    ///
    /// # Errors
    /// If the graph has a zone already.
    pub fn create(
        graph: &mut Graph,
        names: &Names,
        zone: &str,
        service: &str,
        resolver: Option<SocketAddr>,
    ) -> Result<Self> {
        let name = DnsName::new(zone);
        let comment = format!("Names of {}", names.name("platform"));
        let tags = Tags::new().with("Name", names.name("zone"));
        let created = HostedZone { name: name.clone(), comment, tags };
        let created = graph.add(&Region::global(), "main", created)?;
        let servers = (0..NAME_SERVERS).map(|index| created.outputs.name_servers.at(index));
        let servers = servers.collect::<Result<Vec<_>>>()?;
        let list = servers.iter().enumerate().fold(Text::default(), |list, (index, server)| {
            let list = if index == 0 { list } else { list.and(",") };
            list.and(server)
        });
        graph.output("name_servers", list);
        let delegation = Delegation {
            zone: created.id.clone(),
            name: name.clone(),
            name_servers: created.outputs.name_servers,
            resolver,
        };
        let delegation = graph.add(&Region::global(), "main", delegation)?.address;
        let domain = Self::of(graph, names, &name, created.id, service);
        Ok(Self { delegation: Some(delegation), ..domain })
    }

    /// Like [`Domain::create`], but looks the zone up, which has to be delegated already.
    ///
    /// # Errors
    /// If the graph has a zone already.
    pub fn find(graph: &mut Graph, names: &Names, zone: &str, service: &str) -> Result<Self> {
        let name = DnsName::new(zone);
        let found = graph.find(&Region::global(), "main", &Zone { name: name.clone() })?;
        Ok(Self::of(graph, names, &name, found.outputs.id, service))
    }

    fn of(graph: &mut Graph, names: &Names, zone: &DnsName, id: Ref<Id<HostedZone>>, service: &str) -> Self {
        let name = DnsName::new(&format!("{}.{zone}", names.name(service)));
        graph.output("service_domain", name.as_str());
        graph.output("zone_id", &id);
        Self { zone: id, name, service: service.to_owned(), delegation: None, validation: None }
    }

    /// Makes everything else of the graph wait for the delegation: while it is missing, nothing that costs money exists.
    pub fn first(&self, graph: &mut Graph) {
        let Some(delegation) = &self.delegation else { return };
        let mut before = graph.depends(delegation);
        before.insert(delegation.clone());
        let waits = |address: &Address| {
            !before.contains(address) && graph.nodes().get(address).is_some_and(|node| !node.lookup)
        };
        // What depends on something that waits, waits as well.
        let roots = graph.nodes().keys().filter(|address| waits(address));
        let roots = roots.filter(|address| !graph.depends(address).iter().any(waits));
        for root in roots.cloned().collect::<BTreeSet<_>>() {
            graph.order(delegation, &root);
        }
    }

    /// Looks up the certificate `arn` in the site's region, which must be issued for the service's name, and returns
    /// its ARN.
    ///
    /// # Errors
    /// If the region has a certificate already.
    pub fn existing_certificate(&self, graph: &mut Graph, site: &Site<'_>, arn: &str) -> Result<Ref<String>> {
        let existing = ExistingCertificate { arn: Some(arn.to_owned()), domain_name: self.name.clone() };
        let arn = graph.find(site.region(), &self.service, &existing)?.outputs.arn;
        site.output(graph, "certificate_arn", &arn);
        Ok(arn)
    }

    /// Declares the certificate for the service's name in the site's region, validated by a record in the zone, and
    /// returns its ARN. References to it wait until it is issued.
    ///
    /// # Errors
    /// If the service's name is too long for a certificate.
    pub fn certificate(&mut self, graph: &mut Graph, site: &Site<'_>) -> Result<Ref<String>> {
        let name = self.name.clone();
        let length = name.as_str().len();
        if length > COMMON_NAME {
            let message = format!(
                "the service's name `{name}` has {length} characters, but a certificate's common name has at most \
                 {COMMON_NAME}"
            );
            return Err(Error::invalid(message)
                .hint("shorten the zone's name, the workspace's name or the suffix, or use existing certificates"));
        }
        let tags = site.named("certificate");
        let certificate = Certificate { domain_name: name, subject_alternative_names: [].into(), tags };
        let certificate = graph.add(site.region(), &self.service, certificate)?;
        if let Some(delegation) = &self.delegation {
            // Until then, AWS does not see the validation record.
            graph.order(delegation, &certificate.address);
        }
        if let Some(validation) = &self.validation {
            // Without the record, its validation would never finish.
            graph.order(validation, &certificate.address);
        } else {
            let record = RecordSet {
                zone: self.zone.clone(),
                name: certificate.outputs.validation_names.at(0)?,
                record_type: RecordType::Cname,
                set_identifier: String::new(),
                routing: Routing::Simple,
                answer: Answer::Name { ttl: TTL, name: certificate.outputs.validation_values.at(0)? },
                health_check: None,
            };
            self.validation = Some(graph.add(&Region::global(), "validation", record)?.address);
        }
        site.output(graph, "certificate_arn", &certificate.outputs.arn);
        Ok(certificate.outputs.arn)
    }

    /// Declares the record that routes requests for the service to `alias` in the site's region, while `check` succeeds.
    ///
    /// # Errors
    /// If the region has a record already.
    pub fn record(
        &self,
        graph: &mut Graph,
        site: &Site<'_>,
        alias: Alias,
        routing: Routing,
        check: &Node<HealthCheck>,
    ) -> Result<Node<RecordSet>> {
        let region = site.region().as_str();
        let record = RecordSet {
            zone: self.zone.clone(),
            name: Ref::Known(self.name.clone()),
            record_type: RecordType::A,
            set_identifier: region.to_owned(),
            routing,
            answer: Answer::Alias { name: alias.name, zone: alias.zone, evaluate_target_health: true },
            health_check: Some(check.id.clone()),
        };
        graph.add(&Region::global(), &format!("{}-{region}", self.service), record)
    }
}

/// Declares the health check of a region: HTTPS requests for `path` to `host`, which must be the region's own name,
/// because the service's name resolves to any region. Health checks do not validate certificates.
///
/// # Errors
/// If the region has a health check already.
pub fn health_check(graph: &mut Graph, site: &Site<'_>, host: Ref<DnsName>, path: &str) -> Result<Node<HealthCheck>> {
    let region = site.region().as_str();
    let check = HealthCheck {
        fully_qualified_domain_name: host,
        port: 443,
        resource_path: Secret::new(path.to_owned()),
        request_interval: INTERVAL,
        failure_threshold: THRESHOLD,
        enable_sni: true,
        // Health checks are global, so the name includes the region.
        tags: site.named(&format!("{region}-health")),
    };
    let check = graph.add(&Region::global(), region, check)?;
    site.output(graph, "health_check_id", &check.id);
    Ok(check)
}
