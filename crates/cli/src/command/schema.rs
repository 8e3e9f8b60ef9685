//! `payinfra schema`: prints JSON schemas of the configuration, the state, events, kinds and graph documents.

use clap::Args;
use payinfra_aws::catalog;
use payinfra_engine::{Error, graph_schema};
use schemars::schema_for;
use serde::Serialize;

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
    /// Print the schemas of the arguments and outputs of a kind, such as `ec2.subnet`
    #[arg(long, conflicts_with_all = ["events", "state"])]
    kind: Option<String>,
    /// Print the schema of graph documents, which `payinfra graph --format json` writes
    #[arg(long, conflicts_with_all = ["events", "kind", "state"])]
    graph: bool,
}

impl Execute for Schema {
    const NAME: &'static str = "schema";
    const ABOUT: &'static str = "Print the JSON schema of the configuration, the state, events, kinds, or graphs";

    async fn execute(self, _: &Context) -> Outcome {
        if self.state {
            screen::print(&payinfra_state::schema()?);
            return Ok(Exit::Done);
        }
        if let Some(kind) = &self.kind {
            return print(&catalog().schemas(kind)?);
        }
        if self.graph {
            return print(&graph_schema(&catalog()));
        }
        print(&if self.events { schema_for!(Line) } else { payinfra_stacks::schema() })
    }
}

fn print(schema: &impl Serialize) -> Outcome {
    screen::line(&serde_json::to_string_pretty(schema).map_err(|error| Error::failed(error.to_string()))?);
    Ok(Exit::Done)
}
