//! `payinfra validate`: checks the configuration as far as possible without AWS.

use clap::Args;
use payinfra_aws::catalog;
use payinfra_engine::{Error, Graph, Result};

use super::Execute;
use crate::context::{ANY_ACCOUNT, Context};
use crate::exit::{Exit, Outcome};
use crate::screen::{self, CREATE};

#[derive(Args)]
pub(super) struct Validate {}

impl Execute for Validate {
    const NAME: &'static str = "validate";
    const ABOUT: &'static str = "Check the configuration and the resources it declares; needs no credentials";

    async fn execute(self, cx: &Context) -> Outcome {
        let project = cx.project()?;
        let names = match project.chosen() {
            Some(_) => vec![project.workspace()?.name.clone()],
            None => project.configuration.workspaces.keys().cloned().collect(),
        };
        let width = names.iter().map(String::len).max().unwrap_or_default();
        for name in names {
            let graph = project.graph(&name, ANY_ACCOUNT)?;
            sound(&graph)?;
            let lookups = graph.nodes().values().filter(|node| node.lookup).count();
            let resources = graph.nodes().len() - lookups;
            screen::line(&format!(
                "{name:width$}  {CREATE}valid{CREATE:#}: {resources} resources, {lookups} lookups, {} outputs",
                graph.outputs().len()
            ));
        }
        Ok(Exit::Done)
    }
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
