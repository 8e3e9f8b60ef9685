//! What is in the account, told by the services' own lists and not by our state.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Bench, REGIONS};

/// Everything that payinfra makes, one line each: `us-east-1 ec2.vpc vpc-…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory(BTreeSet<String>);

impl Inventory {
    /// Lists the account. What AWS makes by itself and what is on its way out does not count; neither does the bucket
    /// of the states.
    pub async fn take(bench: &Bench) -> Self {
        let mut found = Self::default();
        for region in REGIONS {
            found.networks(bench, region).await;
            found.transit(bench, region).await;
            found.keys(bench, region).await;
            found.logs(bench, region).await;
        }
        found.buckets(bench).await;
        found.roles(bench).await;
        found
    }

    /// The lines that `self` has and `other` has not.
    #[must_use]
    pub fn beyond<'a>(&'a self, other: &Self) -> Vec<&'a str> {
        self.0.iter().filter(|line| !other.0.contains(*line)).map(String::as_str).collect()
    }

    /// How many lines hold `part`.
    #[must_use]
    pub fn count(&self, part: &str) -> usize {
        self.0.iter().filter(|line| line.contains(part)).count()
    }

    /// How many things there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn note(&mut self, region: &str, kind: &str, id: Option<&str>) {
        self.0.insert(format!("{region} {kind} {}", id.unwrap_or("?")));
    }

    async fn networks(&mut self, bench: &Bench, region: &str) {
        let ec2 = bench.ec2(region);
        for it in ec2.describe_vpcs().send().await.unwrap().vpcs() {
            self.note(region, "ec2.vpc", it.vpc_id());
        }
        for it in ec2.describe_subnets().send().await.unwrap().subnets() {
            self.note(region, "ec2.subnet", it.subnet_id());
        }
        for it in ec2.describe_internet_gateways().send().await.unwrap().internet_gateways() {
            self.note(region, "ec2.internet-gateway", it.internet_gateway_id());
        }
        for it in ec2.describe_addresses().send().await.unwrap().addresses() {
            self.note(region, "ec2.eip", it.allocation_id());
        }
        for it in ec2.describe_nat_gateways().send().await.unwrap().nat_gateways() {
            if !it.state().is_some_and(|state| state.as_str().starts_with("delet")) {
                self.note(region, "ec2.nat-gateway", it.nat_gateway_id());
            }
        }
        for it in ec2.describe_route_tables().send().await.unwrap().route_tables() {
            let table = it.route_table_id().unwrap_or("?");
            self.note(region, "ec2.route-table", Some(table));
            for route in it.routes() {
                let destination = route.destination_cidr_block().or(route.destination_prefix_list_id()).unwrap_or("?");
                self.note(region, "ec2.route", Some(&format!("{table} {destination}")));
            }
            for association in it.associations() {
                self.note(region, "ec2.route-table-association", association.route_table_association_id());
            }
        }
        for it in ec2.describe_security_groups().send().await.unwrap().security_groups() {
            self.note(region, "ec2.security-group", it.group_id());
        }
        for it in ec2.describe_vpc_endpoints().send().await.unwrap().vpc_endpoints() {
            if !it.state().is_some_and(|state| state.as_str().to_lowercase().starts_with("delet")) {
                self.note(region, "ec2.vpc-endpoint", it.vpc_endpoint_id());
            }
        }
        for it in ec2.describe_flow_logs().send().await.unwrap().flow_logs() {
            self.note(region, "ec2.flow-log", it.flow_log_id());
        }
    }

    async fn transit(&mut self, bench: &Bench, region: &str) {
        let ec2 = bench.ec2(region);
        let goes = |state: Option<&str>| state.is_some_and(|state| state.starts_with("delet"));
        for it in ec2.describe_transit_gateways().send().await.unwrap().transit_gateways() {
            if !goes(it.state().map(aws_sdk_ec2::types::TransitGatewayState::as_str)) {
                self.note(region, "ec2.transit-gateway", it.transit_gateway_id());
            }
        }
        for it in ec2.describe_transit_gateway_attachments().send().await.unwrap().transit_gateway_attachments() {
            if !goes(it.state().map(aws_sdk_ec2::types::TransitGatewayAttachmentState::as_str)) {
                self.note(region, "ec2.transit-gateway-attachment", it.transit_gateway_attachment_id());
            }
        }
    }

    async fn keys(&mut self, bench: &Bench, region: &str) {
        let kms = aws_sdk_kms::Client::new(&bench.sdk(region));
        for it in kms.list_keys().send().await.unwrap().keys() {
            let id = it.key_id().unwrap_or("?");
            let key = kms.describe_key().key_id(id).send().await.unwrap();
            let key = key.key_metadata().unwrap();
            let ours = key.key_manager() != Some(&aws_sdk_kms::types::KeyManagerType::Aws);
            if ours && key.key_state() != Some(&aws_sdk_kms::types::KeyState::PendingDeletion) {
                self.note(region, "kms.key", Some(id));
            }
        }
        for it in kms.list_aliases().send().await.unwrap().aliases() {
            if !it.alias_name().is_some_and(|name| name.starts_with("alias/aws/")) {
                self.note(region, "kms.alias", it.alias_name());
            }
        }
    }

    async fn logs(&mut self, bench: &Bench, region: &str) {
        let logs = aws_sdk_cloudwatchlogs::Client::new(&bench.sdk(region));
        for it in logs.describe_log_groups().send().await.unwrap().log_groups() {
            self.note(region, "logs.log-group", it.log_group_name());
        }
    }

    async fn buckets(&mut self, bench: &Bench) {
        for it in bench.s3("us-east-1").list_buckets().send().await.unwrap().buckets() {
            if !it.name().is_some_and(|name| name.starts_with("payinfra-state")) {
                self.note("global", "s3.bucket", it.name());
            }
        }
    }

    async fn roles(&mut self, bench: &Bench) {
        let iam = aws_sdk_iam::Client::new(&bench.sdk("us-east-1"));
        for it in iam.list_roles().send().await.unwrap().roles() {
            self.note("global", "iam.role", Some(it.role_name()));
        }
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
