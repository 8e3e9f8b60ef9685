//! The compute of a region: the payment service on Fargate behind the load balancer (M-15, M-18).

use payinfra_aws::ec2::{Peer, Rule};
use payinfra_aws::ecs;
use payinfra_components::aurora::POSTGRESQL;
use payinfra_components::fargate::{Fargate, Scaling, Service, Task, fargate};
use payinfra_components::load_balancer::Edge;
use payinfra_components::tables::GlobalTable;
use payinfra_engine::{Graph, Result, Text};

use super::payments::PENDING;
use super::settings::Architecture;
use super::{Part, roles};

/// Declares the compute of a region.
pub(super) fn compute(
    graph: &mut Graph,
    part: &Part<'_>,
    parts: &[Part<'_>],
    edge: &Edge,
    payments: &GlobalTable,
) -> Result<Service> {
    let site = &part.site;
    let config = &site.settings.service;
    let role = roles::task(graph, part, parts, payments)?;
    // A payment is written in the region that its id belongs to, so all tasks need the same list of regions.
    let regions = parts.iter().map(|part| format!("{}={}", part.site.region(), part.buckets.audit_trail()));
    let auth = match config.keys_in(site.region()) {
        Some(secret) => ("API_KEYS_SECRET", Text::from(secret)),
        None => ("AUTH", Text::from("none")),
    };
    let environment = [
        auth,
        ("AUDIT_BUCKET", Text::from(part.buckets.audit_trail())),
        ("AWS_REGION", Text::from(site.region().as_str())),
        ("PAYMENTS_TABLE", Text::from(&payments.table.id)),
        ("PENDING_INDEX", Text::from(PENDING)),
        ("PHASE", Text::from(site.settings.phase.as_str())),
        ("PORT", Text::from(edge.port.to_string())),
        ("REGIONS", Text::from(regions.collect::<Vec<_>>().join(","))),
        ("TRANSACTIONS_BUCKET", Text::from(part.buckets.transactions())),
    ];
    let task = Task {
        image: &config.image,
        architecture: match config.architecture {
            Architecture::Arm64 => ecs::Architecture::Arm64,
            Architecture::X86_64 => ecs::Architecture::X86_64,
        },
        cpu: config.cpu,
        memory: config.memory,
        environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        role: &role,
    };
    // The databases of all regions: there is one writer.
    let databases = parts.iter().map(|to| {
        let (cidr, region) = (to.site.config.cidr, to.site.region());
        Rule::tcp(POSTGRESQL.port, Peer::Cidr(cidr), &format!("PostgreSQL in {region}"))
    });
    let service = Fargate {
        about: "the payment service",
        task,
        network: &part.network,
        edge,
        egress: databases.collect(),
        log_key: &part.keys.logs.outputs.arn,
        log_retention_days: config.log_retention_days,
        scaling: Scaling {
            min_tasks: config.min_tasks,
            max_tasks: config.max_tasks,
            cpu_percent: config.cpu_target,
            requests_per_target: config.requests_per_target,
        },
    };
    fargate(graph, site, &service)
}
