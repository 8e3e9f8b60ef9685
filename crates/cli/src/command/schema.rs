//! `payinfra schema`: JSON schemas of what payinfra reads and writes.

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
    /// Of the state.
    #[arg(long, conflicts_with = "events")]
    state: bool,
    /// Of the events that `--json` prints.
    #[arg(long)]
    events: bool,
}

impl Execute for Schema {
    const NAME: &'static str = "schema";
    const ABOUT: &'static str = "Print the JSON schema of the configuration, of the state, or of events";

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
