//! `payinfra adopt`: makes a lost state again of what carries its lineage.

use clap::Args;
use payinfra_engine::{Class, Error, State, import};

use super::Execute;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::lost::serials;
use crate::screen::{self, ADDRESS, DIM};

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
        let mut state = State { lineage: self.lineage.clone(), ..loaded.state };
        let found = session.count(&state).await?;
        let adopted = import::adopt(&session.cloud, &graph, &found, &mut state).await?;
        if adopted.tagged.is_empty() {
            let message = format!("nothing of workspace {} carries the lineage {}", kept.workspace, self.lineage);
            let known: Vec<_> = session.lineages(&found).into_keys().filter(|lineage| !lineage.is_empty()).collect();
            let hint = if known.is_empty() { "there is no lineage".to_owned() } else { known.join(", ") };
            return Err(Error::invalid(message).hint(format!("the lineages that exist: {hint}")).into());
        }
        for (address, id) in &adopted.tagged {
            screen::line(&format!("{ADDRESS}{address}{ADDRESS:#} ← {id}"));
        }
        for (address, id) in &adopted.keyed {
            screen::line(&format!("{ADDRESS}{address}{ADDRESS:#} ← {id} {DIM}(has no tags; found by its key){DIM:#}"));
        }
        if !self.yes {
            if !screen::can_ask() {
                return Err(Error::invalid("nothing was adopted: nobody is here to confirm it").hint("add --yes").into());
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
            // Tokens of the lost state's creates are of generations up to its serial, which the epoch exceeds.
            state.serial = newest.max(epoch).saturating_add(1);
            Ok(state)
        })
        .await?;
        screen::line("The state was created. `payinfra plan` shows in what it differs from what is declared.");
        Ok(Exit::Done)
    }
}
