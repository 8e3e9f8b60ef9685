//! Graphs of typical shapes, of kinds with AWS's durations and limits.

use std::collections::BTreeSet;

use payinfra_engine::{Address, Graph, Region, Result, Tags};

use crate::faults::Random;
use crate::limits::service;
use crate::models::{MODELS, Model, References, model};

/// A graph of a typical shape.
#[derive(Debug, Default)]
pub struct Shape {
    pub(crate) pieces: Vec<Piece>,
}

/// A resource of a shape. It refers only to earlier ones.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) kind: &'static str,
    pub(crate) region: Region,
    /// What has to be ready before.
    pub(crate) parents: Vec<usize>,
    /// What only has to exist.
    pub(crate) early: Vec<usize>,
}

/// Kinds that are ready within seconds, as most resources of a wide graph are.
const QUICK: &[&str] = &[
    "cloudwatch.alarm",
    "dynamodb.table",
    "ec2.vpc",
    "iam.role",
    "kms.key",
    "lambda.function",
    "logs.log-group",
    "s3.bucket",
    "secretsmanager.secret",
    "sns.topic",
    "ssm.parameter",
];

impl Shape {
    /// Resources without dependencies, of eleven kinds in two regions.
    #[must_use]
    pub fn wide(count: usize) -> Self {
        let mut shape = Self::default();
        for (index, kind) in QUICK.iter().cycle().take(count).enumerate() {
            shape.add(kind, (index / QUICK.len()) % 2, &[], &[]);
        }
        shape
    }

    /// Chains of resources of all kinds.
    #[must_use]
    pub fn deep(length: usize, chains: usize) -> Self {
        let mut shape = Self::default();
        for chain in 0..chains {
            for link in 0..length {
                let parents: Vec<usize> = shape.pieces.len().checked_sub(1).filter(|_| link > 0).into_iter().collect();
                let kind = MODELS[(chain * 7 + link * 11) % MODELS.len()].name;
                shape.add(kind, chain % 2, &parents, &[]);
            }
        }
        shape
    }

    /// Chains of resources that are ready within seconds.
    #[must_use]
    pub fn deep_quick(length: usize) -> Self {
        let mut shape = Self::default();
        for (link, kind) in QUICK.iter().cycle().take(length).enumerate() {
            let parents: Vec<usize> = link.checked_sub(1).into_iter().collect();
            shape.add(kind, 0, &parents, &[]);
        }
        shape
    }

    /// A system like the stacks: networks, a load-balanced service, functions, a replicated database, alarms.
    #[must_use]
    pub fn stack(regions: usize) -> Self {
        let mut shape = Self::default();
        let mut primary = None;
        for region in 0..regions {
            primary = Some(shape.region(region, primary));
        }
        shape
    }

