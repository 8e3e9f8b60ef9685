//! `payinfra adopt`: rebuilds a lost state from the resources that carry its lineage.

use clap::Args;
use payinfra_engine::plan::{Options, plan};
use payinfra_engine::{Error, State, import};

use super::Execute;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::lost::lineages;
use crate::plan_view::PlanView;
use crate::recovery::serials;
use crate::screen::{self, ADDRESS, DIM, HEADING};

#[derive(Args)]
pub(super) struct Adopt {
    /// Lineage of the lost state: the value of the tag `payinfra:lineage` on its resources
    #[arg(long, value_name = "ID")]
    lineage: String,
    /// Skip the confirmation prompt
    #[arg(long, short)]
    yes: bool,
}

impl Execute for Adopt {
    const NAME: &'static str = "adopt";
    const ABOUT: &'static str = "Rebuild a lost state from the resources tagged with its lineage";

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        let graph = session.graph()?;
        let kept = &session.kept;
        let exists = || {
            Error::invalid(format!("workspace {} already has a state", kept.workspace))
                .hint("import individual resources with `payinfra import`")
        };
        let loaded = kept.load().await?;
        if loaded.version.is_some() || loaded.rescued {
            return Err(exists().into());
        }
        let lost = loaded.state;
        let mut state = State { lineage: self.lineage.clone(), ..lost };
        let found = session.count(&state).await?;
        let adopted = import::adopt(&session.cloud, &graph, &found, &mut state).await?;
        if adopted.tagged.is_empty() {
            let message = format!("no resource of workspace {} carries the lineage {}", kept.workspace, self.lineage);
            let known: Vec<_> = lineages(&found).into_keys().filter(|lineage| !lineage.is_empty()).collect();
            let hint = match &known[..] {
                [] => "no resource of the workspace carries a lineage".to_owned(),
                known => format!("these lineages exist: {}", known.join(", ")),
            };
            return Err(Error::invalid(message).hint(hint).into());
        }
        for (address, id) in &adopted.tagged {
            screen::line(&format!("{ADDRESS}{address}{ADDRESS:#} ← {id}"));
        }
        for (address, id) in &adopted.keyed {
            screen::line(&format!("{ADDRESS}{address}{ADDRESS:#} ← {id} {DIM}(untagged; found by its name){DIM:#}"));
        }
        match plan(&session.cloud, graph, &state, &Options::default()).await {
            Ok(planned) => {
                screen::line(&format!("\n{HEADING}Changes that the next apply would make:{HEADING:#}"));
                screen::print(&PlanView::new(cx.verbose()).render(&planned));
            }
            // The state is worth having even so: it is needed to find the cause.
            Err(error) => screen::note(&format!("The next apply cannot be planned: {error}")),
        }
        if !self.yes {
            screen::confirm("Create the state from these resources?", "yes", "nothing was adopted", "pass --yes")
                .await?;
        }
        let newest = serials(&kept.backing).await?.last().copied().unwrap_or_default();
        kept.replace(Self::NAME, 0, async |stored, epoch| {
            if stored.is_some() {
                return Err(exists());
            }
            // Generations never fall below the serial, so no create reuses an idempotency token of the lost state.
            state.serial = newest.max(epoch).saturating_add(1);
            Ok(state)
        })
        .await?;
        screen::line("The state was created.");
        Ok(Exit::Done)
    }
}
