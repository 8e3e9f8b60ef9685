//! The resources in the account, by the services' own lists instead of our state.

mod acm;
mod apigateway;
mod application_autoscaling;
mod cloudtrail;
mod cloudwatch;
mod dynamodb;
mod ec2;
mod ecs;
mod elbv2;
mod eventbridge;
mod iam;
mod kms;
mod lambda;
mod logs;
mod rds;
mod route53;
mod s3;
mod sns;
mod ssm;
mod wafv2;

use std::collections::BTreeSet;
use std::fmt;

use crate::Bench;

/// All resources that payinfra manages, one line each: `us-east-1 ec2.vpc vpc-…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory(BTreeSet<String>);

impl Inventory {
    /// Lists the account, without resources that AWS creates itself, those that are being deleted, and the state
    /// bucket.
    pub async fn take(bench: &Bench) -> Self {
        let mut found = Self::default();
        for region in &bench.regions() {
            found.certificates(bench, region).await;
            found.networks(bench, region).await;
            found.transit(bench, region).await;
            found.keys(bench, region).await;
            found.logs(bench, region).await;
            found.containers(bench, region).await;
            found.scaling(bench, region).await;
            found.tables(bench, region).await;
            found.topics(bench, region).await;
            found.alarms(bench, region).await;
            found.rules(bench, region).await;
            found.trails(bench, region).await;
            found.databases(bench, region).await;
            found.parameters(bench, region).await;
            found.balancers(bench, region).await;
            found.web_acls(bench, region).await;
            found.functions(bench, region).await;
            found.apis(bench, region).await;
            found.http_apis(bench, region).await;
        }
        found.buckets(bench).await;
        found.names(bench).await;
        found.roles(bench).await;
        found.dashboards(bench).await;
        found.global_databases(bench).await;
        found
    }

    /// The lines of `self` that `other` does not have.
    #[must_use]
    pub fn beyond<'a>(&'a self, other: &Self) -> Vec<&'a str> {
        self.0.iter().filter(|line| !other.0.contains(*line)).map(String::as_str).collect()
    }

    /// The number of lines that contain `part`.
    #[must_use]
    pub fn count(&self, part: &str) -> usize {
        self.0.iter().filter(|line| line.contains(part)).count()
    }

    /// The number of resources.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn note(&mut self, region: &str, kind: &str, id: Option<&str>) {
        self.0.insert(format!("{region} {kind} {}", id.unwrap_or("?")));
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
