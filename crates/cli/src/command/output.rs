//! `payinfra output`: prints the outputs of the last apply.

use clap::Args;
use payinfra_engine::{Error, Result};

use super::Execute;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::run::flat;
use crate::screen;

#[derive(Args)]
pub(super) struct Output {
    /// Print only the value of this output
    name: Option<String>,
    /// Print as JSON: a string, or an object of strings
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

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|error| Error::failed(error.to_string()))
}
