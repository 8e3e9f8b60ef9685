//! Every taggable resource has the required tags and the owner tags (X-02, M-05), and only tags that all services
//! accept.

use payinfra_aws::catalog;
use payinfra_engine::{Error, Graph, Owner, Result, Tags};

use payinfra_stack::tags::{self, REQUIRED};
use payinfra_stack::{Names, Rule, Violation};

pub(super) const RULE: Rule = Rule { name: "tagged", about: "every resource has the required tags", check };

const OWNER: [&str; 3] = [Owner::ADDRESS, Owner::STACK, Owner::WORKSPACE];

fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let catalog = catalog();
    let mut broken = Vec::new();
    for (address, node) in graph.nodes().iter().filter(|(_, node)| !node.lookup) {
        let Some(tags) = node.args.get("tags") else { continue };
        let own = graph.tags.iter().map(|(key, _)| key).filter(|key| !REQUIRED.contains(key));
        for key in REQUIRED.into_iter().chain(own).chain(OWNER) {
            if tags.get(key).and_then(|value| value.as_str()).is_none_or(str::is_empty) {
                broken.push(Violation::new(address, format!("lacks the tag `{key}`")));
            }
        }
        let tags: Tags = serde_json::from_value(tags.clone())
            .map_err(|error| Error::failed(format!("the tags of {address}: {error}")))?;
        for (key, value) in tags.iter() {
            let wrong = tags::wrong(key, tags::KEY).or_else(|| tags::wrong(value, tags::VALUE));
            broken.extend(wrong.map(|(wrong, _)| Violation::new(address, format!("has a tag that {wrong}: `{key}`"))));
        }
        // The lineage is added when the graph is planned.
        let count = tags.iter().count() + 1;
        let most = catalog.kind(&address.kind).map_or(tags::MOST, |kind| kind.spec().most_tags);
        if count > most {
            broken.push(Violation::new(address, format!("has {count} tags, but AWS accepts at most {most}")));
        }
    }
    Ok(broken)
}
