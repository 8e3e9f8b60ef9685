//! `payinfra drift`: shows changes that were made outside payinfra.

use clap::Args;
use payinfra_engine::plan::{drift, refresh};
use payinfra_engine::{Error, Result, State, counted};

use super::Execute;
use crate::context::{Context, Session};
use crate::events::{Emitter, Message, drifted};
use crate::exit::{Exit, Outcome};
use crate::lost::Missing;
use crate::plan_view::PlanView;
use crate::screen::{self, CREATE, HEADING};

#[derive(Args)]
pub(super) struct Drift {
    /// Print the drift as a JSON event on one line; see `schema --events`
    #[arg(long)]
    json: bool,
}

impl Execute for Drift {
    const NAME: &'static str = "drift";
    const ABOUT: &'static str = "Detect changes made in AWS since the last apply; exits with 2 if there is drift";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        let loaded = session.load(Missing::Refuse).await?;
        if loaded.state.resources.is_empty() {
            return Err(empty(&session, &loaded.state).await?.into());
        }
        let refreshed = refresh(&session.cloud, &loaded.state).await?;
        let found = drift(&loaded.state, &refreshed);
        let resources = counted(loaded.state.resources.len(), "resource", "resources");
        if self.json {
            Emitter.emit(Message::Drift { resources: drifted(&found) });
        } else if found.is_empty() {
            screen::line(&format!("{CREATE}No drift detected{CREATE:#} in {resources}."));
        } else {
            let view = PlanView::new(cx.verbose());
            screen::line(&format!("{HEADING}Drift detected (last applied → current):{HEADING:#}"));
            screen::print(&view.drift(&found));
            screen::line(&format!("\nDrift in {} of {resources}.", found.len()));
        }
        Ok(if found.is_empty() { Exit::Done } else { Exit::Differs })
    }
}

/// The error for a state without resources, which drift cannot be compared with.
async fn empty(session: &Session, state: &State) -> Result<Error> {
    let workspace = &session.kept.workspace;
    let found = session.count(state).await?;
    let left = found.iter().filter(|orphan| orphan.owner.lineage == state.lineage).count();
    if left == 0 {
        return Ok(Error::invalid(format!("workspace {workspace} has been destroyed: there is nothing to compare"))
            .hint("create it again with `payinfra apply`"));
    }
    let left = counted(left, "resource in AWS carries", "resources in AWS carry");
    Ok(Error::invalid(format!("the state of {workspace} is empty, but {left} its lineage"))
        .hint("list earlier states with `payinfra state history`, and the resources in AWS with `payinfra sweep`"))
}
