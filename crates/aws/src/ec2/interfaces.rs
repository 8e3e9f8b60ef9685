//! The network interfaces that keep a subnet or a security group in use. Lambda releases those of a function up to 40 minutes
//! after its delete (AWS-FACTS §1.6).

use std::time::Duration;

use aws_sdk_ec2::types::{Filter, NetworkInterface};
use payinfra_engine::{Class, Result};

use crate::{Cx, Explain};

/// The time limit for a delete of what they use: 35 minutes are the 99th percentile for those of Lambda.
pub(super) const TIMEOUT: Duration = Duration::from_mins(45);

/// The maximum number of interfaces that a message names.
const NAMED: usize = 3;

/// The result of a delete. If it is rejected because something is in use, the error names the interfaces that `of` finds.
pub(super) async fn named(cx: &Cx, of: Filter, deleted: Result<()>) -> Result<()> {
    let Err(error) = deleted else { return Ok(()) };
    if !error.is(Class::Conflict) {
        return Err(error);
    }
    // Who may delete may not be allowed to look; the error is then as good as AWS's.
    let found = cx.ec2().describe_network_interfaces().filters(of).send().await.explain();
    let found = found.ok().and_then(|found| found.network_interfaces).unwrap_or_default();
    Err(match listed(&found) {
        Some(listed) => error.at(listed),
        None => error,
    })
}

fn listed(interfaces: &[NetworkInterface]) -> Option<String> {
    let named = interfaces.iter().take(NAMED).map(|interface| {
        let id = interface.network_interface_id().unwrap_or("without an id");
        match interface.description().filter(|description| !description.is_empty()) {
            Some(description) => format!("{id} ({description})"),
            None => id.to_owned(),
        }
    });
    let named: Vec<_> = named.collect();
    let rest = interfaces.len().saturating_sub(NAMED);
    match (&named[..], rest) {
        ([], _) => None,
        ([one], _) => Some(format!("in use by the network interface {one}")),
        (some, 0) => Some(format!("in use by the network interfaces {}", some.join(", "))),
        (some, rest) => Some(format!("in use by the network interfaces {} and {rest} more", some.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use payinfra_engine::Resource as _;

    use super::*;
    use crate::ec2::{SecurityGroup, Subnet};

    #[test]
    fn interfaces_are_named_with_what_they_belong_to() {
        let interface = |id: &str, description: &str| {
            NetworkInterface::builder().network_interface_id(id).description(description).build()
        };
        let lambda = interface("eni-1", "AWS Lambda VPC ENI-payment-demo1-processor");
        assert_eq!(listed(&[]), None);
        assert_eq!(
            listed(std::slice::from_ref(&lambda)).as_deref(),
            Some("in use by the network interface eni-1 (AWS Lambda VPC ENI-payment-demo1-processor)")
        );
        let many = [interface("eni-2", ""), interface("eni-3", ""), interface("eni-4", ""), lambda];
        assert_eq!(listed(&many[..2]).as_deref(), Some("in use by the network interfaces eni-2, eni-3"));
        assert_eq!(listed(&many).as_deref(), Some("in use by the network interfaces eni-2, eni-3, eni-4 and 1 more"));
    }

    #[test]
    fn what_they_use_is_waited_for() {
        assert_eq!((SecurityGroup::TIMEOUT, Subnet::TIMEOUT), (TIMEOUT, TIMEOUT));
    }
}
