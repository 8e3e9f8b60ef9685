//! Changes made outside payinfra are detected, shown exactly, and reverted.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, RouteTable, Tag};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use payinfra_tests::Bench;
use serde_json::Value;

const WORKSPACE: [&str; 2] = ["--workspace", "migration"];

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &WORKSPACE[..]].concat()
}

/// The addresses in the state of this kind and region.
fn addresses(state: &Value, region: &str, kind: &str) -> Vec<String> {
    let all = state["resources"].as_object().unwrap().keys();
    all.filter(|address| address.starts_with(&format!("{region}/{kind}/"))).cloned().collect()
}

fn id(state: &Value, address: &str) -> String {
    state["resources"][address]["id"].as_str().unwrap().to_owned()
}

/// A tag, a bucket's versioning, a route and a security group rule: exactly these are drift, and are reverted.
#[tokio::test(flavor = "multi_thread")]
async fn drift_names_exactly_what_changed_and_apply_repairs_exactly_that() {
    let bench = Bench::new().await;
    bench.run(&with(&["apply", "--yes"])).expect(0);
    let state = bench.state("migration");
    let ec2 = bench.ec2("us-east-1");

    let vpc = addresses(&state, "us-east-1", "ec2.vpc").remove(0);
    let tag = Tag::builder().key("Project").value("somebody-elses").build();
    ec2.create_tags().resources(id(&state, &vpc)).tags(tag).send().await.unwrap();

    // Not a replicated bucket, because AWS rejects changes of its versioning.
    let bucket = "us-east-1/s3.bucket/access-logs".to_owned();
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let call = bench.s3("us-east-1").put_bucket_versioning().bucket(id(&state, &bucket));
    call.versioning_configuration(enabled).send().await.unwrap();

    let route = addresses(&state, "us-east-1", "ec2.route").remove(0);
    let (table, destination) =
        (&state["resources"][&route]["args"]["table"], &state["resources"][&route]["args"]["destination"]);
    let call = ec2.delete_route().route_table_id(table.as_str().unwrap());
    call.destination_cidr_block(destination.as_str().unwrap()).send().await.unwrap();

    let group = addresses(&state, "us-east-1", "ec2.security-group").remove(0);
    let range = IpRange::builder().cidr_ip("192.168.0.0/16").build();
    let rule = IpPermission::builder().ip_protocol("tcp").from_port(22).to_port(22).ip_ranges(range).build();
    let call = ec2.authorize_security_group_ingress().group_id(id(&state, &group));
    call.ip_permissions(rule).send().await.unwrap();

    let changed: BTreeSet<String> = [&vpc, &bucket, &route, &group].into_iter().cloned().collect();
    let drift = bench.run(&with(&["drift", "--json"])).expect(2);
    assert_eq!(named(&drift.stdout, &state), changed, "{}", drift.stdout);

    bench.aws.clear_calls();
    bench.run(&with(&["apply", "--yes"])).expect(0);
    let mut repairs: Vec<_> = bench.mutations().into_iter().map(|call| call.action).collect();
    repairs.sort();
    let expected = ["CreateRoute", "CreateTags", "PutBucketVersioning", "RevokeSecurityGroupIngress"];
    assert_eq!(repairs, expected, "apply reverts exactly the changes");
    bench.run(&with(&["drift"])).expect(0);
    bench.run(&with(&["plan", "--exit-code"])).expect(0);
}

/// The addresses of `state` in `output`.
fn named(output: &str, state: &Value) -> BTreeSet<String> {
    let all = state["resources"].as_object().unwrap().keys();
    all.filter(|address| output.contains(&format!("\"{address}\""))).cloned().collect()
}

/// A deleted subnet is created again, with its dependents.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_subnet_is_created_again_with_what_hangs_on_it() {
    let bench = Bench::new().await;
    bench.run(&with(&["apply", "--yes"])).expect(0);
    let before = bench.inventory().await;
    let state = bench.state("migration");
    let ec2 = bench.ec2("us-east-1");
    let subnets = addresses(&state, "us-east-1", "ec2.subnet");
    let subnet = subnets.iter().find(|address| address.contains("public")).unwrap();
    let gone = id(&state, subnet);
    // Deleting a subnet requires deleting the resources in it first: here a NAT gateway and the route table
    // association.
    let in_it = Filter::builder().name("subnet-id").values(&gone).build();
    let nats = ec2.describe_nat_gateways().filter(in_it).send().await.unwrap();
    for nat in nats.nat_gateways() {
        ec2.delete_nat_gateway().nat_gateway_id(nat.nat_gateway_id().unwrap()).send().await.unwrap();
    }
    let tables = ec2.describe_route_tables().send().await.unwrap();
    for association in tables.route_tables().iter().flat_map(RouteTable::associations) {
        if association.subnet_id() == Some(&gone) {
            let association = association.route_table_association_id().unwrap();
            ec2.disassociate_route_table().association_id(association).send().await.unwrap();
        }
    }
    ec2.delete_subnet().subnet_id(&gone).send().await.unwrap();
    let drift = bench.run(&with(&["drift", "--json"])).expect(2);
    assert!(named(&drift.stdout, &state).contains(subnet), "{}", drift.stdout);
    bench.run(&with(&["apply", "--yes"])).expect(0);
    let after = bench.inventory().await;
    for kind in ["ec2.subnet ", "ec2.route-table-association ", "ec2.nat-gateway ", "ec2.vpc-endpoint "] {
        assert_eq!(before.count(kind), after.count(kind), "{kind}");
    }
    assert_ne!(bench.id("migration", subnet), gone);
    bench.run(&with(&["plan", "--exit-code"])).expect(0);
}
