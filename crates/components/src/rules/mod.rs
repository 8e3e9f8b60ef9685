//! Rules for the graph of every stack: one file per rule, all of them in [`RULES`].

mod cidr_blocks;
mod encrypted;
mod encrypted_listeners;
mod least_privilege;
mod named;
mod private_buckets;
mod private_groups;
mod private_tasks;
mod tagged;

use payinfra_engine::{Address, Error, Graph, Resource, Result};
use payinfra_stack::{Names, Rule};

/// The rules, sorted by name.
pub const RULES: &[Rule] = &[
    cidr_blocks::RULE,
    encrypted::RULE,
    encrypted_listeners::RULE,
    least_privilege::RULE,
    named::RULE,
    private_buckets::RULE,
    private_groups::RULE,
    private_tasks::RULE,
    tagged::RULE,
];

/// Checks the rules of all stacks, and `more` of this one.
///
/// # Errors
/// If a rule is violated; the error lists all violations with their addresses.
pub fn check(graph: &Graph, names: &Names, more: &[Rule]) -> Result<()> {
    let mut broken = Vec::new();
    for rule in RULES.iter().chain(more) {
        let violations = (rule.check)(graph, names)?;
        broken.extend(violations.into_iter().map(|it| format!("{} {} ({})", it.address, it.message, rule.name)));
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(broken.join("\n"))
        .hint("this is an error in the stack, not in the configuration; fix the stack"))
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
