//! `payinfra output`: the outputs of the last apply.

use clap::Args;
use payinfra_engine::{Error, Result};

use super::Execute;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::run::flat;
use crate::screen;

#[derive(Args)]
pub(super) struct Output {
    /// Only this one, and only its value.
    name: Option<String>,
    /// As JSON: a string, or an object of strings.
    #[arg(long)]
    json: bool,
}

impl Execute for Output {
    const NAME: &'static str = "output";
    const ABOUT: &'static str = "Print the outputs of the last apply";

    async fn execute(self, cx: &Context) -> Outcome {
        let loaded = cx.kept().await?.load().await?;
        let outputs = flat(&loaded.state);
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
                    let error = Error::invalid(format!("there is no output `{name}`"));
                    match &known[..] {
                        [] => error.hint("there are none yet: `payinfra apply` makes them"),
                        known => error.hint(format!("there are: {}", known.join(", "))),
                    }
                })?;
                screen::line(&if as_json { json(value)? } else { value.clone() });
            }
        }
        Ok(Exit::Done)
    }
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|error| Error::failed(error.to_string()))
}
