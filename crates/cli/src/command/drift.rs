//! `payinfra drift`: shows what changed behind payinfra's back.

use clap::Args;
use payinfra_engine::Error;
use payinfra_engine::plan::{drift, refresh};

use super::Execute;
use crate::context::Context;
use crate::events::{Emitter, Message, drifted};
use crate::exit::{Exit, Outcome};
use crate::lost::Missing;
use crate::plan_view::PlanView;
use crate::screen::{self, CREATE, HEADING};

#[derive(Args)]
pub(super) struct Drift {
    /// Print the drift as an event, a JSON object on one line; see `schema --events`.
    #[arg(long)]
    json: bool,
}

impl Execute for Drift {
    const NAME: &'static str = "drift";
    const ABOUT: &'static str = "Show what changed outside payinfra: exits with 2 if something did";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        let loaded = session.load(Missing::Refuse).await?;
        if loaded.state.resources.is_empty() {
            let workspace = &session.kept.workspace;
            return Err(Error::invalid(format!("workspace {workspace} is destroyed: there is nothing to compare"))
                .hint("`payinfra apply` creates it again")
                .into());
        }
        let refreshed = refresh(&session.cloud, &loaded.state).await?;
        let found = drift(&loaded.state, &refreshed);
        if self.json {
            Emitter.emit(Message::Drift { resources: drifted(&found) });
        } else if found.is_empty() {
            let count = loaded.state.resources.len();
            screen::line(&format!("{CREATE}No drift{CREATE:#} in {count} resources."));
        } else {
            let view = PlanView { whole: cx.verbose() };
            screen::line(&format!("{HEADING}Changed outside payinfra (as applied → as it is):{HEADING:#}"));
            screen::print(&view.drift(&found));
            screen::line(&format!("\n{} of {} resources drifted.", found.len(), loaded.state.resources.len()));
        }
        Ok(if found.is_empty() { Exit::Done } else { Exit::Differs })
    }
}
