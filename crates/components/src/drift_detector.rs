//! The drift detector of a deployment: the function `drift-detector` on a schedule, with a role that can only read, and alarms.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::cloudwatch::MetricStat;
use payinfra_aws::eventbridge::{On, Rule, Target};
use payinfra_aws::lambda::{Architecture, Permission};
use payinfra_aws::sns::Topic;
use payinfra_aws::{CodeSha256, Statement, opens, reads};
use payinfra_engine::{Graph, IgnoredTags, Metric, Node, Ref, Region, Result, Text};
use payinfra_stack::{Site, StateBucket};

use crate::alarms::{Alarms, Condition};
use crate::function::{Deployed, Function, function};

/// The function in names and addresses.
pub const DETECTOR: &str = "drift-detector";
/// The timeout of a run in seconds: Lambda's maximum. Runs on a schedule of at least this interval do not overlap.
const TIMEOUT: i32 = 900;
/// The period of the alarms on drift and on errors, in seconds.
const PERIOD: i32 = 300;
/// The services of the detector's own resources, which are read like all others.
const OWN: [&str; 5] = ["cloudwatch.alarm", "eventbridge.rule", "iam.role", "lambda.function", "logs.log-group"];

/// The drift detector of a deployment.
#[derive(Debug)]
pub struct DriftDetector<'a> {
    /// The digest of its package.
    pub code: CodeSha256,
    /// The instruction set of the package.
    pub architecture: Architecture,
    /// Its memory in MB.
    pub memory: i32,
    /// The interval between two runs in minutes, 15 to 720.
    pub every_minutes: i32,
    /// Where the state is stored that AWS is compared with.
    pub state: &'a StateBucket,
    /// The key that encrypts its logs. The policy of the key must allow CloudWatch Logs to use it for
    /// [`log_group_name`](crate::function::log_group_name) of [`DETECTOR`].
    pub log_key: &'a Ref<String>,
    /// The retention of its logs in days.
    pub log_retention_days: i32,
    /// Tags of others, which are not compared.
    pub ignored_tags: &'a IgnoredTags,
    /// The topic of its alarms.
    pub topic: &'a Node<Topic>,
}

/// Declares the drift detector of `graph` in the region `site`, the primary one. Everything else must be declared before: its
/// role may read exactly the services of which the graph has resources.
///
/// It runs in no VPC, because it calls the services of all regions and nothing else.
///
/// # Errors
/// If the role's name is too long for IAM, or the region has a function of that name already.
pub fn drift_detector(graph: &mut Graph, site: &Site<'_>, wanted: &DriftDetector<'_>) -> Result<Deployed> {
    let DriftDetector { state, .. } = wanted;
    let environment = [
        ("LOCK_TABLE", state.table.as_str()),
        ("STACK", &graph.stack),
        ("STATE_BUCKET", &state.name(site.account())),
        ("STATE_REGION", state.region.as_str()),
        ("WORKSPACE", &graph.workspace),
    ];
    let mut environment = BTreeMap::from(environment.map(|(name, value)| (name.to_owned(), Text::from(value))));
    if !wanted.ignored_tags.patterns().is_empty() {
        environment.insert("IGNORE_TAGS".to_owned(), Text::from(wanted.ignored_tags.patterns().join(",")));
    }
    let function = function(
        graph,
        site,
        Function {
            name: DETECTOR,
            about: "Compares the resources in AWS with the state, and the regions with each other",
            code: wanted.code.clone(),
            architecture: wanted.architecture.clone(),
            memory: wanted.memory,
            timeout: TIMEOUT,
            reserved_concurrency: None,
            environment,
            // Names only, which everyone who may read the function knows anyway.
            environment_key: None,
            network: None,
            egress: BTreeSet::new(),
            permissions: permissions(graph, site, state),
            log_key: wanted.log_key,
            log_retention_days: wanted.log_retention_days,
        },
    )?;
    let reason = "it compares all resources with the state; it may read services as a whole, and change nothing";
    graph.waive(&function.role.address, "least-privilege", reason)?;
    schedule(graph, site, wanted, &function)?;
    alarms(graph, site, wanted, &function)?;
    let report = format!("s3://{}/{}/{}/drift.json", state.name(site.account()), graph.stack, graph.workspace);
    site.output(graph, "drift_report", report);
    Ok(function)
}

/// Invokes the function at the interval.
fn schedule(graph: &mut Graph, site: &Site<'_>, wanted: &DriftDetector<'_>, function: &Deployed) -> Result<()> {
    let rule = Rule {
        name: site.names.name(DETECTOR),
        description: "Runs the drift detector".to_owned(),
        on: On::Schedule(format!("rate({} minutes)", wanted.every_minutes)),
        enabled: true,
        tags: site.named(DETECTOR),
    };
    let rule = graph.add(site.region(), DETECTOR, rule)?;
    let permission = Permission {
        function: function.function.id.clone(),
        qualifier: Some(function.alias.outputs.name.clone()),
        statement: "schedule".to_owned(),
        action: "lambda:InvokeFunction".to_owned(),
        principal: "events.amazonaws.com".to_owned(),
        source_arn: Some(Text::from(&rule.outputs.arn)),
        source_account: None,
    };
    let permission = graph.add(site.region(), DETECTOR, permission)?;
    let target = Target {
        rule: rule.id.clone(),
        name: DETECTOR.to_owned(),
        arn: function.alias.outputs.arn.clone(),
        transform: None,
    };
    let target = graph.add(site.region(), DETECTOR, target)?;
    // Otherwise the first invocation may be denied.
    graph.order(&permission.address, &target.address);
    Ok(())
}

