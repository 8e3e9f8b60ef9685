//! Metrics and events that AWS publishes: an alarm or a rule on others never does anything.
//!
//! The user guides of the services ("… metrics and dimensions", "Events reference"); AWS-FACTS, Supplement: Aurora.

use serde_json::Value;

use crate::{
    action::Request,
    answer::{self, Answer},
};

/// Metrics of a namespace with the same sets of dimensions, which are sorted.
struct Metrics {
    namespace: &'static str,
    names: &'static [&'static str],
    dimensions: &'static [&'static [&'static str]],
}

const fn metrics(
    namespace: &'static str,
    names: &'static [&'static str],
    dimensions: &'static [&'static [&'static str]],
) -> Metrics {
    Metrics { namespace, names, dimensions }
}

/// The namespaces that stacks watch.
const METRICS: &[Metrics] = &[
    metrics(
        "AWS/ApiGateway",
        &["4XXError", "5XXError", "CacheHitCount", "CacheMissCount"],
        &[&["ApiName"], &["ApiName", "Stage"], &["ApiName", "Method", "Resource", "Stage"]],
    ),
    metrics(
        "AWS/ApiGateway",
        &["4xx", "5xx", "DataProcessed"],
        &[&["ApiId"], &["ApiId", "Stage"], &["ApiId", "Method", "Resource", "Stage"]],
    ),
    metrics(
        "AWS/ApiGateway",
        &["Count", "IntegrationLatency", "Latency"],
        &[
            &["ApiId"],
            &["ApiId", "Stage"],
            &["ApiId", "Method", "Resource", "Stage"],
            &["ApiName"],
            &["ApiName", "Stage"],
            &["ApiName", "Method", "Resource", "Stage"],
        ],
    ),
    metrics(
        "AWS/ApplicationELB",
        &[
            "ActiveConnectionCount",
            "ClientTLSNegotiationErrorCount",
            "ConsumedLCUs",
            "DesyncMitigationMode_NonCompliant_Request_Count",
            "DroppedInvalidHeaderRequestCount",
            "ForwardedInvalidHeaderRequestCount",
            "GrpcRequestCount",
            "HTTPCode_ELB_3XX_Count",
            "HTTPCode_ELB_4XX_Count",
            "HTTPCode_ELB_500_Count",
            "HTTPCode_ELB_502_Count",
            "HTTPCode_ELB_503_Count",
            "HTTPCode_ELB_504_Count",
            "HTTPCode_ELB_5XX_Count",
            "HTTP_Fixed_Response_Count",
            "HTTP_Redirect_Count",
            "HTTP_Redirect_Url_Limit_Exceeded_Count",
            "IPv6ProcessedBytes",
            "IPv6RequestCount",
            "NewConnectionCount",
            "NonStickyRequestCount",
            "PeakLCUs",
            "ProcessedBytes",
            "RejectedConnectionCount",
            "RuleEvaluations",
        ],
        &[&["LoadBalancer"], &["AvailabilityZone", "LoadBalancer"]],
    ),
    metrics(
        "AWS/ApplicationELB",
        &[
            "AnomalousHostCount",
            "HealthyHostCount",
            "HealthyStateDNS",
            "HealthyStateRouting",
            "MitigatedHostCount",
            "UnHealthyHostCount",
            "UnhealthyRoutingRequestCount",
            "UnhealthyStateDNS",
            "UnhealthyStateRouting",
        ],
        &[&["LoadBalancer", "TargetGroup"], &["AvailabilityZone", "LoadBalancer", "TargetGroup"]],
    ),
    metrics(
        "AWS/ApplicationELB",
        &[
            "HTTPCode_Target_2XX_Count",
            "HTTPCode_Target_3XX_Count",
            "HTTPCode_Target_4XX_Count",
            "HTTPCode_Target_5XX_Count",
            "RequestCount",
            "TargetConnectionErrorCount",
            "TargetResponseTime",
            "TargetTLSNegotiationErrorCount",
        ],
        &[
            &["LoadBalancer"],
            &["AvailabilityZone", "LoadBalancer"],
            &["LoadBalancer", "TargetGroup"],
            &["AvailabilityZone", "LoadBalancer", "TargetGroup"],
        ],
    ),
    metrics(
        "AWS/ApplicationELB",
        &["RequestCountPerTarget"],
        &[
            &["TargetGroup"],
            &["AvailabilityZone", "TargetGroup"],
            &["LoadBalancer", "TargetGroup"],
            &["AvailabilityZone", "LoadBalancer", "TargetGroup"],
        ],
    ),
    metrics("AWS/CertificateManager", &["DaysToExpiry"], &[&["CertificateArn"]]),
    metrics(
        "AWS/DynamoDB",
        &[
            "ConditionalCheckFailedRequests",
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "OnlineIndexConsumedWriteCapacity",
            "OnlineIndexPercentageProgress",
            "OnlineIndexThrottleEvents",
            "ProvisionedReadCapacityUnits",
            "ProvisionedWriteCapacityUnits",
            "ReadThrottleEvents",
            "WriteThrottleEvents",
        ],
        &[&["TableName"], &["GlobalSecondaryIndexName", "TableName"]],
    ),
    metrics("AWS/DynamoDB", &["TimeToLiveDeletedItemCount", "TransactionConflict"], &[&["TableName"]]),
    metrics(
        "AWS/DynamoDB",
        &["ReturnedItemCount", "SuccessfulRequestLatency", "SystemErrors", "ThrottledRequests"],
        &[&["Operation", "TableName"]],
    ),
    metrics(
        "AWS/DynamoDB",
        &[
            "AccountMaxReads",
            "AccountMaxTableLevelReads",
            "AccountMaxTableLevelWrites",
            "AccountMaxWrites",
            "AccountProvisionedReadCapacityUtilization",
            "AccountProvisionedWriteCapacityUtilization",
            "MaxProvisionedTableReadCapacityUtilization",
            "MaxProvisionedTableWriteCapacityUtilization",
            "UserErrors",
        ],
        &[&[]],
    ),
    metrics("AWS/DynamoDB", &["PendingReplicationCount", "ReplicationLatency"], &[&["ReceivingRegion", "TableName"]]),
    metrics("AWS/ECS", &["CPUUtilization", "MemoryUtilization"], &[&["ClusterName"], &["ClusterName", "ServiceName"]]),
    metrics("AWS/ECS", &["CPUReservation", "MemoryReservation"], &[&["ClusterName"]]),
    metrics(
        "AWS/Events",
        &[
            "DeadLetterInvocations",
            "FailedInvocations",
            "Invocations",
            "InvocationsFailedToBeSentToDlq",
            "InvocationsSentToDlq",
            "MatchedEvents",
            "ThrottledRules",
            "TriggeredRules",
        ],
        &[&[], &["RuleName"], &["EventBusName"], &["EventBusName", "RuleName"]],
    ),
    metrics(
        "AWS/Lambda",
        &[
            "AsyncEventAge",
            "AsyncEventsDropped",
            "AsyncEventsReceived",
            "ConcurrentExecutions",
            "DeadLetterErrors",
            "DestinationDeliveryFailures",
            "Duration",
            "Errors",
            "Invocations",
            "IteratorAge",
            "PostRuntimeExtensionsDuration",
            "ProvisionedConcurrencyInvocations",
            "ProvisionedConcurrencySpilloverInvocations",
            "ProvisionedConcurrencyUtilization",
            "ProvisionedConcurrentExecutions",
            "Throttles",
            "UnreservedConcurrentExecutions",
        ],
        &[&[], &["FunctionName"], &["FunctionName", "Resource"], &["ExecutedVersion", "FunctionName", "Resource"]],
    ),
    metrics(
        "AWS/NATGateway",
        &[
            "ActiveConnectionCount",
            "BytesInFromDestination",
            "BytesInFromSource",
            "BytesOutToDestination",
            "BytesOutToSource",
            "ConnectionAttemptCount",
            "ConnectionEstablishedCount",
            "ErrorPortAllocation",
            "IdleTimeoutCount",
            "PacketsDropCount",
            "PacketsInFromDestination",
            "PacketsInFromSource",
            "PacketsOutToDestination",
            "PacketsOutToSource",
            "PeakBytesPerSecond",
            "PeakPacketsPerSecond",
        ],
        &[&["NatGatewayId"]],
    ),
    // Only the lag has the region of the source.
    metrics("AWS/RDS", &["AuroraGlobalDBReplicationLag"], &[&["DBClusterIdentifier", "SourceRegion"]]),
    metrics(
        "AWS/RDS",
        &[
            "ACUUtilization",
            "AuroraBinlogReplicaLag",
            "AuroraGlobalDBDataTransferBytes",
            "AuroraGlobalDBProgressLag",
            "AuroraGlobalDBRPOLag",
            "AuroraGlobalDBReplicatedWriteIO",
            "AuroraReplicaLag",
            "AuroraReplicaLagMaximum",
            "AuroraReplicaLagMinimum",
            "AuroraVolumeBytesLeftTotal",
            "BackupRetentionPeriodStorageUsed",
            "BinLogDiskUsage",
            "BufferCacheHitRatio",
            "BurstBalance",
            "CPUCreditBalance",
            "CPUCreditUsage",
            "CPUUtilization",
            "CommitLatency",
            "CommitThroughput",
            "DBLoad",
            "DBLoadCPU",
            "DBLoadNonCPU",
            "DatabaseConnections",
            "Deadlocks",
            "DiskQueueDepth",
            "EngineUptime",
            "FreeLocalStorage",
            "FreeStorageSpace",
            "FreeableMemory",
            "MaximumUsedTransactionIDs",
            "NetworkReceiveThroughput",
            "NetworkThroughput",
            "NetworkTransmitThroughput",
            "OldestReplicationSlotLag",
            "RDSToAuroraPostgreSQLReplicaLag",
            "ReadIOPS",
            "ReadLatency",
            "ReadThroughput",
            "ReplicaLag",
            "ReplicationSlotDiskUsage",
            "ServerlessDatabaseCapacity",
            "SnapshotStorageUsed",
            "StorageNetworkReceiveThroughput",
            "StorageNetworkThroughput",
            "StorageNetworkTransmitThroughput",
            "SwapUsage",
            "TotalBackupStorageBilled",
            "TransactionLogsDiskUsage",
            "TransactionLogsGeneration",
            "VolumeBytesUsed",
            "VolumeReadIOPs",
            "VolumeWriteIOPs",
            "WriteIOPS",
            "WriteLatency",
            "WriteThroughput",
        ],
        &[
            &[],
            &["DBClusterIdentifier"],
            &["DBClusterIdentifier", "EngineName"],
            &["DBClusterIdentifier", "Role"],
            &["DBInstanceIdentifier"],
            &["DatabaseClass"],
            &["EngineName"],
        ],
    ),
    metrics(
        "AWS/Route53",
        &[
            "ChildHealthCheckHealthyCount",
            "ConnectionTime",
            "HealthCheckPercentageHealthy",
            "HealthCheckStatus",
            "SSLHandshakeTime",
            "TimeToFirstByte",
        ],
        &[&["HealthCheckId"]],
    ),
    metrics("AWS/Route53", &["DNSQueries"], &[&["HostedZoneId"]]),
    metrics("AWS/S3", &["BucketSizeBytes", "NumberOfObjects"], &[&["BucketName", "StorageType"]]),
    metrics(
        "AWS/S3",
        &[
            "4xxErrors",
            "5xxErrors",
            "AllRequests",
            "BytesDownloaded",
            "BytesUploaded",
            "DeleteRequests",
            "FirstByteLatency",
            "GetRequests",
            "HeadRequests",
            "ListRequests",
            "PostRequests",
            "PutRequests",
            "SelectRequests",
            "TotalRequestLatency",
        ],
        &[&["BucketName", "FilterId"]],
    ),
    metrics(
        "AWS/S3",
        &[
            "BytesPendingReplication",
            "OperationsFailedReplication",
            "OperationsPendingReplication",
            "ReplicationLatency",
        ],
        &[&["DestinationBucket", "RuleId", "SourceBucket"]],
    ),
    metrics(
        "AWS/SNS",
        &[
            "NumberOfMessagesPublished",
            "NumberOfNotificationsDelivered",
            "NumberOfNotificationsFailed",
            "NumberOfNotificationsFailedToRedriveToDlq",
            "NumberOfNotificationsFilteredOut",
            "NumberOfNotificationsRedrivenToDlq",
            "PublishSize",
        ],
        &[&["TopicName"]],
    ),
    metrics(
        "AWS/SQS",
        &[
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
            "NumberOfEmptyReceives",
            "NumberOfMessagesDeleted",
            "NumberOfMessagesReceived",
            "NumberOfMessagesSent",
            "SentMessageSize",
        ],
        &[&["QueueName"]],
    ),
    metrics(
        "AWS/TransitGateway",
        &[
            "BytesDropCountBlackhole",
            "BytesDropCountNoRoute",
            "BytesIn",
            "BytesOut",
            "PacketDropCountBlackhole",
            "PacketDropCountNoRoute",
            "PacketsIn",
            "PacketsOut",
        ],
        &[&["TransitGateway"], &["TransitGateway", "TransitGatewayAttachment"]],
    ),
    metrics(
        "AWS/WAFV2",
        &["AllowedRequests", "BlockedRequests", "CountedRequests", "PassedRequests"],
        &[
            &["Region", "Rule", "WebACL"],
            &["Region", "Rule", "RuleGroup"],
            &["Rule", "WebACL"],
            &["Country", "Region", "WebACL"],
            &["Region", "WebACL"],
        ],
    ),
    metrics("ECS/ContainerInsights", &["ContainerInstanceCount", "ServiceCount"], &[&["ClusterName"]]),
    metrics("ECS/ContainerInsights", &["TaskCount"], &[&["ClusterName"], &["ClusterName", "ServiceName"]]),
    metrics(
        "ECS/ContainerInsights",
        &["DeploymentCount", "DesiredTaskCount", "PendingTaskCount", "RunningTaskCount", "TaskSetCount"],
        &[&["ClusterName", "ServiceName"]],
    ),
    metrics(
        "ECS/ContainerInsights",
        &[
            "CpuReserved",
            "CpuUtilized",
            "EphemeralStorageReserved",
            "EphemeralStorageUtilized",
            "MemoryReserved",
            "MemoryUtilized",
            "NetworkRxBytes",
            "NetworkTxBytes",
            "StorageReadBytes",
            "StorageWriteBytes",
        ],
        &[&["ClusterName"], &["ClusterName", "ServiceName"], &["ClusterName", "TaskDefinitionFamily"]],
    ),
];

