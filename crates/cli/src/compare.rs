//! Structured differences between two values: only what differs, and all of it.

mod likeness;

use std::collections::BTreeSet;

use payinfra_engine::secret::is_secret;
use serde_json::{Map, Value};

use self::likeness::pairs;
use crate::value_view::text;

/// The most characters of an item that is easier to read as a whole.
const SHORT: usize = 100;

/// How a value differs from another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edit {
    /// It does not exist before.
    Added(Value),
    /// It does not exist afterwards.
    Removed(Value),
    /// It is another value.
    Changed(Value, Value),
    /// It is another text.
    Text(String, String),
    /// It is another secret.
    Secret,
    /// These members differ, by key.
    Members(Vec<(String, Self)>),
    /// It is a list.
    Items(Items),
    /// It is a string that holds a JSON document.
    Document(Box<Self>),
}

/// The differences of a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Items {
    /// The items that differ. Those that exist before and afterwards have a label.
    pub(crate) edits: Vec<(String, Edit)>,
    /// The items whose order differs, before and afterwards.
    pub(crate) order: Option<(Vec<String>, Vec<String>)>,
    /// The number of items that do not differ.
    pub(crate) same: usize,
}

/// Which value leaves unmanaged members out, with null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    /// The old value, such as the last applied one.
    Old,
    /// The new value, such as the declared one.
    New,
    /// Neither: null is a value.
    Neither,
}

/// How `new` differs from `old`, both without references; `None` if it does not.
pub(crate) fn compare(old: &Value, new: &Value, declared: Declared) -> Option<Edit> {
    match (old, new) {
        (old, new) if old == new => None,
        (Value::Null, new) => Some(Edit::Added(new.clone())),
        (old, Value::Null) => Some(Edit::Removed(old.clone())),
        (old, new) if is_secret(old) && is_secret(new) => Some(Edit::Secret),
        (old, new) if is_secret(old) || is_secret(new) => Some(Edit::Changed(old.clone(), new.clone())),
        (Value::Object(before), Value::Object(after)) => {
            let edits = members(before, after, declared);
            (!edits.is_empty()).then_some(Edit::Members(edits))
        }
        (Value::Array(before), Value::Array(after)) => items(before, after, declared).map(Edit::Items),
        (Value::String(before), Value::String(after)) => {
            let both = (document(before), document(after));
            let (Some(one), Some(other)) = both else { return Some(Edit::Text(before.clone(), after.clone())) };
            // Two documents with the same meaning differ as texts.
            let edit = compare(&one, &other, Declared::Neither);
            Some(edit.map_or_else(|| Edit::Text(before.clone(), after.clone()), |edit| Edit::Document(Box::new(edit))))
        }
        (old, new) => Some(Edit::Changed(old.clone(), new.clone())),
    }
}

/// The JSON document in a string.
pub(crate) fn document(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    (value.is_object() || value.is_array()).then_some(value)
}

fn members(before: &Map<String, Value>, after: &Map<String, Value>, declared: Declared) -> Vec<(String, Edit)> {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let edit = |key: &String| {
        let (old, new) = (before.get(key), after.get(key));
        let is_unmanaged = match declared {
            Declared::Old => old.is_some_and(Value::is_null),
            Declared::New => new.is_some_and(Value::is_null),
            Declared::Neither => return strict(old, new).map(|edit| (key.clone(), edit)),
        };
        let (old, new) = (old.unwrap_or(&Value::Null), new.unwrap_or(&Value::Null));
        if is_unmanaged { None } else { compare(old, new, declared).map(|edit| (key.clone(), edit)) }
    };
    keys.into_iter().filter_map(edit).collect()
}

/// A comparison in which an absent member differs from null.
fn strict(old: Option<&Value>, new: Option<&Value>) -> Option<Edit> {
    match (old, new) {
        (None, Some(new)) => Some(Edit::Added(new.clone())),
        (Some(old), None) => Some(Edit::Removed(old.clone())),
        (old, new) if old.is_some_and(Value::is_null) != new.is_some_and(Value::is_null) => {
            Some(Edit::Changed(old?.clone(), new?.clone()))
        }
        (old, new) => compare(old?, new?, Declared::Neither),
    }
}

