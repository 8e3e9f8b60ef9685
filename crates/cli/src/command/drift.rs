//! `payinfra drift`: shows changes that were made outside payinfra, or differences between regions.

use clap::Args;
use payinfra_engine::plan::{Difference, Differs, Drifted, between_regions, drift, refresh};
use payinfra_engine::{Error, Metric, Region, Result, State, counted};

use super::Execute;
use crate::context::{Context, Session};
use crate::events::{Emitter, Message};
use crate::exit::{Exit, Outcome};
use crate::functions::with_deployment;
use crate::lost::Missing;
use crate::plan_view::PlanView;
use crate::screen::{self, CREATE, HEADING};

#[derive(Args)]
pub(super) struct Drift {
    /// Print the drift as a JSON event on one line; see `schema --events`
    #[arg(long)]
    json: bool,
    /// Compare the regions with each other instead of with the last apply; exits with 2 if they differ
    #[arg(long)]
    between_regions: bool,
    /// Publish the number of differences as a metric of CloudWatch, for alarms
    #[arg(long, requires = "between_regions")]
    publish: bool,
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
        if self.between_regions {
            let found = between_regions(&with_deployment(session.graph()?, &loaded.state)?, &loaded.state, &refreshed);
            return self.differences(cx, &session, &found).await;
        }
        let found = drift(&loaded.state, &refreshed);
        let resources = counted(loaded.state.resources.len(), "resource", "resources");
        if self.json {
            Emitter.emit(Message::Drift { resources: Drifted::of(&found) });
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

impl Drift {
    /// Shows the differences between the regions, and publishes their number.
    async fn differences(&self, cx: &Context, session: &Session, found: &[Difference]) -> Outcome {
        let regions = session.declared_regions();
        let names: Vec<_> = regions.iter().map(Region::as_str).collect();
        let [primary, _, ..] = &regions[..] else {
            let message =
                format!("workspace {} has only one region: there is nothing to compare", session.kept.workspace);
            return Err(Error::invalid(message).hint("compare it with the last apply: `payinfra drift`").into());
        };
        if self.json {
            Emitter.emit(Message::Differences { differences: Differs::of(found) });
        } else if found.is_empty() {
            screen::line(&format!("{CREATE}No differences{CREATE:#} between {}.", names.join(", ")));
        } else {
            screen::line(&format!("{HEADING}The regions differ:{HEADING:#}"));
            screen::print(&PlanView::new(cx.verbose()).differences(found));
            let count = counted(found.len(), "difference", "differences");
            screen::line(&format!("\n{count} between {}.", names.join(", ")));
        }
        if self.publish {
            let Session { kept, cloud, .. } = session;
            let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
            let metric = Metric::of_regions(&kept.stack, &kept.workspace, primary, count.into());
            cloud.publish(&metric).await?;
            if !self.json {
                screen::line(&format!("Published {}/{} in {primary}.", metric.namespace, metric.name));
            }
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
