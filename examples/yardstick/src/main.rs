//! W(n), a workload to measure engines with: n of each common kind in one region. `payinfra.toml` says how to run it.
//!
//! One VPC; n subnets, security groups, buckets, tables, roles, alarms and log groups. Beyond that, the key that encrypts
//! the buckets, tables and log groups, and its alias.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use payinfra::aws::cloudwatch::{Alarm, MetricStat, Missing, Watch};
use payinfra::aws::dynamodb::{Attribute, Billing, Table};
use payinfra::aws::ec2::{Peer, Protocol, Rule, SecurityGroup, Subnet, Vpc, Zones};
use payinfra::aws::iam::Role;
use payinfra::aws::logs::LogGroup;
use payinfra::aws::s3::{Bucket, Encryption};
use payinfra::aws::{Policy, Statement};
use payinfra::components::buckets;
use payinfra::components::keys::{self, Purpose};
use payinfra::components::roles;
use payinfra::engine::{Error, Graph, Id, Ref, Region, Result, Tags, Text};
use payinfra::stack::{AccountId, Problem, Problems, Site, Stack, Workspace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The stack.
struct Yardstick;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Variables {
    /// The number of resources of each kind, from 1 to 256.
    n: usize,
}

/// The number of /24 networks in a /16.
const MOST: usize = 256;
/// The number of availability zones that the subnets are spread over.
const ZONES: usize = 2;

impl Stack for Yardstick {
    const NAME: &'static str = "yardstick";
    const ABOUT: &'static str = "n of each common kind in one region, to measure engines with";
    type Variables = Variables;

    fn check(&self, workspace: &Workspace<Variables>, problems: &mut Problems) {
        let Variables { n } = workspace.variables;
        let subnets = workspace.regions.first().map_or(0, |config| config.cidr.subnets(24).map_or(0, Iterator::count));
        if !(1..=subnets.min(MOST)).contains(&n) {
            let wrong = Problem::new(format!("invalid value {n} of `n`"), workspace.place("n"));
            problems.add(wrong.hint(format!("use 1 to {subnets}, the number of /24 subnets in the region's network")));
        }
        if workspace.regions.len() > 1 {
            let more = Problem::new("the yardstick has one region", workspace.place("regions"));
            problems.add(more.hint("list one region"));
        }
    }

    fn build(&self, workspace: &Workspace<Variables>, account: &AccountId) -> Result<Graph> {
        let names = workspace.names(account)?;
        let config = workspace.regions.first().ok_or_else(|| Error::invalid("a workspace has no region"))?;
        let site = Site::new(workspace, &names, config);
        let mut graph = workspace.graph(&Tags::new());
        let region = site.region();
        let vpc = Vpc { cidr: config.cidr, dns_support: true, dns_hostnames: true, tags: site.named("vpc") };
        let vpc = graph.add(region, "main", vpc)?.id;
        let zones = graph.find(region, "main", &Zones { count: ZONES })?.outputs.names;
        let logs = keys::logs_statement(&site, &[&names.name("*")]);
        let purpose = Purpose { name: "data", services: &["dynamodb", "s3"], grants: true, statements: vec![logs] };
        let key = keys::key(&mut graph, &site, purpose)?.outputs.arn;
        let subnets = config.cidr.subnets(24).map_err(|error| Error::invalid(error.to_string()))?;
        for (index, cidr) in (0..workspace.variables.n).zip(subnets) {
            let resource = |kind: &str| format!("{kind}-{index}");
            let (zone, tags) = (zones.at(index % ZONES)?, site.named(&resource("subnet")));
            graph.add(region, &resource("subnet"), Subnet { vpc: vpc.clone(), cidr, zone, public: false, tags })?;
            graph.add(region, &resource("group"), group(&site, &resource("group"), &vpc))?;
            let (name, tags) = (site.names.bucket(&resource("bucket"), region)?, site.named(&resource("bucket")));
            let bucket = Bucket {
                versioning: true,
                encryption: Some(Encryption { key: key.clone(), bucket_key: true }),
                tags,
                ..buckets::private(&site, "bucket", &name, [])
            };
            let bucket = graph.add(region, &resource("bucket"), bucket)?;
            let table = graph.add(region, &resource("table"), table(&site, &resource("table"), &key))?;
            let role = role(&site, &resource("role"), Text::from(&bucket.outputs.arn).and("/*"))?;
            graph.add(&Region::global(), &resource("role"), role)?;
            graph.add(region, &resource("alarm"), alarm(&site, &resource("alarm"), Text::from(&table.id)))?;
            let (name, tags) = (site.names.name(&resource("logs")), site.named(&resource("logs")));
            let logs = LogGroup { name: name.into(), retention_days: Some(30), kms_key: Some(key.clone()), tags };
            graph.add(region, &resource("logs"), logs)?;
        }
        Ok(graph)
    }
}

fn group(site: &Site<'_>, name: &str, vpc: &Ref<Id<Vpc>>) -> SecurityGroup {
    let rule = |port, peer, description: &str| Rule {
        protocol: Protocol::Tcp(port, port),
        peer,
        description: description.to_owned(),
    };
    let https = rule(443, Peer::Cidr(site.config.cidr), "HTTPS from the network");
    let database = rule(5432, Peer::Itself, "PostgreSQL between members");
    SecurityGroup {
        vpc: vpc.clone(),
        name: site.names.name(name),
        description: "Members of the yardstick".to_owned(),
        ingress: BTreeSet::from([https, database]),
        egress: BTreeSet::new(),
        tags: site.named(name),
    }
}

fn table(site: &Site<'_>, name: &str, key: &Ref<String>) -> Table {
    Table {
        name: site.names.name(name),
        hash_key: Attribute::string("id"),
        range_key: None,
        indexes: BTreeMap::new(),
        billing: Billing::OnDemand,
        kms_key: Some(key.clone()),
        stream: None,
        time_to_live: None,
        point_in_time_recovery: true,
        replicas: BTreeMap::new(),
        strong_consistency: None,
        deletion_protection: Some(site.protect),
        tags: site.named(name),
    }
}

fn role(site: &Site<'_>, name: &str, objects: Text) -> Result<Role> {
    let trust = roles::trust("lambda.amazonaws.com");
    let read = Statement::allow("Read", ["s3:GetObject"]).on(objects);
    Ok(Role {
        name: site.names.role(name, site.region())?,
        description: "Reads a bucket of the yardstick".to_owned(),
        trust: Policy::new([trust]),
        inline: BTreeMap::from([("read".to_owned(), Policy::new([read]))]),
        managed: BTreeSet::new(),
        max_session: 3600,
        path: "/".to_owned(),
        tags: site.named(name),
    })
}

fn alarm(site: &Site<'_>, name: &str, table: Text) -> Alarm {
    let metric = MetricStat {
        namespace: "AWS/DynamoDB".to_owned(),
        name: "ThrottledRequests".to_owned(),
        dimensions: BTreeMap::from([("TableName".to_owned(), table)]),
        statistic: "Sum".to_owned(),
        period: 60,
    };
    Alarm {
        name: site.names.name(name),
        description: "Requests to a table of the yardstick are throttled".to_owned(),
        watch: Watch::Metric(metric),
        comparison: "GreaterThanThreshold".to_owned(),
        threshold: 0.0,
        periods: 1,
        datapoints: 1,
        missing: Missing::NotBreaching,
        alarm_actions: BTreeSet::new(),
        ok_actions: BTreeSet::new(),
        tags: site.named(name),
    }
}

fn main() -> ExitCode {
    payinfra::main(&[&Yardstick])
}
