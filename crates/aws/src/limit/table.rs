//! AWS's rate limits: AWS-FACTS §3.1 as one table.

/// Operations of a service that share a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// The service, by the name of its client in `Cx`.
    service: &'static str,
    /// The operations, by name or as a prefix before `*`; empty for all other operations of the service.
    pub(super) operations: &'static [&'static str],
    /// Whether each operation has its own bucket.
    pub(super) each: bool,
    /// The scope of the limit.
    pub(super) scope: Scope,
    /// The burst.
    pub(super) burst: f64,
    /// The rate in calls per second.
    pub(super) rate: f64,
}

/// The scope of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The account in one region.
    Region,
    /// The account in all regions.
    Account,
}

impl Row {
    /// The limit of `operation`: the first matching row. For operations without a row, and for those of REST protocols
    /// that have no name, the service's last row counts.
    pub(super) fn of(service: &str, operation: &str) -> &'static Self {
        let fits = |row: &&Self| row.service == service && row.has(operation);
        LIMITS.iter().find(fits).unwrap_or(&UNKNOWN)
    }

    fn has(&self, operation: &str) -> bool {
        self.operations.is_empty()
            || self.operations.iter().any(|name| match name.strip_suffix('*') {
                Some(beginning) => operation.starts_with(beginning),
                None => operation == *name,
            })
    }
}

const UNKNOWN: Row = all("", 10.0, 10.0);

/// One bucket for these operations together.
const fn group(service: &'static str, operations: &'static [&'static str], burst: f64, rate: f64) -> Row {
    Row { service, operations, each: false, scope: Scope::Region, burst, rate }
}

/// One bucket for each of these operations.
const fn each(service: &'static str, operations: &'static [&'static str], burst: f64, rate: f64) -> Row {
    Row { each: true, ..group(service, operations, burst, rate) }
}

/// One bucket for all other operations together.
const fn all(service: &'static str, burst: f64, rate: f64) -> Row {
    group(service, &[], burst, rate)
}

/// One bucket for each other operation.
const fn others(service: &'static str, burst: f64, rate: f64) -> Row {
    each(service, &[], burst, rate)
}

/// The same limit, but for all regions together.
const fn account(row: Row) -> Row {
    Row { scope: Scope::Account, ..row }
}

/// Burst, and calls per second. A limit that AWS documents per second has a burst of one second.
const LIMITS: &[Row] = &[
    each("acm", &["Describe*", "ListTags*", "DeleteCertificate"], 10.0, 10.0),
    each("acm", &["ListCertificates"], 8.0, 8.0),
    others("acm", 5.0, 5.0),
    account(each("apigateway", &["DeleteRestApi"], 1.0, 1.0 / 30.0)),
    account(each("apigateway", &["CreateDomainName", "UpdateDomainName", "DeleteDomainName"], 1.0, 1.0 / 30.0)),
    account(each("apigateway", &["UpdateAccount", "UpdateUsagePlan"], 1.0, 1.0 / 20.0)),
    account(each("apigateway", &["CreateRestApi"], 1.0, 1.0 / 3.0)),
    account(each("apigateway", &["CreateDeployment"], 1.0, 1.0 / 5.0)),
    account(each("apigateway", &["CreateResource", "DeleteResource", "CreateApiKey", "DeleteApiKey"], 5.0, 5.0)),
    account(each("apigateway", &["GetResources"], 5.0, 2.5)),
    account(all("apigateway", 40.0, 10.0)),
    all("application_autoscaling", 10.0, 10.0),
    all("backup", 10.0, 10.0),
    each("cloudtrail", &["Get*", "Describe*", "List*"], 10.0, 10.0),
    all("cloudtrail", 1.0, 1.0),
    each("cloudwatch", &["PutMetricAlarm", "PutCompositeAlarm", "DeleteAlarms"], 3.0, 3.0),
    each("cloudwatch", &["DescribeAlarms"], 9.0, 9.0),
    others("cloudwatch", 10.0, 10.0),
    others("dynamodb", 20.0, 10.0),
    each("ec2", &["CreateVpcEndpoint"], 4.0, 0.3),
    each("ec2", &["CreateNatGateway", "DeleteNatGateway"], 10.0, 1.0),
    each("ec2", &["CreateTags", "DeleteTags"], 100.0, 10.0),
    each("ec2", &["CreateNetworkInterface", "DeleteNetworkInterface"], 100.0, 5.0),
    each("ec2", &["RunInstances"], 5.0, 2.0),
    each("ec2", &["Describe*", "Get*", "Search*"], 100.0, 20.0),
    others("ec2", 50.0, 5.0),
    group("ecs", &["DescribeClusters", "ListClusters"], 50.0, 20.0),
    group("ecs", &["Describe*", "List*"], 100.0, 20.0),
    group("ecs", &["CreateCluster", "UpdateCluster", "DeleteCluster"], 20.0, 1.0),
    group("ecs", &["RegisterTaskDefinition", "DeregisterTaskDefinition", "DeleteTaskDefinitions"], 20.0, 1.0),
    all("ecs", 50.0, 5.0),
    group("elbv2", &["Describe*"], 40.0, 10.0),
    group("elbv2", &["CreateLoadBalancer"], 10.0, 0.2),
    all("elbv2", 20.0, 3.0),
    others("eventbridge", 5.0, 5.0),
    account(group("iam", &["Get*", "List*"], 20.0, 20.0)),
    account(all("iam", 10.0, 10.0)),
    each("kms", &["Describe*", "Get*", "List*"], 500.0, 500.0),
    each("kms", &["CreateGrant"], 50.0, 50.0),
    each("kms", &["DeleteAlias", "ScheduleKeyDeletion", "PutKeyPolicy", "EnableKeyRotation"], 15.0, 15.0),
    each("kms", &["TagResource"], 10.0, 10.0),
    others("kms", 5.0, 5.0),
    each("lambda", &["GetFunction"], 100.0, 100.0),
    each("lambda", &["GetPolicy"], 15.0, 15.0),
    all("lambda", 15.0, 15.0),
    each("logs", &["CreateLogGroup", "DeleteLogGroup", "DescribeLogGroups"], 5.0, 5.0),
    others("logs", 10.0, 10.0),
    all("rds", 5.0, 5.0),
    all("resourcegroupstagging", 5.0, 5.0),
    account(all("route53", 5.0, 5.0)),
    all("s3", 100.0, 100.0),
    all("secretsmanager", 50.0, 50.0),
    others("servicequotas", 5.0, 5.0),
    each("sns", &["Subscribe", "Unsubscribe"], 100.0, 100.0),
    others("sns", 30.0, 30.0),
    each("ssm", &["PutParameter"], 3.0, 3.0),
    others("ssm", 40.0, 40.0),
    each("wafv2", &["AssociateWebACL", "DisassociateWebACL"], 1.0, 0.5),
    each("wafv2", &["GetWebACLForResource", "ListResourcesForWebACL"], 1.0, 1.0),
    each("wafv2", &["Get*", "List*"], 5.0, 5.0),
    all("wafv2", 1.0, 1.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_hidden_by_an_earlier_one() {
        for (index, row) in LIMITS.iter().enumerate() {
            let names = row.operations.iter().map(|name| name.trim_end_matches('*'));
            for name in names.chain(row.operations.is_empty().then_some("Anything else")) {
                let found = LIMITS.iter().position(|other| other.service == row.service && other.has(name));
                assert_eq!(found, Some(index), "{} {name}", row.service);
            }
            assert!(row.rate > 0.0 && row.burst >= 1.0);
        }
        assert!(LIMITS.is_sorted_by_key(|row| row.service));
    }
}
