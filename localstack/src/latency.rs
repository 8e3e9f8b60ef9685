//! How long AWS takes: for an answer, and until what was created can be used.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    action::{Protocol, Request},
    answer::Answer,
    fault::matches,
    resource::{Created, ec2_kind},
    window::visit_json,
    xml::Element,
};

/// Median seconds until AWS answers: service, operations, seconds. The first row that fits counts.
const ANSWERS: &[(&str, &str, f64)] = &[
    ("acm", "*", 0.3),
    ("apigateway", "*", 0.4),
    ("dynamodb", "*Item*", 0.01),
    ("ec2", "CreateVpc", 1.0),
    ("ec2", "CreateSubnet", 1.0),
    ("ec2", "Describe*", 0.3),
    ("ec2", "*", 0.5),
    ("ecs", "CreateCluster", 1.5),
    ("ecs", "*", 0.5),
    ("elasticloadbalancing", "Create*", 0.8),
    ("iam", "CreateRole", 0.7),
    ("iam", "*", 0.2),
    ("kms", "CreateKey", 2.0),
    ("kms", "CreateAlias", 1.0),
    ("kms", "*", 0.1),
    ("lambda", "CreateFunction", 2.0),
    ("rds", "Describe*", 0.5),
    ("rds", "*", 2.0),
    ("s3", "CreateBucket", 1.2),
    ("s3", "*Object*", 0.05),
    ("s3", "*", 0.4),
    ("wafv2", "CreateWebACL", 1.5),
];

/// What every other call takes.
const ANSWER: f64 = 0.3;

/// A status that AWS goes through before something can be used.
struct Pending {
    service: &'static str,
    create: &'static str,
    /// The element or key that holds the status.
    field: &'static str,
    /// The status at first, and the one that it hides.
    first: &'static str,
    last: &'static str,
    seconds: f64,
}

macro_rules! pending {
    ($($service:literal $create:literal $field:literal $first:literal $last:literal $seconds:literal)*) => {
        &[$(Pending { service: $service, create: $create, field: $field, first: $first, last: $last, seconds: $seconds }),*]
    };
}

/// Median seconds until something that was created can be used.
const PENDING: &[Pending] = pending![
    "dynamodb" "CreateTable" "TableStatus" "CREATING" "ACTIVE" 8.0
    "ec2" "CreateNatGateway" "state" "pending" "available" 105.0
    "ec2" "CreateSubnet" "state" "pending" "available" 1.5
    "ec2" "CreateTransitGateway" "state" "pending" "available" 120.0
    "ec2" "CreateTransitGatewayRouteTable" "state" "pending" "available" 10.0
    "ec2" "CreateTransitGatewayVpcAttachment" "state" "pending" "available" 75.0
    "ec2" "CreateVpc" "state" "pending" "available" 2.0
    "ec2" "CreateVpcEndpoint" "state" "pending" "available" 75.0
    "elasticloadbalancing" "CreateLoadBalancer" "Code" "provisioning" "active" 120.0
    "lambda" "CreateFunction" "State" "Pending" "Active" 3.0
    "rds" "CreateDBCluster" "Status" "creating" "available" 60.0
    "rds" "CreateDBInstance" "DBInstanceStatus" "creating" "available" 330.0
    "rds" "CreateGlobalCluster" "Status" "creating" "available" 15.0
];

/// Keeps what was created from being ready too soon.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    /// By id: the row, and when it is ready.
    pending: Mutex<HashMap<String, (usize, Instant)>>,
}

impl Latency {
    /// How long the answer to a request takes.
    pub(crate) fn of(request: &Request, scale: f64) -> Duration {
        let row = ANSWERS
            .iter()
            .find(|(service, action, _)| *service == request.scope.service && matches(action, &request.action));
        Duration::try_from_secs_f64(row.map_or(ANSWER, |(_, _, seconds)| *seconds) * scale).unwrap_or_default()
    }

    /// Remembers what a call created, and shows as pending what is not ready yet.
    pub(crate) fn edit(&self, request: &Request, answer: &mut Answer, scale: f64) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let row = PENDING.iter().position(|row| row.service == request.scope.service && row.create == request.action);
        if let Some(row) = row {
            let ready = Instant::now() + Duration::try_from_secs_f64(PENDING[row].seconds * scale).unwrap_or_default();
            pending.extend(Created::by(request, answer).into_iter().map(|created| (created.id, (row, ready))));
        }
        let now = Instant::now();
        pending.retain(|_, (_, ready)| *ready > now);
        if pending.is_empty() || !answer.is_success() {
            return;
        }
        match request.protocol {
            Protocol::Ec2 | Protocol::Query => {
                let Some(mut root) = Element::parse(&answer.text()) else {
                    return;
                };
                root.visit(&mut |element| {
                    let own = |id: &str| is_about(request, id).then(|| pending.get(id)).flatten();
                    let row = element.elements().find_map(|child| own(&child.text())).map(|(row, _)| &PENDING[*row]);
                    let Some(row) = row.filter(|row| row.service == request.scope.service) else { return };
                    // A load balancer's status is one level deeper.
                    let nested = element
                        .children
                        .iter()
                        .any(|child| matches!(child, crate::xml::Node::Element(child) if child.name == "State"));
                    let holder = if nested { element.child_mut("State") } else { Some(element) };
                    let status = holder
                        .and_then(|holder| holder.child_mut(row.field))
                        .filter(|status| status.text() == row.last);
                    if let Some(status) = status {
                        status.set_text(row.first);
                    }
                });
                answer.body = Bytes::from(root.document());
            }
            Protocol::Json | Protocol::RestJson => {
                let Ok(mut value) = serde_json::from_slice::<Value>(&answer.body) else {
                    return;
                };
                visit_json(&mut value, &mut |value| {
                    let Some(fields) = value.as_object_mut() else {
                        return;
                    };
                    let row = fields
                        .values()
                        .filter_map(|field| pending.get(field.as_str()?))
                        .map(|(row, _)| &PENDING[*row])
                        .next();
                    let Some(row) = row.filter(|row| row.service == request.scope.service) else {
                        return;
                    };
                    if fields.get(row.field).is_some_and(|status| status == row.last) {
                        fields.insert(row.field.to_owned(), row.first.into());
                    }
                });
                answer.body = Bytes::from(value.to_string());
            }
            Protocol::RestXml | Protocol::S3 | Protocol::Cbor => {}
        }
    }

    /// Makes everything ready.
    pub(crate) fn clear(&self) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Whether an operation tells of the status of what an id names, and not only mentions it.
fn is_about(request: &Request, id: &str) -> bool {
    let action = request.action.as_str();
    ec2_kind(id).is_none_or(|kind| kind.describes.contains(&action) || kind.creates.contains(&action))
}
