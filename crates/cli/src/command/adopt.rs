//! `payinfra adopt`: creates a lost state again from what carries its lineage.

use clap::Args;
use payinfra_engine::plan::{Options, plan};
use payinfra_engine::{Class, Error, State, import};

use super::Execute;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::lost::{lineages, serials};
use crate::plan_view::PlanView;
use crate::screen::{self, ADDRESS, DIM, HEADING};

#[derive(Args)]
pub(super) struct Adopt {
    /// The lineage of the lost state, as the resources' tag `payinfra:lineage` has it
    #[arg(long, value_name = "ID")]
    lineage: String,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

impl Execute for Adopt {
    const NAME: &'static str = "adopt";
    const ABOUT: &'static str = "Create a lost state again from the resources that carry its lineage";

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        let graph = session.graph()?;
        let kept = &session.kept;
        let exists = || {
            Error::invalid(format!("workspace {} has a state", kept.workspace))
                .hint("`payinfra import` takes single resources into it")
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
            let message = format!("nothing of workspace {} carries the lineage {}", kept.workspace, self.lineage);
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
            screen::line(&format!("{ADDRESS}{address}{ADDRESS:#} ← {id} {DIM}(has no tags; found by its key){DIM:#}"));
        }
        match plan(&session.cloud, graph, &state, &Options::default()).await {
            Ok(planned) => {
                screen::line(&format!("\n{HEADING}The next apply would do:{HEADING:#}"));
                screen::print(&PlanView { whole: cx.verbose() }.render(&planned));
            }
            // The state is needed all the same, to find out why.
            Err(error) => screen::note(&format!("What the next apply would do is not known: {error}")),
        }
        if !self.yes {
            if !screen::can_ask() {
                return Err(Error::invalid("nothing was adopted: nobody is here to confirm it")
                    .hint("add --yes")
                    .into());
            }
            if !screen::ask("Create the state from these?").await {
                return Err(Error::new(Class::Cancelled, "nothing was adopted").into());
            }
        }
        let newest = serials(&kept.backing).await?.last().copied().unwrap_or_default();
        kept.replace(Self::NAME, 0, async |stored, epoch| {
            if stored.is_some() {
                return Err(exists());
            }
            // Generations are never below the serial, so that no create has the token of one of the lost state's.
            state.serial = newest.max(epoch).saturating_add(1);
            Ok(state)
        })
        .await?;
        screen::line("The state was created.");
        Ok(Exit::Done)
    }
}
