//! VPCs, transit gateways, and flow logs.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{Filter, RouteTable, Subnet, TransitGatewayAttachmentResourceType, VpcAttributeName};
use payinfra_tests::Bench;

use crate::{SIDES, key, migration};

pub(crate) fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// The id of the region's VPC.
pub(crate) async fn vpc(bench: &Bench, region: &str) -> String {
    let vpcs = bench.ec2(region).describe_vpcs().filters(filter("is-default", "false")).send().await.unwrap();
    assert_eq!(vpcs.vpcs().len(), 1, "one VPC in {region}");
    vpcs.vpcs()[0].vpc_id().unwrap().to_owned()
}

/// A region's subnets with their route tables: the private ones, and the public ones, whose default route goes to the
/// internet gateway.
async fn subnets(bench: &Bench, region: &str, vpc: &str) -> [Vec<(Subnet, RouteTable)>; 2] {
    let ec2 = bench.ec2(region);
    let tables = ec2.describe_route_tables().filters(filter("vpc-id", vpc)).send().await.unwrap();
    let subnets = ec2.describe_subnets().filters(filter("vpc-id", vpc)).send().await.unwrap();
    let (mut private, mut public) = (Vec::new(), Vec::new());
    for subnet in subnets.subnets() {
        let of = |table: &&RouteTable| table.associations().iter().any(|it| it.subnet_id() == subnet.subnet_id());
        let table = tables.route_tables().iter().find(of).unwrap();
        let out = table.routes().iter().find(|route| route.destination_cidr_block() == Some("0.0.0.0/0")).unwrap();
        let is_public = out.gateway_id().is_some_and(|gateway| gateway.starts_with("igw-"));
        if is_public { &mut public } else { &mut private }.push((subnet.clone(), table.clone()));
    }
    [private, public]
}

fn ids(subnets: &[(Subnet, RouteTable)]) -> BTreeSet<&str> {
    subnets.iter().map(|(subnet, _)| subnet.subnet_id().unwrap()).collect()
}

fn zones(subnets: &[(Subnet, RouteTable)]) -> BTreeSet<&str> {
    subnets.iter().map(|(subnet, _)| subnet.availability_zone().unwrap()).collect()
}

/// M-06: a VPC in each region, with its CIDR block, DNS resolution and host names.
#[tokio::test(flavor = "multi_thread")]
async fn m06_each_region_has_a_vpc_with_its_block_and_dns() {
    let bench = migration().await;
    for (region, cidr, _) in SIDES {
        let ec2 = bench.ec2(region);
        let vpc = vpc(bench, region).await;
        let found = ec2.describe_vpcs().vpc_ids(&vpc).send().await.unwrap();
        assert_eq!(found.vpcs()[0].cidr_block(), Some(cidr));
        let ask = |attribute| ec2.describe_vpc_attribute().vpc_id(&vpc).attribute(attribute).send();
        let support = ask(VpcAttributeName::EnableDnsSupport).await.unwrap();
        assert_eq!(support.enable_dns_support().unwrap().value(), Some(true), "{region}");
        let names = ask(VpcAttributeName::EnableDnsHostnames).await.unwrap();
        assert_eq!(names.enable_dns_hostnames().unwrap().value(), Some(true), "{region}");
    }
}

/// M-07, X-05: three private and three public subnets in three existing zones, none of which assigns public addresses;
/// each private one uses a NAT gateway in its own zone.
#[tokio::test(flavor = "multi_thread")]
async fn m07_x05_three_zones_with_private_and_public_subnets_and_a_nat_each() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let ec2 = bench.ec2(region);
        let vpc = vpc(bench, region).await;
        let [private, public] = subnets(bench, region, &vpc).await;
        assert_eq!((private.len(), public.len()), (3, 3), "{region}");
        assert_eq!(zones(&private).len(), 3, "{region}");
        assert_eq!(zones(&private), zones(&public), "{region}");
        let known = ec2.describe_availability_zones().send().await.unwrap();
        let known: BTreeSet<_> = known.availability_zones().iter().map(|zone| zone.zone_name().unwrap()).collect();
        assert!(zones(&private).is_subset(&known), "zones are looked up, not guessed");
        assert!(private.iter().chain(&public).all(|(subnet, _)| subnet.map_public_ip_on_launch() == Some(false)));

        let nats = ec2.describe_nat_gateways().filter(filter("vpc-id", &vpc)).send().await.unwrap();
        let zone: BTreeMap<_, _> = public
            .iter()
            .map(|(subnet, _)| (subnet.subnet_id().unwrap(), subnet.availability_zone().unwrap()))
            .collect();
        for (subnet, table) in &private {
            let nat = table.routes().iter().find_map(|route| route.nat_gateway_id()).unwrap();
            let nat = nats.nat_gateways().iter().find(|it| it.nat_gateway_id() == Some(nat)).unwrap();
            assert_eq!(nat.state().unwrap().as_str(), "available");
            assert_eq!(
                zone[nat.subnet_id().unwrap()],
                subnet.availability_zone().unwrap(),
                "through the NAT gateway in its own zone"
            );
        }
    }
}

