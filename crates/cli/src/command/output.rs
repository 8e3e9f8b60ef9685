//! `payinfra output`: prints the outputs of the last apply.

use std::collections::BTreeMap;

use clap::Args;
use payinfra_engine::{Address, Error, Result};
use serde_json::Value;

use super::Execute;
use crate::context::{Context, Loaded, Session};
use crate::exit::{Exit, Outcome};
use crate::failure::Failure;
use crate::run::flat;
use crate::screen;

#[derive(Args)]
pub(super) struct Output {
    /// Print only the value of this output
    name: Option<String>,
    /// Print as JSON: a string, or an object of strings
    #[arg(long)]
    json: bool,
    /// Also read from AWS and print the secret arguments of resources whose ids are outputs, as OUTPUT.ARGUMENT
    #[arg(long)]
    show_sensitive: bool,
}

impl Execute for Output {
    const NAME: &'static str = "output";
    const ABOUT: &'static str = "Print the outputs of the last apply";

    async fn execute(self, cx: &Context) -> Outcome {
        let outputs = if self.show_sensitive {
            let session = cx.session().await?;
            let loaded = session.kept.load().await?;
            let mut outputs = flat(&loaded.state);
            outputs.extend(secrets(&session, &loaded).await?);
            outputs
        } else {
            flat(&cx.kept().await?.load().await?.state)
        };
        match (&self.name, self.json) {
            (None, true) => screen::line(&json(&outputs)?),
            (None, false) => {
                let width = outputs.keys().map(String::len).max().unwrap_or_default();
                for (name, value) in &outputs {
                    screen::line(&format!("{name:width$} = {value}"));
                }
            }
            (Some(name), as_json) => {
                let value = outputs.get(name).ok_or_else(|| {
                    let known: Vec<_> = outputs.keys().map(String::as_str).collect();
                    let error = Error::invalid(format!("output `{name}` not found"));
                    match &known[..] {
                        [] => error.hint("there are no outputs yet; create them with `payinfra apply`"),
                        known => error.hint(format!("available outputs: {}", known.join(", "))),
                    }
                })?;
                screen::line(&if as_json { json(value)? } else { value.clone() });
            }
        }
        Ok(Exit::Done)
    }
}

/// The secret arguments of the resources whose ids are outputs, by the names of output and argument. The state has only
/// their digests, so they are those that AWS returns now.
async fn secrets(session: &Session, loaded: &Loaded) -> Result<BTreeMap<String, String>, Failure> {
    let graph = session.kept.project.graph(&session.kept.workspace, &session.account)?;
    let mut secrets = BTreeMap::new();
    for (output, value) in graph.outputs() {
        let Some(address) = identified(value) else { continue };
        let id = loaded.state.resources.get(&address).and_then(|record| record.id.clone());
        let Some(id) = id.filter(|_| loaded.state.outputs.contains_key(output)) else { continue };
        let live = session.cloud.read(&address.region, &address.kind, &[id]).await?.pop();
        let Some(Value::Object(args)) = live.map(|live| live.args) else { continue };
        for (argument, value) in args {
            if let Some(text) = value.get("$secret").and_then(Value::as_str) {
                secrets.insert(format!("{output}.{argument}"), text.to_owned());
            }
        }
    }
    Ok(secrets)
}

/// The resource whose id the declared output `value` is.
fn identified(value: &Value) -> Option<Address> {
    let [part] = value.get("$text")?.as_array()?.as_slice() else { return None };
    part.get("$ref")?.as_str()?.strip_suffix("#id")?.parse().ok()
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|error| Error::failed(error.to_string()))
}
