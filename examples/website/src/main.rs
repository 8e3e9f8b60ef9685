//! A website's content: a bucket, a role that publishes to it, and alarms about it. `payinfra.toml` says how to run it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use payinfra::aws::cloudwatch::{Alarm, MetricStat, Missing, Watch};
use payinfra::aws::iam::Role;
use payinfra::aws::s3::{Bucket, Encryption};
use payinfra::aws::{Policy, Statement};
use payinfra::components::buckets;
use payinfra::components::keys::{self, Purpose};
use payinfra::components::roles;
use payinfra::engine::{Graph, Region, Result, Tags, Text};
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
        let names = workspace.names(account)?;
        let mut graph = workspace.graph(&Tags::new());
        for config in &workspace.regions {
            region(&mut graph, &workspace.variables, &Site::new(workspace, &names, config))?;
        }
        Ok(graph)
    }
}

fn region(graph: &mut Graph, variables: &Variables, site: &Site<'_>) -> Result<()> {
    let purpose = Purpose { name: "storage", services: &["s3"], grants: false, statements: Vec::new() };
    let key = keys::key(graph, site, purpose)?.outputs.arn;
    let name = site.names.bucket("pages", site.region())?;
    let bucket = Bucket {
        versioning: true,
        encryption: Some(Encryption { key: key.clone(), bucket_key: true }),
        ..buckets::private(site, "pages", &name, [])
    };
    let bucket = graph.add(site.region(), "pages", bucket)?;
    site.output(graph, "bucket", &bucket.id);

    let trust = roles::trust(&variables.publisher);
    let publish =
        Statement::allow("Publish", ["s3:GetObject", "s3:PutObject"]).on(Text::from(&bucket.outputs.arn).and("/*"));
    let encrypt = Statement::allow("Encrypt", ["kms:Decrypt", "kms:GenerateDataKey"]).on(&key);
    let role = Role {
        name: site.names.role("publisher", site.region())?,
        description: "Publishes pages".to_owned(),
        trust: Policy::new([trust]),
        inline: BTreeMap::from([("publish".to_owned(), Policy::new([publish, encrypt]))]),
        managed: BTreeSet::new(),
        max_session: 3600,
        path: "/".to_owned(),
        tags: site.named("publisher"),
    };
    let role = graph.add(&Region::global(), &format!("publisher-{}", site.region()), role)?;
    site.output(graph, "publisher_arn", &role.outputs.arn);

    // S3 publishes these metrics once a day, without a setting on the bucket.
    let (objects, bytes) = (f64::from(variables.objects), f64::from(variables.megabytes) * 1e6);
    let watched = [("NumberOfObjects", "AllStorageTypes", objects), ("BucketSizeBytes", "StandardStorage", bytes)];
    for (name, storage, threshold) in watched {
        let dimensions = [("BucketName", Text::from(&bucket.id)), ("StorageType", Text::from(storage))];
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
