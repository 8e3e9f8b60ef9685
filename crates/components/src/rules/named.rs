//! Every name includes the suffix, and the workspace if the stack's names have it.

use payinfra_aws::apigateway::{DomainName, Model, RequestValidator, Stage};
use payinfra_aws::apigatewayv2;
use payinfra_aws::ecs::TaskDefinition;
use payinfra_aws::elbv2::{LoadBalancer, TargetGroup};
use payinfra_aws::eventbridge::Target;
use payinfra_aws::lambda::Alias;
use payinfra_aws::route53::{Delegation, HostedZone, RecordSet};
use payinfra_engine::{Address, Graph, Resource, Result};
use serde_json::Value;

use payinfra_stack::{Names, Rule, Violation};

pub(super) const RULE: Rule = Rule { name: "named", about: "every name includes the workspace and the suffix", check };

/// The field with the name of a kind.
fn field(kind: &str) -> &'static str {
    if kind == TaskDefinition::KIND { "family" } else { "name" }
}

/// Kinds whose names are determined elsewhere, and why.
const GIVEN: [(&str, &str); 10] = [
    (Alias::KIND, "it is a name within its function"),
    (DomainName::KIND, "it is the service's name, which begins with one of ours"),
    (Model::KIND, "it is a name within its API"),
    (RequestValidator::KIND, "it is a name within its API"),
    (Stage::KIND, "it is a part of the API's paths"),
    (apigatewayv2::Stage::KIND, "it is a part of the API's paths"),
    (Delegation::KIND, "it is the organisation's domain"),
    (HostedZone::KIND, "it is the organisation's domain"),
    (RecordSet::KIND, "those that validate certificates are AWS's"),
    (Target::KIND, "it is a name within its rule"),
];
/// Kinds whose names may be too short for the workspace.
const SHORT: [&str; 2] = [LoadBalancer::KIND, TargetGroup::KIND];

#[expect(clippy::unnecessary_wraps, reason = "the signature of all rules")]
fn check(graph: &Graph, names: &Names) -> Result<Vec<Violation>> {
    let mark = names.mark();
    let suffix = format!("-{}", names.suffix());
    let mut found: Vec<(&Address, &str)> = Vec::new();
    for (address, node) in graph.nodes().iter().filter(|(_, node)| !node.lookup) {
        if let Some(tags) = node.args.get("tags") {
            let name = tags.get("Name").and_then(Value::as_str).unwrap_or_default();
            found.extend((!name.contains(mark)).then_some((address, name)));
        }
        if GIVEN.iter().any(|(kind, _)| *kind == &*address.kind) {
            continue;
        }
        let short = SHORT.contains(&&*address.kind);
        let own = node.args.get(field(&address.kind)).and_then(Value::as_str);
        found.extend(
            own.filter(|name| !(name.contains(mark) || short && name.ends_with(&suffix))).map(|it| (address, it)),
        );
    }
    let say =
        |(address, name): &(&Address, &str)| Violation::new(address, format!("is named `{name}`, without `{mark}`"));
    Ok(found.iter().map(say).collect())
}
