//! What a JSON schema says about a value, through references and alternatives.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// The schemas in `root` that `here` may have.
pub(crate) fn unfolded<'a>(root: &'a Json, here: &'a Json) -> Vec<&'a Json> {
    if let Some(name) = here.get("$ref").and_then(Json::as_str) {
        return root.pointer(name.trim_start_matches('#')).map_or_else(Vec::new, |here| unfolded(root, here));
    }
    let alternatives = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|of| here.get(of)?.as_array()).flatten();
    let mut all: Vec<_> = alternatives.flat_map(|here| unfolded(root, here)).collect();
    all.push(here);
    all
}

/// The members that the value at `path` must have, if `member` is one of them. A step is a key or an index.
pub(crate) fn required<'a>(root: &'a Json, path: &[String], member: &str) -> BTreeSet<&'a str> {
    let here = path.iter().fold(unfolded(root, root), |here, step| {
        here.into_iter().filter_map(|here| child(here, step)).flat_map(|child| unfolded(root, child)).collect()
    });
    let lists = here.into_iter().filter_map(|here| here.get("required")?.as_array());
    let names = lists.map(|list| list.iter().filter_map(Json::as_str).collect::<BTreeSet<_>>());
    names.filter(|names| names.contains(member)).flatten().collect()
}

fn child<'a>(here: &'a Json, step: &str) -> Option<&'a Json> {
    let named = here.get("properties").and_then(|known| known.get(step));
    named.or_else(|| here.get("additionalProperties")).or_else(|| here.get("items"))
}