/// The detail types of a source.
const EVENTS: &[(&str, &[&str])] = &[
    (
        "aws.acm",
        &[
            "ACM Certificate Approaching Expiration",
            "ACM Certificate Available",
            "ACM Certificate Expired",
            "ACM Certificate Renewal Action Required",
            "ACM Certificate Revoked",
        ],
    ),
    ("aws.application-autoscaling", &["Application Auto Scaling Scaling Activity State Change"]),
    ("aws.cloudwatch", &["CloudWatch Alarm Configuration Change", "CloudWatch Alarm State Change"]),
    (
        "aws.ecs",
        &[
            "ECS Container Instance State Change",
            "ECS Deployment State Change",
            "ECS Service Action",
            "ECS Task State Change",
        ],
    ),
    ("aws.health", &["AWS Health Abuse Event", "AWS Health Event"]),
    ("aws.kms", &["KMS CMK Deletion", "KMS CMK Rotation", "KMS Imported Key Material Expiration"]),
    (
        "aws.rds",
        &[
            "RDS Blue Green Deployment Event",
            "RDS Custom Version Event",
            "RDS DB Cluster Event",
            "RDS DB Cluster Snapshot Event",
            "RDS DB Instance Event",
            "RDS DB Parameter Group Event",
            "RDS DB Proxy Event",
            "RDS DB Security Group Event",
            "RDS DB Shard Group Event",
            "RDS DB Snapshot Event",
        ],
    ),
];

