//! `payinfra destroy`: removes all that the workspace made.

use clap::Args;
use payinfra_engine::plan::Options;
use payinfra_engine::{Graph, Tags};

use super::Execute;
use crate::context::Context;
use crate::exit::Outcome;
use crate::run::Order;

#[derive(Args)]
pub(super) struct Destroy {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Print events, one JSON object per line; see `schema --events`.
    #[arg(long)]
    json: bool,
}

impl Execute for Destroy {
    const NAME: &'static str = "destroy";
    const ABOUT: &'static str = "Remove all that the workspace made; refuses where something is protected";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        let declared = session.graph()?;
        let order = Order {
            session: &session,
            command: Self::NAME,
            wanted: Graph::new(&declared.stack, &declared.workspace, Tags::new()),
            declared,
            options: Options::default(),
            saved: None,
            yes: self.yes,
            json: self.json,
            verbose: cx.verbose(),
            outputs_file: None,
        };
        order.carry_out().await
    }
}
