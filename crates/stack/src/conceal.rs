//! Makes a value secret wherever a sensitive variable affects it: where another value of the variable changes the
//! graph.

use std::collections::BTreeSet;

use payinfra_engine::secret::is_secret;
use payinfra_engine::{Address, Declared, Error, Graph, Result};
use serde_json::Value;

use crate::configuration::{Configuration, SensitiveVariable};
use crate::names::AccountId;
use crate::workspace::Workspace;

/// The desired state of `workspace` in `account`, in which all values are secret that sensitive variables affect.
/// `accepts` says whether the kind of an address accepts these arguments with their secrets.
///
/// # Errors
/// If the workspace is not declared or cannot be built, or a variable affects something that AWS shows: a name, a tag, an
/// id.
pub fn build(
    configuration: &Configuration,
    workspace: &str,
    account: &AccountId,
    accepts: &dyn Fn(&Address, &Value) -> bool,
) -> Result<Graph> {
    let workspace = configuration.workspace(workspace).map_err(|error| *error)?;
    let (sensitive, source_name) = (configuration.sensitive(&workspace.name), &configuration.source_name);
    let build = |workspace: &Workspace| configuration.stack.build(workspace, account);
    let values: Vec<String> = sensitive.iter().flat_map(SensitiveVariable::clear).cloned().collect();
    let open = build(workspace).map_err(|error| error.without(&values))?;
    let mut graph = open.clone();
    for variable in sensitive {
        let others: Vec<Graph> = variable.varied.iter().filter_map(|varied| build(varied).ok()).collect();
        let impossible = |why: &str| {
            let (path, name) = (&variable.path, &workspace.name);
            Error::invalid(format!("{source_name}: `{path}` of workspace `{name}` cannot be sensitive: {why}"))
                .hint("remove it from `sensitive`; store secrets in Secrets Manager")
        };
        if others.is_empty() && !variable.varied.is_empty() {
            return Err(impossible("it has only a few possible values"));
        }
        for other in &others {
            for place in places(&open, other) {
                place.conceal(&mut graph, accepts).map_err(|why| impossible(&why))?;
            }
        }
    }
    Ok(graph)
}

/// A place in the graph that a variable affects.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A value in the arguments.
    Argument(Address, Vec<String>),
    /// A value among the outputs.
    Output(String),
    /// Something that AWS shows, or that decides which resources exist.
    Shown(String),
}

impl Place {
    /// Makes the place secret, or returns why that is impossible.
    fn conceal(&self, graph: &mut Graph, accepts: &dyn Fn(&Address, &Value) -> bool) -> Result<(), String> {
        match self {
            Self::Output(name) => graph.conceal_output(name),
            Self::Shown(what) => return Err(what.clone()),
            Self::Argument(address, path) => {
                if path.first().is_some_and(|first| first == "tags") {
                    return Err(format!("it affects the tag `{}` of {address}", path[1..].join(".")));
                }
                graph.conceal(address, path);
                if !accepts(address, &graph.nodes()[address].args) {
                    let what = path.join(".");
                    let of = if what == "name" {
                        format!("the name of {address}")
                    } else {
                        format!("`{what}` of {address}")
                    };
                    return Err(format!("it affects {of}, which AWS shows"));
                }
            }
        }
        Ok(())
    }
}

fn places(one: &Graph, other: &Graph) -> BTreeSet<Place> {
    let mut found = BTreeSet::new();
    let shown = |what: String| Place::Shown(what);
    for (key, value) in one.tags.iter() {
        if other.tags.get(key) != Some(value) {
            found.insert(shown(format!("it affects the tag `{key}` of every resource")));
        }
    }
    for (address, node) in one.nodes() {
        let Some(varied) = other.nodes().get(address) else {
            found.insert(shown(format!("it affects the name or the existence of {address}")));
            continue;
        };
        // An initial operational value is one of the arguments, which are compared below.
        let mut args = Declared { args: varied.args.clone(), ..node.clone() };
        if args.operational.keys().eq(varied.operational.keys()) {
            args.operational.clone_from(&varied.operational);
        }
        if args != *varied {
            found.insert(shown(format!("it affects the settings of {address} in payinfra")));
        }
        walk(&node.args, &varied.args, &mut Vec::new(), &mut |path| {
            found.insert(Place::Argument(address.clone(), path.to_vec()));
        });
    }
    found.extend(
        other
            .nodes()
            .keys()
            .filter(|address| !one.nodes().contains_key(*address))
            .map(|address| shown(format!("it affects the name or the existence of {address}"))),
    );
    for (name, value) in one.outputs() {
        match other.outputs().get(name) {
            None => drop(found.insert(shown(format!("it affects whether the output `{name}` exists")))),
            Some(varied) if varied != value => drop(found.insert(Place::Output(name.clone()))),
            Some(_) => {}
        }
    }
    if one.metrics() != other.metrics() {
        found.insert(shown("it affects a metric".to_owned()));
    }
    if one.waivers() != other.waivers() {
        found.insert(shown("it affects where rules apply, or the reason".to_owned()));
    }
    found
}

/// Calls `found` with the path of each value that differs between two arguments and is not secret anyway.
fn walk(one: &Value, other: &Value, path: &mut Vec<String>, found: &mut dyn FnMut(&[String])) {
    let is_whole = |value: &Value| value.get("$ref").is_some() || value.get("$text").is_some();
    match (one, other) {
        (one, _) if is_secret(one) => {}
        (Value::Object(members), Value::Object(others))
            if !is_whole(one) && !is_whole(other) && members.keys().eq(others.keys()) =>
        {
            for (key, value) in members {
                path.push(key.clone());
                walk(value, &others[key], path, found);
                path.pop();
            }
        }
        (Value::Array(values), Value::Array(others)) if values.len() == others.len() => {
            for (index, (value, other)) in values.iter().zip(others).enumerate() {
                path.push(index.to_string());
                walk(value, other, path, found);
                path.pop();
            }
        }
        (one, other) if one == other => {}
        _ => found(path),
    }
}