    /// One region of such a system; returns its database.
    fn region(&mut self, region: usize, primary: Option<usize>) -> usize {
        let vpc = self.add("ec2.vpc", region, &[], &[]);
        let gateway = self.add("ec2.internet-gateway", region, &[vpc], &[]);
        let group = self.add("ec2.security-group", region, &[vpc], &[]);
        let key = self.add("kms.key", region, &[], &[]);
        self.add("kms.alias", region, &[key], &[]);
        let mut private = Vec::new();
        for _ in 0..3 {
            let public = self.add("ec2.subnet", region, &[vpc], &[]);
            private.push(self.add("ec2.subnet", region, &[vpc], &[]));
            let eip = self.add("ec2.eip", region, &[gateway], &[]);
            let nat = self.add("ec2.nat-gateway", region, &[public, eip], &[]);
            let table = self.add("ec2.route-table", region, &[vpc], &[]);
            self.add("ec2.route", region, &[table], &[nat]);
        }
        for _ in 0..4 {
            let parents: Vec<usize> = private.iter().copied().chain([group]).collect();
            self.add("ec2.vpc-endpoint", region, &parents, &[]);
        }
        let hub = self.add("ec2.transit-gateway", region, &[], &[]);
        let joined: Vec<usize> = private.iter().copied().chain([hub]).collect();
        self.add("ec2.transit-gateway-attachment", region, &joined, &[]);
        let secret = self.add("secretsmanager.secret", region, &[key], &[]);
        let database: Vec<usize> = private.iter().copied().chain([group, key, secret]).chain(primary).collect();
        let cluster = self.add("rds.cluster", region, &database, &[]);
        self.add("rds.instance", region, &[cluster], &[]);
        self.add("rds.instance", region, &[cluster], &[]);
        self.add("dynamodb.table", region, &[key], &[]);
        for _ in 0..3 {
            self.add("s3.bucket", region, &[key], &[]);
        }
        let topic = self.add("sns.topic", region, &[key], &[]);
        for _ in 0..5 {
            let role = self.add("iam.role", region, &[], &[]);
            let log = self.add("logs.log-group", region, &[key], &[]);
            self.add("lambda.function", region, &[role, log, private[0], group], &[]);
        }
        let certificate = self.add("acm.certificate", region, &[], &[]);
        self.add("route53.record", region, &[], &[certificate]);
        let target = self.add("elbv2.target-group", region, &[vpc], &[]);
        let balancer = self.add("elbv2.load-balancer", region, &[private[0], private[1], group], &[]);
        let listener = self.add("elbv2.listener", region, &[balancer, target, certificate], &[]);
        let role = self.add("iam.role", region, &[], &[]);
        let service = self.add("ecs.service", region, &[listener, role, private[0], group], &[]);
        self.add("route53.record", region, &[balancer], &[]);
        for _ in 0..20 {
            self.add("cloudwatch.alarm", region, &[topic], &[]);
        }
        self.add("cloudwatch.alarm", region, &[topic, service], &[]);
        for _ in 0..6 {
            self.add("ssm.parameter", region, &[key], &[]);
        }
        cluster
    }

    /// A random graph of `count` resources of all kinds in two regions, in which most depend on one or two others.
    #[must_use]
    pub fn random(seed: u64, count: usize) -> Self {
        let (mut random, mut shape) = (Random(seed), Self::default());
        let mut below = |bound: usize| usize::try_from(random.below(bound.max(1) as u64)).unwrap_or_default();
        for index in 0..count {
            let kind = MODELS[below(MODELS.len())].name;
            let region = below(2);
            let edges = below(4).min(index);
            let mut on: BTreeSet<usize> = (0..edges).map(|_| below(index)).collect();
            let early: Vec<usize> = if below(5) == 0 { on.pop_first().into_iter().collect() } else { Vec::new() };
            let parents: Vec<usize> = on.into_iter().collect();
            shape.add(kind, region, &parents, &early);
        }
        shape
    }

    /// The number of resources.
    #[must_use]
    pub fn count(&self) -> usize {
        self.pieces.len()
    }

    fn add(&mut self, kind: &'static str, region: usize, parents: &[usize], early: &[usize]) -> usize {
        let region = match service(kind) {
            "iam" | "route53" => Region::global(),
            _ => Region::new(["us-east-1", "eu-west-1", "ap-south-1"][region % 3]),
        };
        self.pieces.push(Piece { kind, region, parents: parents.to_vec(), early: early.to_vec() });
        self.pieces.len() - 1
    }

    /// The address of a resource.
    pub(crate) fn address(&self, index: usize) -> Result<Address> {
        let piece = &self.pieces[index];
        Address::new(&piece.region, piece.kind, &format!("n{index:05}"))
    }

    /// The graph for the engine.
    ///
    /// # Errors
    /// If a resource cannot be declared, which would be a bug in this function.
    pub fn graph(&self) -> Result<Graph> {
        let mut graph = Graph::new("stack", "test", Tags::new());
        let mut ids = Vec::new();
        for (index, piece) in self.pieces.iter().enumerate() {
            let refer = |to: &[usize]| to.iter().filter_map(|to| ids.get(*to).cloned()).collect();
            let references = References { parents: refer(&piece.parents), early: refer(&piece.early) };
            let Some(Model { add, .. }) = model(piece.kind) else { continue };
            ids.push(add(&mut graph, &piece.region, &format!("n{index:05}"), references)?);
        }
        Ok(graph)
    }
}