/// M-07: the AWS services that tasks need are reachable without the internet, by their usual names.
#[tokio::test(flavor = "multi_thread")]
async fn m07_endpoints_lead_to_the_services_from_all_private_subnets() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let vpc = vpc(bench, region).await;
        let [private, _] = subnets(bench, region, &vpc).await;
        let tables: BTreeSet<_> = private.iter().map(|(_, table)| table.route_table_id().unwrap()).collect();
        let found = bench.ec2(region).describe_vpc_endpoints().filters(filter("vpc-id", &vpc)).send().await.unwrap();
        let mut services = BTreeSet::new();
        for endpoint in found.vpc_endpoints() {
            let name = endpoint.service_name().unwrap();
            let kind = endpoint.vpc_endpoint_type().unwrap().as_str();
            services.insert((kind, name.strip_prefix(&format!("com.amazonaws.{region}.")).unwrap()));
            if kind == "Gateway" {
                let leads: BTreeSet<_> = endpoint.route_table_ids().iter().map(String::as_str).collect();
                assert_eq!(leads, tables, "{name}");
            } else {
                let stands: BTreeSet<_> = endpoint.subnet_ids().iter().map(String::as_str).collect();
                assert_eq!(stands, ids(&private), "{name}");
                assert_eq!(endpoint.private_dns_enabled(), Some(true), "{name}");
                assert_eq!(endpoint.groups().len(), 1, "{name}");
            }
        }
        let interfaces = ["ecr.api", "ecr.dkr", "kms", "logs", "secretsmanager"].map(|name| ("Interface", name));
        let expected = [("Gateway", "dynamodb"), ("Gateway", "s3")].into_iter().chain(interfaces).collect();
        assert_eq!(services, expected, "{region}");
    }
}

/// M-08: a transit gateway in each region, attached to its VPC and peered with the other, and routes in both
/// directions.
#[tokio::test(flavor = "multi_thread")]
async fn m08_transit_gateways_are_peered_and_routes_lead_both_ways() {
    let bench = migration().await;
    let mut peerings = BTreeSet::new();
    for (region, _, other) in SIDES {
        let ec2 = bench.ec2(region);
        let vpc = vpc(bench, region).await;
        let [private, _] = subnets(bench, region, &vpc).await;

        let gateways = ec2.describe_transit_gateways().send().await.unwrap();
        assert_eq!(gateways.transit_gateways().len(), 1, "{region}");
        let gateway = &gateways.transit_gateways()[0];
        assert_eq!(gateway.state().unwrap().as_str(), "available");

        let attached = ec2.describe_transit_gateway_vpc_attachments().send().await.unwrap();
        let attached = &attached.transit_gateway_vpc_attachments()[0];
        assert_eq!(attached.state().unwrap().as_str(), "available");
        assert_eq!(attached.vpc_id(), Some(&vpc[..]));
        assert_eq!(attached.subnet_ids().iter().map(String::as_str).collect::<BTreeSet<_>>(), ids(&private));

        let peered = ec2.describe_transit_gateway_peering_attachments().send().await.unwrap();
        assert_eq!(peered.transit_gateway_peering_attachments().len(), 1, "{region}");
        let peered = &peered.transit_gateway_peering_attachments()[0];
        assert_eq!(peered.state().unwrap().as_str(), "available", "the other side has accepted it");
        let peering = peered.transit_gateway_attachment_id().unwrap();
        peerings.insert(peering.to_owned());

        let table = gateway.options().unwrap().association_default_route_table_id().unwrap();
        let routes = ec2.search_transit_gateway_routes().transit_gateway_route_table_id(table);
        let routes = routes.filters(filter("type", "static")).send().await.unwrap();
        assert_eq!(routes.routes().len(), 1, "{region}");
        let route = &routes.routes()[0];
        assert_eq!((route.destination_cidr_block(), route.state().unwrap().as_str()), (Some(other), "active"));
        let over = &route.transit_gateway_attachments()[0];
        assert_eq!(over.transit_gateway_attachment_id(), Some(peering));
        assert_eq!(over.resource_type(), Some(&TransitGatewayAttachmentResourceType::Peering));

        for (subnet, table) in &private {
            let route = table.routes().iter().find(|route| route.destination_cidr_block() == Some(other)).unwrap();
            assert_eq!(route.transit_gateway_id(), gateway.transit_gateway_id(), "{:?}", subnet.subnet_id());
        }
    }
    assert_eq!(peerings.len(), 1, "both sides are of the same peering");
}

/// M-10, X-03: all traffic is logged to a log group that is encrypted with the logs key, with the configured retention.
#[tokio::test(flavor = "multi_thread")]
async fn m10_x03_flow_logs_go_to_an_encrypted_group() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let logs = bench.ec2(region).describe_flow_logs().send().await.unwrap();
        assert_eq!(logs.flow_logs().len(), 1, "{region}");
        let log = &logs.flow_logs()[0];
        assert_eq!(log.resource_id(), Some(&vpc(bench, region).await[..]));
        assert_eq!(log.traffic_type().unwrap().as_str(), "ALL");
        assert_eq!(log.log_destination_type().unwrap().as_str(), "cloud-watch-logs");

        let name = "payment-flow-logs-migration-demo1";
        assert_eq!(log.log_group_name(), Some(name));
        let client = aws_sdk_cloudwatchlogs::Client::new(&bench.sdk(region));
        let groups = client.describe_log_groups().log_group_name_prefix(name).send().await.unwrap();
        let group = &groups.log_groups()[0];
        assert_eq!(group.retention_in_days(), Some(90));
        assert_eq!(group.kms_key_id(), Some(&key(bench, region, "logs").await[..]));
    }
}
