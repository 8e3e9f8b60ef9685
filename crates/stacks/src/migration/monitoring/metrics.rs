//! Metrics of a region, each defined once for its alarm and the dashboards.

use payinfra_aws::cloudwatch::MetricStat;
use payinfra_engine::{Region, Text};

use super::{Service, Watched};
use crate::migration::storage::DATA;

/// The metrics of a region's resources.
#[derive(Clone, Copy)]
pub(super) struct Metrics<'a>(pub(super) &'a Watched<'a>);

impl Metrics<'_> {
    fn metric<const N: usize>(
        self,
        (namespace, name): (&str, &str),
        statistic: &str,
        dimensions: [(&str, Text); N],
    ) -> MetricStat {
        MetricStat {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            dimensions: dimensions.map(|(name, value)| (name.to_owned(), value)).into(),
            statistic: statistic.to_owned(),
            period: self.0.site.settings.alarms.period_seconds,
        }
    }

    fn database(self, name: &str) -> MetricStat {
        self.metric(("AWS/RDS", name), "Maximum", [("DBClusterIdentifier", self.0.database.clone())])
    }

    /// The lag of the region's slowest reader behind its writer, in milliseconds.
    pub(super) fn replica_lag(self) -> MetricStat {
        self.database("AuroraReplicaLagMaximum")
    }

    /// The lag of the region behind the region `primary`, in milliseconds; that one has no such metric.
    pub(super) fn global_lag(self, primary: &Region) -> MetricStat {
        let source = ("SourceRegion", primary.as_str().into());
        let database = ("DBClusterIdentifier", self.0.database.clone());
        self.metric(("AWS/RDS", "AuroraGlobalDBReplicationLag"), "Maximum", [database, source])
    }

    /// A metric of each colour of the service; one without tasks has no data.
    fn service(self, name: &str) -> Vec<(&'static str, MetricStat)> {
        let Service { cluster, colours } = &self.0.service;
        let metrics = colours.iter().map(|(colour, outputs)| {
            let names = [("ClusterName", cluster.clone()), ("ServiceName", Text::from(&outputs.name))];
            (*colour, self.metric(("AWS/ECS", name), "Average", names))
        });
        metrics.collect()
    }

    /// The number of running tasks of both colours, from Container Insights: the cluster has no others.
    pub(super) fn running_tasks(self) -> MetricStat {
        let cluster = self.0.service.cluster.clone();
        self.metric(("ECS/ContainerInsights", "TaskCount"), "Minimum", [("ClusterName", cluster)])
    }

    /// In percent, per colour.
    pub(super) fn cpu(self) -> Vec<(&'static str, MetricStat)> {
        self.service("CPUUtilization")
    }

    /// In percent, per colour.
    pub(super) fn memory(self) -> Vec<(&'static str, MetricStat)> {
        self.service("MemoryUtilization")
    }

    fn balancer(self, name: &str, statistic: &str) -> MetricStat {
        let balancer = Text::from(&self.0.edge.balancer.outputs.full_name);
        self.metric(("AWS/ApplicationELB", name), statistic, [("LoadBalancer", balancer)])
    }

    /// The number of requests.
    pub(super) fn requests(self) -> MetricStat {
        self.balancer("RequestCount", "Sum")
    }

    /// The number of 5xx responses of the service.
    pub(super) fn target_errors(self) -> MetricStat {
        self.balancer("HTTPCode_Target_5XX_Count", "Sum")
    }

    /// The number of 5xx responses of the load balancer itself.
    pub(super) fn balancer_errors(self) -> MetricStat {
        self.balancer("HTTPCode_ELB_5XX_Count", "Sum")
    }

    /// The p99 latency of responses in seconds.
    pub(super) fn latency(self) -> MetricStat {
        self.balancer("TargetResponseTime", "p99")
    }

    /// The number of unhealthy targets per colour.
    pub(super) fn unhealthy_hosts(self) -> Vec<(&'static str, MetricStat)> {
        let edge = &self.0.edge;
        let metrics = edge.colours.iter().map(|colour| {
            let balancer = ("LoadBalancer", Text::from(&edge.balancer.outputs.full_name));
            let group = ("TargetGroup", Text::from(&colour.target_group.outputs.full_name));
            (colour.name, self.metric(("AWS/ApplicationELB", "UnHealthyHostCount"), "Maximum", [balancer, group]))
        });
        metrics.collect()
    }

    fn copies(self, name: &str, statistic: &str, to: &Watched<'_>) -> Vec<(&'static str, MetricStat)> {
        let pairs = DATA.into_iter().zip(self.0.buckets.replicated().into_iter().zip(to.buckets.replicated()));
        let metric = |(kind, (from, to_bucket)): (_, (&str, &str))| {
            let rule = ("RuleId", format!("to-{}", to.site.region()).into());
            let buckets = [("SourceBucket", from.into()), ("DestinationBucket", to_bucket.into()), rule];
            (kind, self.metric(("AWS/S3", name), statistic, buckets))
        };
        pairs.map(metric).collect()
    }

    /// The replication latency to `to` in seconds, by bucket; S3 publishes it there.
    pub(super) fn copy_latency(self, to: &Watched<'_>) -> Vec<(&'static str, MetricStat)> {
        self.copies("ReplicationLatency", "Maximum", to)
    }

    /// The number of failed replications to `to`, by bucket; S3 publishes it here.
    pub(super) fn copy_failures(self, to: &Watched<'_>) -> Vec<(&'static str, MetricStat)> {
        self.copies("OperationsFailedReplication", "Sum", to)
    }

    /// The status of the region's health check: 1 or 0. One region has those of all regions.
    pub(super) fn health(self) -> MetricStat {
        let check = self.0.health_check.clone();
        self.metric(("AWS/Route53", "HealthCheckStatus"), "Minimum", [("HealthCheckId", check)])
    }
}

/// The region in which Route 53 publishes its metrics.
pub(super) fn home_of_health() -> Region {
    Region::new("us-east-1")
}
