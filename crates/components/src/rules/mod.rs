//! Rules for the graph of every stack: one file per rule, all of them in [`RULES`].

mod cidr_blocks;
mod encrypted;
mod encrypted_listeners;
mod least_privilege;
mod named;
mod private_buckets;
mod private_databases;
mod private_groups;
mod private_tasks;
mod tagged;

use payinfra_engine::{Address, Error, Graph, Resource, Result, Scope, Waiver};
use payinfra_stack::{Names, Rule, Violation};

/// The rules, sorted by name.
pub const RULES: &[Rule] = &[
    cidr_blocks::RULE,
    encrypted::RULE,
    encrypted_listeners::RULE,
    least_privilege::RULE,
    named::RULE,
    private_buckets::RULE,
    private_databases::RULE,
    private_groups::RULE,
    private_tasks::RULE,
    tagged::RULE,
];

/// Checks the rules of all stacks, and `more` of this one, except where the graph waives them.
///
/// # Errors
/// If a rule is violated, or a waiver covers no violation; the error lists all of both. A waiver without effect would
/// hide the next violation.
pub fn check(graph: &Graph, names: &Names, more: &[Rule]) -> Result<()> {
    let rules: Vec<&Rule> = RULES.iter().chain(more).collect();
    let (mut broken, mut unused) = (Vec::new(), graph.waivers().iter().collect::<Vec<_>>());
    for rule in &rules {
        for Violation { address, message } in (rule.check)(graph, names)? {
            let covers = |waiver: &Waiver| waiver.covers(rule.name, &address);
            unused.retain(|waiver| !covers(waiver));
            if !graph.waivers().iter().any(covers) {
                broken.push(format!("{address} {message} ({})", rule.name));
            }
        }
    }
    let mut hints = Vec::new();
    if !broken.is_empty() {
        hints.push(
            "this is an error in the stack, not in the configuration; fix the stack, or waive the rule there with a \
             reason"
                .to_owned(),
        );
    }
    if !unused.is_empty() {
        let names: Vec<_> = rules.iter().map(|rule| rule.name).collect();
        hints.push(format!("remove or correct the waivers; the rules are {}", names.join(", ")));
    }
    broken.extend(unused.into_iter().map(|waiver| without_effect(waiver, graph, &rules)));
    if broken.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(broken.join("\n")).hint(hints.join("; ")))
}

/// Why `waiver` covers no violation.
fn without_effect(waiver: &Waiver, graph: &Graph, rules: &[&Rule]) -> String {
    let why = match &waiver.at {
        _ if rules.iter().all(|rule| rule.name != waiver.rule) => "there is no such rule",
        Scope::Everywhere => "no resource violates the rule",
        Scope::Address(address) if !graph.nodes().contains_key(address) => "the address is not declared",
        Scope::Address(_) => "the resource does not violate the rule",
    };
    format!("{waiver} has no effect: {why}")
}

/// The resources of kind `R`.
fn all<R: Resource>(graph: &Graph) -> Result<Vec<(Address, R)>> {
    let nodes = graph.nodes().iter().filter(|(address, node)| *address.kind == *R::KIND && !node.lookup);
    let read = nodes.map(|(address, node)| {
        let resource = serde_json::from_value(node.args.clone());
        Ok((address.clone(), resource.map_err(|error| Error::failed(format!("{address}: {error}")))?))
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_sorted() {
        assert!(RULES.is_sorted_by_key(|rule| rule.name));
    }
}
