//! What resources cost while they exist, for estimates: AWS's on-demand list prices in us-east-1 in US dollars.
//!
//! Requests, traffic, storage and data are not included, because they depend on the use. Other regions cost the same or
//! somewhat more.

use payinfra_engine::Resource;
use serde_json::Value;

use crate::cloudwatch::{Alarm, CompositeAlarm, Dashboard};
use crate::ec2::{Eip, NatGateway, TransitGatewayPeering, TransitGatewayPeeringAccepter, TransitGatewayVpcAttachment};
use crate::ec2::{EndpointType, VpcEndpoint};
use crate::ecs::Service;
use crate::elbv2::LoadBalancer;
use crate::kms::Key;
use crate::rds::{ClusterInstance, Instance};
use crate::route53::{HealthCheck, HostedZone};
use crate::secretsmanager::Password;
use crate::wafv2::WebAcl;

/// The month of the prices.
pub const PRICED: &str = "November 2025";

/// The hours of a month, as AWS's calculator counts them.
const HOURS: u64 = 730;

/// Millionths of a dollar.
type Micros = u64;

/// The prices of database instances per hour, without those in several zones: Aurora (`aurora`), and RDS for PostgreSQL.
const CLASSES: &[(&str, Micros, Micros)] = &[
    ("db.r5.large", 290_000, 250_000),
    ("db.r5.xlarge", 580_000, 500_000),
    ("db.r5.2xlarge", 1_160_000, 1_000_000),
    ("db.r5.4xlarge", 2_320_000, 2_000_000),
    ("db.r6g.large", 260_000, 225_000),
    ("db.r6g.xlarge", 519_000, 450_000),
    ("db.r6g.2xlarge", 1_038_000, 899_000),
    ("db.r6g.4xlarge", 2_076_000, 1_798_000),
    ("db.t3.micro", 0, 18_000),
    ("db.t3.small", 0, 36_000),
    ("db.t3.medium", 82_000, 72_000),
    ("db.t3.large", 164_000, 145_000),
    ("db.t4g.micro", 0, 16_000),
    ("db.t4g.small", 0, 32_000),
    ("db.t4g.medium", 73_000, 65_000),
    ("db.t4g.large", 146_000, 129_000),
];

/// The estimated cost of a resource per month in millionths of a dollar. `refers` finds the arguments of a resource to which an
/// argument refers. `None` if it costs something that is not known here: an instance of another class.
///
/// Kinds that cost nothing, or only by use, cost 0.
#[must_use]
pub fn monthly<'a>(kind: &str, args: &'a Value, refers: impl Fn(&'a Value) -> Option<&'a Value>) -> Option<Micros> {
    let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default();
    let count = |name: &str| match args.get(name) {
        Some(Value::Array(items)) => items.len() as u64,
        Some(Value::Object(members)) => members.len() as u64,
        _ => 0,
    };
    let hourly = |price: Micros| Some(price * HOURS);
    match kind {
        Eip::KIND => hourly(5_000),
        NatGateway::KIND => hourly(45_000),
        TransitGatewayVpcAttachment::KIND | TransitGatewayPeering::KIND | TransitGatewayPeeringAccepter::KIND => {
            hourly(50_000)
        }
        VpcEndpoint::KIND if is_interface(args) => hourly(10_000 * count("subnets")),
        LoadBalancer::KIND => hourly(22_500),
        ClusterInstance::KIND => hourly(class(text("class"))?.0),
        Instance::KIND => {
            let zones = if args.get("multi_az").and_then(Value::as_bool) == Some(true) { 2 } else { 1 };
            hourly(class(text("class"))?.1 * zones)
        }
        Service::KIND => {
            let task = refers(args.get("task_definition")?)?;
            let number = |name: &str| task.get(name).and_then(Value::as_u64);
            let (vcpu, gibibyte) = match task.get("architecture").and_then(Value::as_str) {
                Some("ARM64") => (32_380, 3_560),
                _ => (40_480, 4_445),
            };
            let tasks = args.get("count")?.as_object()?.values().find_map(Value::as_u64)?;
            hourly((number("cpu")? * vcpu + number("memory")? * gibibyte) * tasks / 1_024)
        }
        Key::KIND => Some(1_000_000),
        Password::KIND => Some(400_000),
        HostedZone::KIND => Some(500_000),
        // With HTTPS, and every ten seconds: each is an option with a price of its own.
        HealthCheck::KIND => {
            let is_fast = args.get("request_interval").and_then(Value::as_u64) == Some(10);
            Some(if is_fast { 2_500_000 } else { 1_500_000 })
        }
        Alarm::KIND => Some(100_000),
        CompositeAlarm::KIND => Some(500_000),
        Dashboard::KIND => Some(3_000_000),
        WebAcl::KIND => Some(5_000_000 + 1_000_000 * count("rules")),
        _ => Some(0),
    }
}

fn is_interface(args: &Value) -> bool {
    args.get("kind").is_some_and(|kind| serde_json::to_value(EndpointType::Interface).is_ok_and(|it| it == *kind))
}

/// The prices of an instance class: in an Aurora cluster, and alone.
fn class(name: &str) -> Option<(Micros, Micros)> {
    CLASSES.iter().find(|row| row.0 == name).map(|row| (row.1, row.2))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_resource_costs_what_it_is_made_of() {
        let alone = |kind, args: Value| monthly(kind, &args, |_| None);
        assert_eq!(alone(NatGateway::KIND, json!({})), Some(32_850_000));
        let endpoint = |kind| json!({ "kind": kind, "subnets": ["a", "b", "c"] });
        let kind = |kind: EndpointType| serde_json::to_value(kind).unwrap_or_default();
        assert_eq!(alone(VpcEndpoint::KIND, endpoint(kind(EndpointType::Interface))), Some(21_900_000));
        assert_eq!(alone(VpcEndpoint::KIND, endpoint(kind(EndpointType::Gateway))), Some(0));
        let instance = |class, multi_az| json!({ "class": class, "multi_az": multi_az });
        assert_eq!(alone(ClusterInstance::KIND, instance("db.r6g.large", false)), Some(189_800_000));
        assert_eq!(alone(Instance::KIND, instance("db.t3.micro", true)), Some(26_280_000));
        assert_eq!(alone(Instance::KIND, instance("db.x9.huge", true)), None);
        let task = json!({ "cpu": 512, "memory": 1024, "architecture": "X86_64" });
        let service = json!({ "task_definition": "t", "count": { "initial": 2 } });
        assert_eq!(monthly(Service::KIND, &service, |_| Some(&task)), Some((20_240 + 4_445) * 2 * HOURS));
        assert_eq!(alone("iam.role", json!({})), Some(0));
    }
}
