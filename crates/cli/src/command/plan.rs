//! `payinfra plan`: shows the changes that apply would make.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use payinfra_engine::plan::{Options, plan};
use payinfra_engine::{Address, Error, Graph, Plan as Planned, Result, State, longest};

use super::Execute;
use crate::context::{Context, Session};
use crate::cost;
use crate::databases::{self, Databases};
use crate::disk::{self, Readers};
use crate::events::Emitter;
use crate::exit::{Exit, Outcome};
use crate::functions::with_deployment;
use crate::losses::Losses;
use crate::lost::Missing;
use crate::plan_view::PlanView;
use crate::quotas;
use crate::screen::{self, DIM};

#[derive(Args)]
pub(super) struct Plan {
    /// Save the plan to this file, for `apply FILE`; the file is readable only by you
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Plan a separate deployment, even if resources or a state of an earlier one exist
    #[arg(long)]
    new_deployment: bool,
    #[command(flatten)]
    losses: Losses,
    /// Print the plan as a JSON event on one line; see `schema --events`
    #[arg(long)]
    json: bool,
    /// Exit with 2 if there are changes
    #[arg(long)]
    exit_code: bool,
    /// Plan only this resource and its dependencies; can be repeated
    #[arg(long, value_name = "ADDRESS")]
    target: Vec<Address>,
}

impl Execute for Plan {
    const NAME: &'static str = "plan";
    const ABOUT: &'static str = "Show the changes that apply would make";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        let graph = session.graph()?;
        let missing = if self.new_deployment { Missing::CreateAnother } else { Missing::Create };
        let loaded = session.load(missing).await?;
        let options = Options {
            targets: BTreeSet::from_iter(self.target),
            accepted: self.losses.accepted(),
            ..Options::default()
        };
        let planned = planned(&session, graph, &loaded.state, &options).await?;
        if let Some(out) = &self.out {
            let bytes =
                serde_json::to_vec_pretty(&planned.sealed()?).map_err(|error| Error::failed(error.to_string()))?;
            disk::write(out, &bytes, Readers::Owner)?;
        }
        let exit = show(&session, &planned, &loaded.state, self.json, cx.verbose()).await?;
        if exit != Exit::Done {
            return Ok(exit);
        }
        if let (Some(out), false) = (&self.out, self.json) {
            screen::tell(&format!("Plan saved. Apply it with `payinfra apply {}`.", out.display()));
        }
        Ok(if self.exit_code && !planned.is_empty() { Exit::Differs } else { Exit::Done })
    }
}

/// Plans an apply of `graph`.
pub(super) async fn planned(session: &Session, graph: Graph, state: &State, options: &Options) -> Result<Planned> {
    plan(&session.cloud, with_deployment(graph, state)?, state, options).await
}

/// Shows `planned`; the exit code says whether protection allows it.
pub(super) async fn show(session: &Session, planned: &Planned, state: &State, json: bool, verbose: bool) -> Outcome {
    if json {
        Emitter.plan(planned, longest(&session.cloud, planned, state)?);
    } else {
        screen::print(&PlanView::new(verbose).render(planned));
    }
    session.warn();
    if !json {
        cost::tell(planned, state);
        moved(session, planned, state).await;
    }
    if let Err(error) = check(session, planned, state).await {
        screen::fail(&crate::failure::block(None, &error));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// Checks that an apply of `planned` would not be refused.
pub(super) async fn check(session: &Session, planned: &Planned, state: &State) -> Result<()> {
    planned.respects_protection(state, &planned.graph)?;
    planned.can_be_applied()?;
    quotas::check(&session.access, planned).await
}

/// Tells which databases have their writer in another region than the configuration. That is no drift: AWS, an operator or
/// `payinfra failover` moves it. If it cannot be found out, the plan is as good without it.
async fn moved(session: &Session, planned: &Planned, state: &State) {
    let databases = Databases::of(&planned.graph, state);
    if let Ok(roles) = databases.roles(&session.access, None).await {
        for line in databases::away(&roles) {
            screen::line(&format!("{DIM}{line}{DIM:#}"));
        }
    }
}
