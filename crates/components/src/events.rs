//! Event rules that send events to a topic, as sentences.

use std::collections::BTreeMap;

use payinfra_aws::eventbridge::{On, Rule, Target, Transform};
use payinfra_aws::sns::Topic;
use payinfra_engine::{Graph, Node, Result, Secret};
use payinfra_stack::Site;
use serde_json::Value;

/// Which events to send, and as what text.
#[derive(Clone, Debug)]
pub struct Alert<'a> {
    /// The name of the rule.
    pub name: &'a str,
    /// Which events these are.
    pub description: &'a str,
    /// The event pattern; it may contain references.
    pub pattern: Value,
    /// The values in the text: their names, and their JSON paths in the event.
    pub paths: &'a [(&'a str, &'a str)],
    /// The text, a JSON string with the names of values in angle brackets.
    pub text: &'a str,
}

/// Declares a rule that sends events to `topic`.
///
/// # Errors
/// If the region has a rule of that name already.
pub fn alert(graph: &mut Graph, site: &Site<'_>, topic: &Node<Topic>, alert: Alert<'_>) -> Result<Node<Rule>> {
    let rule = Rule {
        name: site.names.name(alert.name),
        description: alert.description.to_owned(),
        on: On::Event(alert.pattern),
        enabled: true,
        tags: site.named(alert.name),
    };
    let rule = graph.add(site.region(), alert.name, rule)?;
    let paths = alert.paths.iter().map(|&(name, path)| (name.to_owned(), path.to_owned()));
    let template = Secret::new(alert.text.to_owned());
    let transform = Transform { paths: paths.collect::<BTreeMap<_, _>>(), template };
    let target = Target {
        rule: rule.id.clone(),
        name: "alarms".to_owned(),
        arn: topic.outputs.arn.clone(),
        transform: Some(transform),
    };
    graph.add(site.region(), alert.name, target)?;
    Ok(rule)
}