/// The detail types that CloudTrail publishes for every source.
const TRAIL: &[&str] =
    &["AWS API Call via CloudTrail", "AWS Console Sign In via CloudTrail", "AWS Service Event via CloudTrail"];

/// The categories of events of RDS. Those of global databases are seen in two spellings.
const CATEGORIES: &[&str] = &[
    "availability",
    "backtrack",
    "backup",
    "configuration change",
    "creation",
    "deletion",
    "failover",
    "failure",
    "global failover",
    "global-failover",
    "low storage",
    "maintenance",
    "migration",
    "notification",
    "read replica",
    "recovery",
    "restoration",
    "security",
    "security patching",
];

/// Whether a call needs to be read for [`refuse`].
pub(super) fn is_about(request: &Request) -> bool {
    let call = (request.scope.service.as_str(), request.action.as_str());
    [("monitoring", "PutMetricAlarm"), ("events", "PutRule")].contains(&call)
}

/// Refuses an alarm or rule on what AWS never publishes. The second value is the message.
pub(super) fn refuse(request: &Request, input: &Value) -> Option<(Answer, String)> {
    if request.action == "PutRule" {
        let pattern = input.get("EventPattern")?.as_str()?;
        let message = unknown_event(&serde_json::from_str(pattern).ok()?)?;
        return Some((answer::error(request, 400, "InvalidEventPatternException", &message), message));
    }
    let members = ["MetricName", "Namespace", "Dimensions"].map(|member| input.get(member).cloned());
    let [name, namespace, dimensions] = members.map(Option::unwrap_or_default);
    let queries = input.get("Metrics").and_then(Value::as_array).into_iter().flatten();
    let nested = queries.filter_map(|query| query.pointer("/MetricStat/Metric"));
    let nested = nested.map(|metric| (&metric["Namespace"], &metric["MetricName"], &metric["Dimensions"]));
    let message = nested
        .chain([(&namespace, &name, &dimensions)])
        .find_map(|(namespace, name, dimensions)| unknown_metric(namespace.as_str()?, name.as_str()?, dimensions))?;
    Some((answer::error(request, 400, "InvalidParameterValue", &message), message))
}

