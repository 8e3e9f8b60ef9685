//! `payinfra schema`: prints JSON schemas of the configuration, the state and events.

use clap::Args;
use payinfra_engine::Error;
use schemars::schema_for;

use super::Execute;
use crate::context::Context;
use crate::events::Line;
use crate::exit::{Exit, Outcome};
use crate::screen;

#[derive(Args)]
pub(super) struct Schema {
    /// Print the schema of the state
    #[arg(long, conflicts_with = "events")]
    state: bool,
    /// Print the schema of the events of `--json`
    #[arg(long)]
    events: bool,
}

impl Execute for Schema {
    const NAME: &'static str = "schema";
    const ABOUT: &'static str = "Print the JSON schema of the configuration, the state, or events";

    async fn execute(self, _: &Context) -> Outcome {
        if self.state {
            screen::print(&payinfra_state::schema()?);
            return Ok(Exit::Done);
        }
        let schema = if self.events { schema_for!(Line) } else { payinfra_stacks::schema() };
        let text = serde_json::to_string_pretty(&schema).map_err(|error| Error::failed(error.to_string()))?;
        screen::line(&text);
        Ok(Exit::Done)
    }
}
