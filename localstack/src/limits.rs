//! AWS's rate limits, as token buckets per region or account.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use crate::{fault::matches, record::Call};

/// A limit: service, operations, whether it applies to the whole account, burst, calls per second.
type Limit = (&'static str, &'static [&'static str], bool, f64, f64);

/// The first matching row counts. Numbers without a published source are assumptions.
const LIMITS: &[Limit] = &[
    ("ec2", &["CreateVpcEndpoint"], false, 4.0, 0.3),
    ("ec2", &["CreateNatGateway", "DeleteNatGateway"], false, 10.0, 1.0),
    ("ec2", &["CreateTags", "DeleteTags"], false, 100.0, 10.0),
    ("ec2", &["Describe*", "Get*", "Search*"], false, 100.0, 20.0),
    ("ec2", &["*"], false, 50.0, 5.0),
    ("elasticloadbalancing", &["Describe*"], false, 40.0, 10.0),
    ("elasticloadbalancing", &["CreateLoadBalancer"], false, 10.0, 0.2),
    ("elasticloadbalancing", &["*"], false, 20.0, 3.0),
    ("kms", &["DescribeKey", "ListResourceTags"], false, 2000.0, 2000.0),
    ("kms", &["GetKeyPolicy", "GetKeyRotationStatus"], false, 1000.0, 1000.0),
    ("kms", &["ListKeys", "ListAliases"], false, 500.0, 500.0),
    (
        "kms",
        &[
            "CreateKey",
            "CreateAlias",
            "UpdateAlias",
            "CancelKeyDeletion",
            "EnableKey",
            "DisableKey",
            "UpdateKeyDescription",
            "UntagResource",
        ],
        false,
        5.0,
        5.0,
    ),
    ("kms", &["TagResource"], false, 10.0, 10.0),
    ("kms", &["DeleteAlias", "ScheduleKeyDeletion", "PutKeyPolicy", "EnableKeyRotation"], false, 15.0, 15.0),
    ("route53", &["*"], true, 5.0, 5.0),
    (
        "apigateway",
        &["DeleteRestApi", "CreateDomainName", "UpdateDomainName", "DeleteDomainName"],
        true,
        1.0,
        1.0 / 30.0,
    ),
    ("apigateway", &["UpdateUsagePlan", "UpdateAccount"], true, 1.0, 0.05),
    ("apigateway", &["CreateRestApi"], true, 1.0, 1.0 / 3.0),
    ("apigateway", &["CreateDeployment"], true, 1.0, 0.2),
    ("apigateway", &["*"], true, 40.0, 10.0),
    ("lambda", &["Invoke"], false, 1000.0, 1000.0),
    ("lambda", &["GetFunction"], false, 100.0, 100.0),
    ("lambda", &["GetPolicy"], false, 15.0, 15.0),
    ("lambda", &["*"], false, 15.0, 15.0),
    ("monitoring", &["PutMetricAlarm", "PutCompositeAlarm"], false, 3.0, 3.0),
    ("monitoring", &["DeleteAlarms"], false, 3.0, 3.0),
    ("monitoring", &["DescribeAlarms"], false, 9.0, 9.0),
    ("monitoring", &["*Dashboard*"], false, 10.0, 10.0),
    ("logs", &["CreateLogGroup", "DeleteLogGroup", "DescribeLogGroups"], false, 10.0, 10.0),
    ("wafv2", &["AssociateWebACL", "DisassociateWebACL"], false, 1.0, 0.5),
    ("wafv2", &["GetWebACLForResource", "ListResourcesForWebACL"], false, 1.0, 1.0),
    ("wafv2", &["Get*", "List*"], false, 5.0, 5.0),
    ("wafv2", &["*"], false, 1.0, 1.0),
    ("cloudtrail", &["Get*", "Describe*", "List*"], false, 10.0, 10.0),
    ("cloudtrail", &["*"], false, 1.0, 1.0),
    ("sns", &["Subscribe", "Unsubscribe"], false, 100.0, 100.0),
    ("sns", &["CreateTopic"], false, 30.0, 30.0),
    ("ssm", &["PutParameter"], false, 3.0, 3.0),
    ("ssm", &["Get*"], false, 40.0, 40.0),
    ("secretsmanager", &["*"], false, 50.0, 50.0),
    ("acm", &["RequestCertificate"], false, 5.0, 5.0),
    ("acm", &["*"], false, 10.0, 10.0),
    ("iam", &["Get*", "List*", "Simulate*"], true, 20.0, 20.0),
    ("iam", &["*"], true, 10.0, 10.0),
    ("rds", &["*"], false, 5.0, 5.0),
    ("ecs", &["Describe*", "List*"], false, 100.0, 20.0),
    ("ecs", &["RegisterTaskDefinition", "CreateCluster", "DeleteCluster"], false, 20.0, 1.0),
    ("ecs", &["*"], false, 50.0, 5.0),
    ("events", &["*"], false, 50.0, 50.0),
    ("application-autoscaling", &["*"], false, 10.0, 10.0),
    ("tagging", &["*"], false, 10.0, 10.0),
    ("backup", &["*"], false, 10.0, 10.0),
];

/// The key: row of the table, region, operation.
type Key = (usize, String, String);

/// The tokens in each bucket, and the time of the last update.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    buckets: Mutex<HashMap<Key, (f64, Instant)>>,
}

impl Limits {
    /// Takes a token for a call; false if there is none. `scale` is a factor for AWS's rates and bursts.
    pub(crate) fn admit(&self, call: &Call, scale: f64) -> bool {
        let fits = |(service, actions, ..): &Limit| {
            *service == call.service && actions.iter().any(|action| matches(action, &call.action))
        };
        let Some(row) = LIMITS.iter().position(fits) else {
            return true;
        };
        let (service, _, is_global, burst, rate) = LIMITS[row];
        let (burst, rate) = ((burst * scale).max(1.0), rate * scale);
        // EC2 limits each operation separately; other services limit the operations of a row together.
        let action = if service == "ec2" { call.action.clone() } else { String::new() };
        let region = if is_global { String::new() } else { call.region.clone() };
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, at) = buckets.entry((row, region, action)).or_insert((burst, now));
        *tokens = (*tokens + now.duration_since(*at).as_secs_f64() * rate).min(burst);
        *at = now;
        let admitted = *tokens >= 1.0;
        if admitted {
            *tokens -= 1.0;
        }
        admitted
    }

    /// Fills all buckets.
    pub(crate) fn clear(&self) {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
