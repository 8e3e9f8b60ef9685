//! A website's content: a bucket, a role that publishes to it, and alarms about it. `payinfra.toml` says how to run it.

use std::collections::BTreeSet;
use std::process::ExitCode;

use payinfra::aws::cloudwatch::{Alarm, MetricStat, Missing, Watch};
use payinfra::components::buckets;
use payinfra::components::roles::{TaskRole, role, trust};
use payinfra::engine::{Graph, Result, Text};
use payinfra::stack::{AccountId, Problems, Site, Stack, Workspace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The stack.
struct Website;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Variables {
    /// The service that publishes pages, such as `codebuild.amazonaws.com`.
    publisher: String,
    /// The number of objects above which an alarm fires.
    #[serde(default = "objects")]
    objects: u32,
    /// The size of all objects, in megabytes, above which an alarm fires.
    #[serde(default = "megabytes")]
    megabytes: u32,
}

fn objects() -> u32 {
    10_000
}

fn megabytes() -> u32 {
    1_000
}

impl Stack for Website {
    const NAME: &'static str = "website";
    const ABOUT: &'static str = "the content of a website, and who may publish it";
    type Variables = Variables;

    fn check(&self, workspace: &Workspace<Variables>, problems: &mut Problems) {
        let publisher = &workspace.variables.publisher;
        if !publisher.ends_with(".amazonaws.com") {
            let hint = "write a service principal, such as \"codebuild.amazonaws.com\"";
            let message = format!("`{publisher}` is not a service of AWS");
            workspace.section("", problems).wrong("publisher", message, hint);
        }
    }

    fn build(&self, workspace: &Workspace<Variables>, account: &AccountId) -> Result<Graph> {
        workspace.graph_per_region(account, |graph, site| region(graph, &workspace.variables, site))
    }
}

fn region(graph: &mut Graph, variables: &Variables, site: &Site<'_>) -> Result<()> {
    let pages = buckets::encrypted(graph, site, "pages")?;
    site.output(graph, "bucket", &pages.bucket.id);
    let publisher = TaskRole::new("publisher", "Publishes pages", trust(&variables.publisher));
    let publisher = publisher.with_policy(pages.read().into_iter().chain(pages.write()));
    let publisher = role(graph, site, publisher)?;
    site.output(graph, "publisher_arn", &publisher.outputs.arn);

    // S3 publishes these metrics once a day, without a setting on the bucket.
    let (objects, bytes) = (f64::from(variables.objects), f64::from(variables.megabytes) * 1e6);
    let watched = [("NumberOfObjects", "AllStorageTypes", objects), ("BucketSizeBytes", "StandardStorage", bytes)];
    for (name, storage, threshold) in watched {
        let dimensions = [("BucketName", Text::from(&pages.bucket.id)), ("StorageType", Text::from(storage))];
        let metric = MetricStat {
            namespace: "AWS/S3".to_owned(),
            name: name.to_owned(),
            dimensions: dimensions.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            statistic: "Average".to_owned(),
            period: 86_400,
        };
        let alarm = Alarm {
            name: site.names.name(name),
            description: format!("{name} is above {threshold}; remove old pages, or raise the limit"),
            watch: Watch::Metric(metric),
            comparison: "GreaterThanThreshold".to_owned(),
            threshold,
            periods: 1,
            datapoints: 1,
            missing: Missing::NotBreaching,
            alarm_actions: BTreeSet::new(),
            ok_actions: BTreeSet::new(),
            tags: site.named(name),
        };
        graph.add(site.region(), name, alarm)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    payinfra::main(&[&Website])
}
