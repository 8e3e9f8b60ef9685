//! Who gets or loses which permissions: the statements of policies, one by one.

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;
use payinfra_engine::{Action, Address, Step, Wanted};
use serde_json::Value;

use crate::screen::{CREATE, DELETE};
use crate::table::Row;
use crate::value_view::{holed, text};

/// The kind whose policies say what it may do itself.
const ROLE: &str = "iam.role";

/// One action that one principal may do on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Permission {
    effect: String,
    who: String,
    action: String,
    on: String,
    condition: String,
}

/// The rows for the changes of `step`.
pub(super) fn rows(address: &Address, step: &Step) -> Vec<Row> {
    let who = address.to_string();
    if step.action == Action::Delete && &*address.kind == ROLE {
        let cells = [vec![], vec![who], vec!["everything it may do today".to_owned()], vec![], vec![]];
        return vec![Row { sign: "-", style: DELETE, cells: cells.to_vec() }];
    }
    let (mut old, mut new) = (BTreeSet::new(), BTreeSet::new());
    for change in &step.changes {
        collect(&holed(&change.old), &change.path, address, &mut old);
        let wanted = match (&change.new, &change.partial) {
            (Wanted::Value(value), _) | (Wanted::Unknown, Some(value)) => value,
            _ => &Value::Null,
        };
        collect(&holed(wanted), &change.path, address, &mut new);
    }
    let removed = grouped(old.difference(&new), "-", DELETE);
    removed.into_iter().chain(grouped(new.difference(&old), "+", CREATE)).collect()
}

/// Adds the permissions in `value`, a field or a part of one.
fn collect(value: &Value, path: &str, address: &Address, found: &mut BTreeSet<Permission>) {
    let is_statement = |value: &Value| value.get("effect").is_some() && value.get("actions").is_some();
    match value {
        Value::Array(items) if &*address.kind == ROLE && path == "managed" => {
            found.extend(items.iter().map(|policy| Permission {
                effect: "Allow".to_owned(),
                who: address.to_string(),
                action: "managed policy".to_owned(),
                on: flat(policy),
                condition: String::new(),
            }));
        }
        Value::Array(items) if items.iter().all(is_statement) => {
            for statement in items {
                permissions(statement, address, found);
            }
        }
        Value::Object(members) => members.iter().for_each(|(key, value)| collect(value, key, address, found)),
        _ => {}
    }
}

fn permissions(statement: &Value, address: &Address, found: &mut BTreeSet<Permission>) {
    let here = address.to_string();
    let principals = statement.get("principals").and_then(Value::as_object).into_iter().flatten();
    let principal = |kind: &str, name: &str| match kind {
        "*" => "anyone".to_owned(),
        kind => format!("{kind} {name}"),
    };
    let principals =
        principals.flat_map(|(kind, names)| strings(names).into_iter().map(move |name| principal(kind, &name)));
    let principals: Vec<_> = principals.collect();
    // In the policy of a resource, `*` is that resource.
    let is_own = !principals.is_empty();
    let whos = if is_own { principals } else { vec![here.clone()] };
    let resources = strings(statement.get("resources").unwrap_or(&Value::Null));
    let ons = if resources.is_empty() || (is_own && resources == ["*"]) { vec![here] } else { resources };
    let condition = condition(statement.get("conditions").unwrap_or(&Value::Null));
    for who in &whos {
        for action in strings(statement.get("actions").unwrap_or(&Value::Null)) {
            for on in &ons {
                found.insert(Permission {
                    effect: statement.get("effect").map(flat).unwrap_or_default(),
                    who: who.clone(),
                    action: action.clone(),
                    on: on.clone(),
                    condition: condition.clone(),
                });
            }
        }
    }
}

/// The conditions of a statement, all of which have to hold.
fn condition(conditions: &Value) -> String {
    let operators = conditions.as_object().into_iter().flatten();
    let all = operators.flat_map(|(operator, keys)| {
        let keys = keys.as_object().into_iter().flatten();
        keys.map(move |(key, values)| format!("{key} {operator} {}", strings(values).join(" | ")))
    });
    all.collect::<Vec<_>>().join(", ")
}

/// Rows in which permissions share what is equal.
fn grouped<'a>(permissions: impl Iterator<Item = &'a Permission>, sign: &'static str, style: Style) -> Vec<Row> {
    let mut by_actions = BTreeMap::<_, BTreeSet<&str>>::new();
    for Permission { effect, who, action, on, condition } in permissions {
        by_actions.entry((effect, who, on, condition)).or_default().insert(action);
    }
    let mut by_resources = BTreeMap::<_, BTreeSet<&str>>::new();
    for ((effect, who, on, condition), actions) in by_actions {
        by_resources.entry((effect, who, actions, condition)).or_default().insert(on);
    }
    let mut by_principals = BTreeMap::<_, BTreeSet<&str>>::new();
    for ((effect, who, actions, condition), resources) in by_resources {
        by_principals.entry((effect, actions, resources, condition)).or_default().insert(who);
    }
    let lines = |values: BTreeSet<&str>| values.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let row = |((effect, actions, resources, condition), whos): ((&String, _, _, &String), _)| {
        let condition = condition.split(", ").filter(|it| !it.is_empty()).map(str::to_owned).collect();
        Row { sign, style, cells: vec![vec![effect.clone()], lines(whos), lines(actions), lines(resources), condition] }
    };
    by_principals.into_iter().map(row).collect()
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().map(flat).collect(),
        Value::Null => Vec::new(),
        value => vec![flat(value)],
    }
}

fn flat(value: &Value) -> String {
    value.as_str().map_or_else(|| text(value), str::to_owned)
}
