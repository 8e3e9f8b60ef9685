//! Every taggable resource carries the required tags and its owner's (X-02, M-05).

use payinfra_engine::{Graph, Owner, Result};

use super::{Rule, Violation, violation};
use crate::names::Names;
use crate::tags::REQUIRED;

pub(super) const RULE: Rule = Rule { name: "tagged", about: "every resource carries the required tags", check };

const OWNER: [&str; 3] = [Owner::ADDRESS, Owner::STACK, Owner::WORKSPACE];

#[expect(clippy::unnecessary_wraps, reason = "the form of a rule, and others read the graph's kinds")]
fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let mut broken = Vec::new();
    for (address, node) in graph.nodes().iter().filter(|(_, node)| !node.lookup) {
        let Some(tags) = node.args.get("tags") else { continue };
        for key in REQUIRED.iter().chain(&OWNER) {
            if tags.get(key).and_then(|value| value.as_str()).is_none_or(str::is_empty) {
                broken.push(violation(address, format!("lacks the tag `{key}`")));
            }
        }
    }
    Ok(broken)
}
