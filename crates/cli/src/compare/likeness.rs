//! Which item of a list is which item of another list: equal items, then those with the same key, then similar ones.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Declared, compare};
use crate::edit_view::tokens;

/// Members that identify an item among others, the most telling first.
const KEYS: [&str; 8] = ["sid", "Sid", "name", "Name", "id", "Id", "key", "Key"];

/// Lists with more pairs of remaining items are not searched for similar ones.
const MOST: usize = 10_000;

/// The least likeness of two items that are the same one.
const ENOUGH: f32 = 0.5;

/// The least length of strings that can be similar: an action or a CIDR block is another one if it differs.
const LONG: usize = 40;

/// An item that is in both lists.
pub(super) struct Pair {
    /// Its index in the old list.
    pub(super) old: usize,
    /// Its index in the new list.
    pub(super) new: usize,
    /// Its key or, without one, its index in the new list.
    pub(super) label: String,
    /// Whether it has a key.
    pub(super) is_by_key: bool,
}

/// The items that are in both lists.
pub(super) fn pairs(before: &[Value], after: &[Value], declared: Declared) -> Vec<Pair> {
    let key = KEYS.iter().find(|key| identifies(key, before) && identifies(key, after));
    let key_of = |value: &Value| key.and_then(|key| scalar(value.get(key)?));
    let mut found = Vec::<Pair>::new();
    let pair = |found: &mut Vec<Pair>, old: usize, new: usize| {
        let label = key_of(&after[new]);
        let is_by_key = label.is_some();
        found.push(Pair { old, new, label: label.unwrap_or_else(|| new.to_string()), is_by_key });
    };
    let open = |found: &[Pair], old: usize| !found.iter().any(|pair| pair.old == old);
    for (new, item) in after.iter().enumerate() {
        let is_same = |old: &usize| compare(&before[*old], item, declared).is_none() && open(&found, *old);
        if let Some(old) = (0..before.len()).find(is_same) {
            pair(&mut found, old, new);
        }
    }
    for (new, item) in after.iter().enumerate() {
        let Some(key) = key_of(item).filter(|_| !found.iter().any(|pair| pair.new == new)) else { continue };
        let has_key = |old: &usize| key_of(&before[*old]).as_ref() == Some(&key) && open(&found, *old);
        if let Some(old) = (0..before.len()).find(has_key) {
            pair(&mut found, old, new);
        }
    }
    if key.is_some() {
        return found;
    }
    let left: Vec<_> = (0..before.len()).filter(|old| open(&found, *old)).collect();
    let right: Vec<_> = (0..after.len()).filter(|new| !found.iter().any(|pair| pair.new == *new)).collect();
    if left.len() * right.len() > MOST {
        return found;
    }
    let pairs = left.iter().flat_map(|old| right.iter().map(move |new| (*old, *new)));
    let mut like: Vec<_> = pairs.map(|(old, new)| (likeness(&before[old], &after[new]), old, new)).collect();
    like.retain(|(likeness, ..)| *likeness >= ENOUGH);
    like.sort_by(|one, other| other.0.total_cmp(&one.0).then((one.1, one.2).cmp(&(other.1, other.2))));
    for (_, old, new) in like {
        if open(&found, old) && !found.iter().any(|pair| pair.new == new) {
            pair(&mut found, old, new);
        }
    }
    found
}

/// Whether every item has another value for `key`.
fn identifies(key: &str, items: &[Value]) -> bool {
    let mut seen = BTreeSet::new();
    items.iter().all(|item| item.get(key).and_then(scalar).is_some_and(|value| seen.insert(value)))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// How much of two values is equal: from 0, nothing, to 1.
fn likeness(one: &Value, other: &Value) -> f32 {
    match (one, other) {
        (one, other) if one == other => 1.0,
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            let member = |key: &String| Some(likeness(one.get(key)?, other.get(key)?));
            average(keys.len(), keys.into_iter().filter_map(member))
        }
        (Value::Array(one), Value::Array(other)) => {
            let same = one.iter().filter(|item| other.contains(item)).map(|_| 1.0);
            average(one.len().max(other.len()), same)
        }
        (Value::String(one), Value::String(other)) if one.len().min(other.len()) >= LONG => {
            let (one, other) = (tokens(one), tokens(other));
            let operations = similar::capture_diff_slices(similar::Algorithm::Myers, &one, &other);
            similar::get_diff_ratio(&operations, one.len(), other.len())
        }
        _ => 0.0,
    }
}

fn average(count: usize, parts: impl Iterator<Item = f32>) -> f32 {
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    parts.sum::<f32>() / f32::from(count.max(1))
}
