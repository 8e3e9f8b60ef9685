//! `payinfra schema`: prints JSON schemas of the configuration, the state, events, kinds and graph documents.

use clap::Args;
use payinfra_aws::catalog;
use payinfra_engine::{Error, Result, graph_schema};
use payinfra_stack::AnyStack;
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
    /// Stack whose configuration is meant; by default the one that the configuration names, or the first
    #[arg(long, value_name = "NAME", conflicts_with_all = ["state", "events", "kind", "graph"])]
    stack: Option<String>,
    /// Print the schema of the events of `--json`
    #[arg(long)]
    events: bool,
    /// Print the schemas of the arguments and outputs of a kind, such as `ec2.subnet`
    #[arg(long, conflicts_with_all = ["events", "state"])]
    kind: Option<String>,
    /// Print the schema of graph documents, which `graph --format json` writes
    #[arg(long, conflicts_with_all = ["events", "kind", "state"])]
    graph: bool,
}

impl Execute for Schema {
    const NAME: &'static str = "schema";
    const ABOUT: &'static str = "Print the JSON schema of the configuration, the state, events, kinds, or graphs";

    async fn execute(self, cx: &Context) -> Outcome {
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
        print(&if self.events { schema_for!(Line) } else { payinfra_stack::schema(self.stack(cx)?) })
    }
}

impl Schema {
    /// The stack whose configuration is meant. An invalid configuration names one as well.
    fn stack(&self, cx: &Context) -> Result<&'static dyn AnyStack> {
        let named = || {
            let text = std::fs::read_to_string(cx.configuration()).ok()?;
            let document: toml_edit::DocumentMut = text.parse().ok()?;
            Some(document.get("stack")?.as_str()?.to_owned())
        };
        let stacks = cx.stacks();
        let Some(name) = self.stack.clone().or_else(named) else {
            return stacks.first().copied().ok_or_else(|| Error::invalid("this program has no stacks"));
        };
        payinfra_stack::named(stacks, &name)
    }
}

fn print(schema: &impl Serialize) -> Outcome {
    screen::tell(&serde_json::to_string_pretty(schema).map_err(|error| Error::failed(error.to_string()))?);
    Ok(Exit::Done)
}
