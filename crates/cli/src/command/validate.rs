//! `payinfra validate`: checks the configuration as far as possible without AWS.

use clap::Args;
use payinfra_aws::catalog;
use payinfra_engine::{Error, Graph, Result, Scope, Waiver, counted};

use super::Execute;
use crate::context::{ANY_ACCOUNT, Context};
use crate::events::{Emitter, Message, Valid};
use crate::exit::{Exit, Outcome};
use crate::screen::{self, ADDRESS, CREATE, WARNING};

#[derive(Args)]
pub(super) struct Validate {
    /// Print the result as a JSON event on one line; see `schema --events`
    #[arg(long)]
    json: bool,
}

impl Execute for Validate {
    const NAME: &'static str = "validate";
    const ABOUT: &'static str = "Check the configuration and the resources it declares; needs no credentials";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        let project = cx.project()?;
        let names = match project.chosen() {
            Some(_) => vec![project.workspace()?.name.clone()],
            None => project.configuration.workspaces.keys().cloned().collect(),
        };
        let width = names.iter().map(String::len).max().unwrap_or_default();
        let mut workspaces = Vec::new();
        for name in names {
            let graph = project.graph(&name, ANY_ACCOUNT)?;
            sound(&graph)?;
            let valid = Valid::of(&graph);
            if !self.json {
                let Valid { resources, lookups, outputs, .. } = &valid;
                screen::line(&format!(
                    "{name:width$}  {CREATE}valid{CREATE:#}: {}, {}, {}",
                    counted(*resources, "resource", "resources"),
                    counted(*lookups, "lookup", "lookups"),
                    counted(*outputs, "output", "outputs"),
                ));
                graph.waivers().iter().for_each(show);
            }
            workspaces.push(valid);
        }
        if self.json {
            Emitter.emit(Message::Validate { workspaces });
        }
        Ok(Exit::Done)
    }
}

/// Shows that a rule does not apply, where and why.
fn show(waiver: &Waiver) {
    let Waiver { rule, at, reason } = waiver;
    let place = match at {
        Scope::Everywhere => Scope::EVERYWHERE.to_owned(),
        Scope::Address(address) => format!("at {ADDRESS}{address}{ADDRESS:#}"),
    };
    screen::line(&format!("  {WARNING}waived{WARNING:#}: {rule} {place}: {reason}"));
}

/// Checks the arguments of every node against its kind.
fn sound(graph: &Graph) -> Result<()> {
    let catalog = catalog();
    for (address, node) in graph.nodes() {
        let kind = catalog.kind(&address.kind).map_err(|error| error.at(address))?;
        kind.normal(&node.args).map_err(|error| Error::failed(format!("{address}: {error}")))?;
    }
    Ok(())
}
