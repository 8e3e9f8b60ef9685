//! VPCs and everything in them, and transit gateways.

use super::Inventory;
use crate::Bench;

impl Inventory {
    pub(super) async fn networks(&mut self, bench: &Bench, region: &str) {
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
        for it in ec2.describe_vpc_peering_connections().send().await.unwrap().vpc_peering_connections() {
            let state = it.status().and_then(|status| status.code());
            if !state.is_some_and(|state| ["deleted", "deleting", "failed"].contains(&state.as_str())) {
                self.note(region, "ec2.vpc-peering", it.vpc_peering_connection_id());
            }
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

    pub(super) async fn transit(&mut self, bench: &Bench, region: &str) {
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
}