fn items(before: &[Value], after: &[Value], declared: Declared) -> Option<Items> {
    let paired = pairs(before, after, declared);
    let (mut edits, mut same, mut kept) = (Vec::new(), 0, Vec::new());
    for (index, gone) in before.iter().enumerate() {
        if !paired.iter().any(|pair| pair.old == index) {
            edits.push((String::new(), Edit::Removed(gone.clone())));
        }
    }
    for (index, come) in after.iter().enumerate() {
        let Some(pair) = paired.iter().find(|pair| pair.new == index) else {
            edits.push((String::new(), Edit::Added(come.clone())));
            continue;
        };
        let edit = compare(&before[pair.old], come, declared);
        // An item that changes may have another place in a set.
        if edit.is_none() || (pair.is_by_key && declared == Declared::Neither) {
            kept.push(pair);
        }
        match edit {
            Some(_) if !pair.is_by_key && is_short(&before[pair.old]) && is_short(come) => {
                edits.push((String::new(), Edit::Removed(before[pair.old].clone())));
                edits.push((String::new(), Edit::Added(come.clone())));
            }
            Some(edit) => edits.push((pair.label.clone(), edit)),
            None => same += 1,
        }
    }
    let label = |pair: &&likeness::Pair| if pair.is_by_key { pair.label.clone() } else { text(&after[pair.new]) };
    let order = (!kept.is_sorted_by_key(|pair| pair.old)).then(|| {
        let mut was = kept.clone();
        was.sort_by_key(|pair| pair.old);
        let moved: Vec<_> = was.iter().zip(&kept).map(|(was, is)| was.old != is.old).collect();
        let first = moved.iter().position(|moved| *moved).unwrap_or_default();
        let last = moved.iter().rposition(|moved| *moved).unwrap_or_default();
        (was[first..=last].iter().map(label).collect(), kept[first..=last].iter().map(label).collect())
    });
    (!edits.is_empty() || order.is_some()).then_some(Items { edits, order, same })
}

/// Whether an item is easier to read as a whole than part by part, such as the rule of a security group.
pub(crate) fn is_short(item: &Value) -> bool {
    text(item).chars().count() <= SHORT
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(edit: &Edit) -> Vec<String> {
        let nested = |label: &str, edit: &Edit| paths(edit).into_iter().map(|rest| format!("{label}.{rest}")).collect();
        match edit {
            Edit::Added(value) => vec![format!("+{}", text(value))],
            Edit::Removed(value) => vec![format!("-{}", text(value))],
            Edit::Changed(old, new) => vec![format!("{}→{}", text(old), text(new))],
            Edit::Text(old, new) => vec![format!("{old}→{new}")],
            Edit::Secret => vec!["secret".to_owned()],
            Edit::Members(members) => members.iter().flat_map(|(key, edit)| -> Vec<_> { nested(key, edit) }).collect(),
            Edit::Document(edit) => nested("json", edit),
            Edit::Items(items) => {
                let edits = items.edits.iter().flat_map(|(label, edit)| -> Vec<_> { nested(label, edit) });
                let order = items.order.iter().map(|(was, is)| format!("{}→{}", was.join(","), is.join(",")));
                edits.chain(order).collect()
            }
        }
    }

    #[test]
    fn only_what_differs_is_found() {
        let statement = |sid: &str, actions: &[&str]| json!({ "sid": sid, "effect": "Allow", "actions": actions });
        let widgets = |period: u32| {
            let metrics =
                ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "LoadBalancer", "app/payments/0123456789abcdef"];
            let widget = |title: &str, period| json!({ "metrics": metrics, "title": title, "period": period });
            json!({ "widgets": [widget("a", 60), widget("b", period), widget("c", 60)] }).to_string()
        };
        for (old, new, expected) in [
            (json!(1), json!(1), vec![]),
            (json!(null), json!([]), vec!["+[]"]),
            (json!({ "a": 1, "b": 2 }), json!({ "b": 3, "c": 4 }), vec!["a.-1", "b.2→3", "c.+4"]),
            (json!({ "$hash": "1" }), json!({ "$hash": "2" }), vec!["secret"]),
            (
                json!([statement("Read", &["a", "b"]), statement("Write", &["c"])]),
                json!([statement("Read", &["a", "d"]), statement("Write", &["c"])]),
                vec!["Read.actions..-b", "Read.actions..+d"],
            ),
            (json!(["a", "a", "b"]), json!(["a", "b"]), vec![".-a"]),
            (json!(["a", "b", "c", "d"]), json!(["a", "c", "b", "d"]), vec!["b,c→c,b"]),
            (json!(widgets(60)), json!(widgets(300)), vec!["json.widgets.1.period.60→300"]),
            (json!("{\"a\":1}"), json!("{ \"a\": 1 }"), vec!["{\"a\":1}→{ \"a\": 1 }"]),
            (json!("{\"a\":null}"), json!("{\"a\":1}"), vec!["json.a.(none)→1"]),
            (json!([{ "name": "a", "size": 1 }]), json!([{ "name": "a", "size": null }]), vec![]),
        ] {
            let found = compare(&old, &new, Declared::New).map(|edit| paths(&edit)).unwrap_or_default();
            assert_eq!(found, expected, "{old} → {new}");
        }
        let drifted = compare(&json!([{ "a": null }]), &json!([{ "a": 1 }]), Declared::Old);
        assert_eq!(drifted, None, "it is unmanaged");
    }
}