/// Why AWS does not publish a metric; `None` if it does, or if the table has no such namespace.
fn unknown_metric(namespace: &str, name: &str, dimensions: &Value) -> Option<String> {
    let mut rows = METRICS.iter().filter(|row| row.namespace == namespace).peekable();
    rows.peek()?;
    let rows: Vec<_> = rows.filter(|row| row.names.contains(&name)).collect();
    if rows.is_empty() {
        return Some(format!("AWS never publishes a metric {name} in {namespace}"));
    }
    let named = dimensions.as_array().into_iter().flatten().filter_map(|dimension| dimension.get("Name")?.as_str());
    let mut named: Vec<_> = named.collect();
    named.sort_unstable();
    let sets: Vec<_> = rows.iter().flat_map(|row| row.dimensions).collect();
    if sets.iter().any(|set| ***set == *named) {
        return None;
    }
    let sets = sets.iter().map(|set| format!("[{}]", set.join(", "))).collect::<Vec<_>>().join(", ");
    Some(format!(
        "AWS never publishes {namespace} {name} with the dimensions [{}], only with one of {sets}",
        named.join(", ")
    ))
}

/// Why AWS sends no event that a pattern matches, as far as the table knows its sources.
fn unknown_event(pattern: &Value) -> Option<String> {
    let exact = |path: &str| -> Vec<String> {
        let values = pattern.pointer(path).and_then(Value::as_array).into_iter().flatten();
        values.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let sources = exact("/source");
    let rows: Vec<_> = EVENTS.iter().filter(|(source, _)| sources.iter().any(|named| named == source)).collect();
    if rows.is_empty() || rows.len() < sources.len() {
        return None;
    }
    let is_known = |kind: &str| TRAIL.contains(&kind) || rows.iter().any(|(_, kinds)| kinds.contains(&kind));
    if let Some(kind) = exact("/detail-type").iter().find(|kind| !is_known(kind)) {
        return Some(format!("AWS never sends an event of the detail type {kind} from {}", sources.join(", ")));
    }
    let is_rds = sources == ["aws.rds"];
    let categories = exact("/detail/EventCategories");
    let category = categories.iter().find(|category| is_rds && !CATEGORIES.contains(&category.as_str()))?;
    Some(format!("RDS has no event category {category}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dimensions_are_sorted_and_namespaces_together() {
        for row in METRICS {
            assert!(row.dimensions.iter().all(|set| set.is_sorted()), "{}", row.namespace);
            assert!(!row.names.is_empty() && !row.dimensions.is_empty(), "{}", row.namespace);
        }
        assert!(METRICS.is_sorted_by_key(|row| row.namespace));
        assert!(EVENTS.is_sorted_by_key(|(source, _)| source));
    }

    #[test]
    fn metrics_with_their_dimensions() {
        let dimensions = |names: &[&str]| -> Value { names.iter().map(|name| json!({ "Name": name })).collect() };
        for (namespace, name, names, refused) in [
            ("AWS/RDS", "AuroraGlobalDBReplicationLag", &["SourceRegion", "DBClusterIdentifier"][..], None),
            ("AWS/RDS", "AuroraGlobalDBReplicationLag", &["DBClusterIdentifier"], Some("with the dimensions")),
            ("AWS/RDS", "CpuUtilization", &["DBClusterIdentifier"], Some("a metric CpuUtilization")),
            ("AWS/DynamoDB", "ThrottledRequests", &["TableName"], Some("only with one of [Operation, TableName]")),
            ("AWS/Lambda", "Errors", &[], None),
            ("payments", "Declined", &["Any"], None),
        ] {
            let message = unknown_metric(namespace, name, &dimensions(names));
            let fits = refused.map_or(message.is_none(), |part| message.as_ref().is_some_and(|it| it.contains(part)));
            assert!(fits, "{name} {names:?}: {message:?}");
        }
    }

    #[test]
    fn events_with_their_types_and_categories() {
        for (pattern, is_known) in [
            (json!({ "source": ["aws.rds"], "detail-type": ["RDS DB Cluster Event"] }), true),
            (json!({ "source": ["aws.rds"], "detail-type": ["RDS Cluster Event"] }), false),
            (json!({ "source": ["aws.rds"], "detail": { "EventCategories": ["failover", "global-failover"] } }), true),
            (json!({ "source": ["aws.rds"], "detail": { "EventCategories": ["fail over"] } }), false),
            (json!({ "source": ["aws.ecs"], "detail-type": ["AWS API Call via CloudTrail"] }), true),
            (json!({ "source": ["payments"], "detail-type": ["Approved"] }), true),
        ] {
            assert_eq!(unknown_event(&pattern).is_none(), is_known, "{pattern}");
        }
    }
}
