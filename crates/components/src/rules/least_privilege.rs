//! No policy allows all actions, an action on all resources, or access by everyone.

use payinfra_aws::ec2::VpcEndpoint;
use payinfra_aws::iam::Role;
use payinfra_aws::kms::Key;
use payinfra_aws::s3::Bucket;
use payinfra_aws::sns::Topic;
use payinfra_aws::{Effect, Policy};
use payinfra_engine::{Address, Graph, Resource, Result, Text};

use payinfra_stack::{Names, Rule, Violation};

use super::all;

pub(super) const RULE: Rule =
    Rule { name: "least-privilege", about: "no policy allows all actions, all resources, or everyone", check };

/// Kinds whose policies may have the resource `*`, and why.
const ON_EVERYTHING: [(&str, &str); 1] = [(Key::KIND, "in a key's policy `*` is the key itself")];

/// Actions that may be allowed on the resource `*`, and why.
const WITHOUT_RESOURCE: [(&str, &str); 7] = [
    ("ec2:AssignPrivateIpAddresses", LAMBDA),
    ("ec2:CreateNetworkInterface", LAMBDA),
    ("ec2:DeleteNetworkInterface", LAMBDA),
    ("ec2:DescribeNetworkInterfaces", LAMBDA),
    ("ec2:DescribeSubnets", LAMBDA),
    ("ec2:UnassignPrivateIpAddresses", LAMBDA),
    ("ecr:GetAuthorizationToken", "it signs in to the registry of the account, for which AWS has no resource"),
];
const LAMBDA: &str = "Lambda demands it on all resources before it creates a function in a VPC";

fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let mut policies: Vec<(Address, String, Policy)> = Vec::new();
    for (address, role) in all::<Role>(graph)? {
        policies.push((address.clone(), "the trust policy".to_owned(), role.trust));
        let inline = role.inline.into_iter();
        policies.extend(inline.map(|(name, policy)| (address.clone(), format!("the policy {name}"), policy)));
    }
    let one = |(address, policy): (Address, Option<Policy>)| Some((address, "the policy".to_owned(), policy?));
    policies.extend(all::<Key>(graph)?.into_iter().map(|(address, key)| (address, Some(key.policy))).filter_map(one));
    let topics = all::<Topic>(graph)?.into_iter().map(|(address, topic)| (address, Some(topic.policy)));
    policies.extend(topics.filter_map(one));
    policies.extend(all::<Bucket>(graph)?.into_iter().map(|(address, it)| (address, it.policy)).filter_map(one));
    policies.extend(all::<VpcEndpoint>(graph)?.into_iter().map(|(address, it)| (address, it.policy)).filter_map(one));
    Ok(policies.iter().flat_map(|(address, what, policy)| too_much(address, what, policy)).collect())
}

fn too_much(address: &Address, what: &str, policy: &Policy) -> Vec<Violation> {
    let mut broken = Vec::new();
    let excepted = ON_EVERYTHING.iter().any(|(kind, _)| *kind == &*address.kind);
    for statement in policy.statements().filter(|statement| statement.effect == Effect::Allow) {
        let mut say = |wrong: String| {
            broken.push(Violation::new(
                address,
                format!("is too permissive: {what}, statement {}, allows {wrong}", statement.sid),
            ));
        };
        for action in statement.actions.iter().filter(|action| *action == "*" || action.ends_with(":*")) {
            say(format!("the action `{action}`"));
        }
        let narrow = |action: &String| WITHOUT_RESOURCE.iter().any(|(excepted, _)| excepted == action);
        let excepted = excepted || statement.actions.iter().all(narrow);
        if !excepted && statement.resources.iter().any(any) {
            say("access to the resource `*`".to_owned());
        }
        if statement.principals.contains_key("*") || statement.principals.values().flatten().any(any) {
            say("access by everyone".to_owned());
        }
    }
    broken
}

fn any(text: &Text) -> bool {
    text.known().is_ok_and(|text| text == "*")
}
