//! The gates that stand for "replication is level": one per copy of a store, on the metric with its lag.

use std::collections::BTreeMap;
use std::time::Duration;

use payinfra_aws::cloudwatch::MetricStat;
use payinfra_engine::{Address, Record, Region, State, Text};
use serde_json::Value;

use super::Gate;
use super::metric::Comparison;

/// The lag that is allowed unless another one is given.
pub(super) const MOST: Duration = Duration::from_secs(5);

/// The gates for all copies of databases, tables and buckets that `state` records, none of which may be behind by more than
/// `most`. A copy without a metric in the last minutes has nothing to replicate, or no metrics.
pub(super) fn of(state: &State, most: Duration) -> Vec<Gate> {
    let mut gates = Vec::new();
    let kinds = |kind: &'static str| state.resources.iter().filter(move |(address, _)| &*address.kind == kind);
    let clusters: Vec<_> = kinds("rds.cluster").filter_map(member).collect();
    for (region, id, global) in &clusters {
        for (source, ..) in clusters.iter().filter(|(source, _, other)| other == global && source != region) {
            gates.push(at_most(database_lag(id, source), region, millis(most)));
        }
    }
    for (address, record) in kinds("dynamodb.table") {
        let Some(table) = record.id.as_deref() else { continue };
        for other in record.args["replicas"].as_object().into_iter().flatten().map(|(region, _)| Region::new(region)) {
            for (from, to) in [(&address.region, &other), (&other, &address.region)] {
                let dimensions = [("ReceivingRegion", to.as_str()), ("TableName", table)];
                gates.push(at_most(metric("AWS/DynamoDB", "ReplicationLatency", &dimensions), from, millis(most)));
            }
        }
    }
    for (address, record) in kinds("s3.bucket") {
        let Some(bucket) = record.id.as_deref() else { continue };
        let rules = record.args.pointer("/replication/rules").and_then(Value::as_object);
        for (id, rule) in rules.into_iter().flatten().filter(|(_, rule)| rule["metrics"] == true) {
            let Some(to) = rule["bucket"].as_str().and_then(|arn| arn.rsplit(':').next()) else { continue };
            let dimensions = [("DestinationBucket", to), ("RuleId", id.as_str()), ("SourceBucket", bucket)];
            let latency = metric("AWS/S3", "ReplicationLatency", &dimensions);
            gates.push(at_most(latency, &address.region, most.as_secs_f64()));
        }
    }
    gates
}

/// The region, the id and the global cluster of a cluster.
fn member<'a>((address, record): (&'a Address, &'a Record)) -> Option<(&'a Region, &'a str, &'a str)> {
    Some((&address.region, record.id.as_deref()?, record.args["global"].as_str()?))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The metric with the lag of the cluster `id` of a global database behind the one in `source`, in milliseconds.
pub(crate) fn database_lag(id: &str, source: &Region) -> MetricStat {
    metric("AWS/RDS", "AuroraGlobalDBReplicationLag", &[("DBClusterIdentifier", id), ("SourceRegion", source.as_str())])
}

fn metric(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> MetricStat {
    let dimensions = dimensions.iter().map(|(name, value)| ((*name).to_owned(), Text::from(*value)));
    MetricStat {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dimensions: dimensions.collect::<BTreeMap<_, _>>(),
        statistic: "Maximum".to_owned(),
        period: 60,
    }
}

fn at_most(metric: MetricStat, region: &Region, most: f64) -> Gate {
    Gate::Metric { metric, region: region.clone(), comparison: Comparison::at_most(most) }
}