/// To read the state with its journal, its history and its lock, and all resources; to write the report and the metrics.
fn permissions(graph: &Graph, site: &Site<'_>, state: &StateBucket) -> Vec<Statement> {
    let bucket = format!("arn:aws:s3:::{}", state.name(site.account()));
    let folder = format!("{}/{}", graph.stack, graph.workspace);
    let in_state = |service: &str, id: String| format!("arn:aws:{service}:{}:{}:{id}", state.region, site.account());
    let through = |statement: Statement, services: &[&str], region: &str| {
        services.iter().fold(statement, |statement, service| {
            statement.when("StringLike", "kms:ViaService", format!("{service}.{region}.amazonaws.com"))
        })
    };
    let keys = |region: &str| format!("arn:aws:kms:{region}:{}:key/*", site.account());
    let state_region = state.region.as_str();
    let kinds: Vec<&str> = graph.nodes().keys().map(|address| &*address.kind).chain(OWN).collect();
    let mut statements = vec![
        Statement::allow("Read", reads(kinds.iter().copied())).on("*"),
        Statement::allow("ReadState", ["s3:GetObject"])
            .on(format!("{bucket}/{folder}/state.json"))
            .on(format!("{bucket}/{folder}/journal/*"))
            .on(format!("{bucket}/{folder}/history/*")),
        Statement::allow("ListState", ["s3:ListBucket"]).on(&*bucket).when(
            "StringLike",
            "s3:prefix",
            format!("{folder}/*"),
        ),
        Statement::allow("WriteReport", ["s3:PutObject"]).on(format!("{bucket}/{folder}/drift.json")),
        Statement::allow("ReadLock", ["dynamodb:GetItem"]).on(in_state("dynamodb", format!("table/{}", state.table))),
        // The bucket and the table have a key that `bootstrap` created.
        through(Statement::allow("OpenState", ["kms:Decrypt"]), &["dynamodb", "s3"], state_region)
            .on(keys(state_region)),
        through(Statement::allow("SealReport", ["kms:GenerateDataKey"]), &["s3"], state_region)
            .on(keys(state_region))
            .when("StringLike", "kms:EncryptionContext:aws:s3:arn", format!("{bucket}*")),
        Statement::allow("Publish", ["cloudwatch:PutMetricData"]).on("*").when(
            "StringEquals",
            "cloudwatch:namespace",
            "payinfra",
        ),
    ];
    // AWS decrypts what reads return: the environments of functions, and parameters with the value of an API key.
    let opened: Vec<_> = opens(kinds.iter().copied()).into_iter().collect();
    if !opened.is_empty() {
        statements.push(through(Statement::allow("OpenValues", ["kms:Decrypt"]), &opened, "*").on(keys("*")));
    }
    statements
}

/// Alarms on drift, on runs that fail, and on a detector that is silent, for whatever reason.
fn alarms(graph: &mut Graph, site: &Site<'_>, wanted: &DriftDetector<'_>, function: &Deployed) -> Result<()> {
    let alarms = Alarms { site: *site, topic: Some(wanted.topic), periods: 1 };
    let drift = of_deployment(graph, site.region(), Metric::of_drift, "Maximum", PERIOD);
    // Each run is one data point, so one of them decides, and the alarm keeps its state until the next one.
    let about = "Resources were changed outside payinfra; the report in the state bucket names them";
    alarms.alarm(graph, "drift", about, drift.clone(), Condition::above(0).ignoring_missing())?;
    let errors = MetricStat {
        namespace: "AWS/Lambda".to_owned(),
        name: "Errors".to_owned(),
        dimensions: BTreeMap::from([("FunctionName".to_owned(), Text::from(&function.function.outputs.name))]),
        statistic: "Sum".to_owned(),
        period: PERIOD,
    };
    alarms.alarm(
        graph,
        "drift-detector-errors",
        "The drift detector fails; its log says why",
        errors,
        Condition::above(0),
    )?;
    let runs = MetricStat { statistic: "SampleCount".to_owned(), period: 2 * 60 * wanted.every_minutes, ..drift };
    let about = "The drift detector has not completed a run for two intervals";
    alarms.alarm(graph, "drift-detector-silent", about, runs, Condition::below(1).or_missing())?;
    Ok(())
}

/// A metric of a deployment, which is published in `region`.
#[must_use]
pub fn of_deployment(
    graph: &Graph,
    region: &Region,
    metric: fn(&str, &str, &Region, f64) -> Metric,
    statistic: &str,
    period: i32,
) -> MetricStat {
    let Metric { namespace, name, dimensions, .. } = metric(&graph.stack, &graph.workspace, region, 0.0);
    let dimensions = dimensions.into_iter().map(|(name, value)| (name, Text::from(value)));
    MetricStat { namespace, name, dimensions: dimensions.collect(), statistic: statistic.to_owned(), period }
}
