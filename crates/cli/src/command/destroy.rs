//! `payinfra destroy`: deletes all resources of the workspace.

use clap::Args;
use payinfra_engine::plan::Options;
use payinfra_engine::{Graph, Tags};

use super::{Execute, sweep};
use crate::context::Context;
use crate::events::{Emitter, Message, swept};
use crate::exit::{Exit, Outcome};
use crate::history::Source;
use crate::losses::Losses;
use crate::lost::Missing;
use crate::run::{Order, Width};
use crate::screen;

#[derive(Args)]
pub(super) struct Destroy {
    /// Skip the confirmation prompt
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    losses: Losses,
    #[command(flatten)]
    width: Width,
    /// Print events as JSON, one object per line; see `schema --events`
    #[arg(long)]
    json: bool,
}

impl Execute for Destroy {
    const NAME: &'static str = "destroy";
    const ABOUT: &'static str = "Delete all resources of the workspace; fails if any of them is protected";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        let declared = session.graph()?;
        let order = Order {
            session: &session,
            command: Self::NAME,
            back: None,
            wanted: Graph::new(&declared.stack, &declared.workspace, Tags::new()),
            source: Source::default(),
            declared,
            options: Options { accepted: self.losses.accepted(), ..Options::default() },
            saved: None,
            missing: Missing::Create,
            yes: self.yes,
            json: self.json,
            verbose: cx.verbose(),
            width: self.width.parallelism,
            operation: None,
            outputs_file: None,
        };
        let exit = order.carry_out().await?;
        if exit != Exit::Done {
            return Ok(exit);
        }
        // An empty state does not prove that the account is empty.
        let left = sweep::find(&session).await?;
        if left.is_empty() {
            return Ok(exit);
        }
        if self.json {
            Emitter.emit(Message::Sweep { orphans: swept(&left) });
        } else {
            screen::note(
                "\nOrphaned resources found: they have the workspace's owner tags but are not in the state. Delete them \
                 with `payinfra sweep --delete`:",
            );
            sweep::list(&left);
        }
        Ok(Exit::Failed)
    }
}
