//! `payinfra import`: adds an existing resource to the state.

use clap::Args;
use payinfra_engine::{Address, import};

use super::Execute;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::lost::Missing;
use crate::screen::{self, ADDRESS};

#[derive(Args)]
pub(super) struct Import {
    /// Address that the resource is declared at
    address: Address,
    /// Name, id or ARN of the resource, in the form that the state uses for its kind
    id: String,
}

impl Execute for Import {
    const NAME: &'static str = "import";
    const ABOUT: &'static str = "Import an existing resource into the state; the next apply updates it to match";

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        session.may_change(false).await?;
        let graph = session.graph()?;
        // An import must not start a new state where one was lost.
        session.load(Missing::Create).await?;
        let Self { address, id } = &self;
        let take = async |state: &mut _| import::import(&session.cloud, &graph, state, address, id).await;
        session.kept.change(Self::NAME, take).await?;
        screen::line(&format!("{ADDRESS}{address}{ADDRESS:#} ← {id}"));
        screen::tell("Run `payinfra plan` to see how it differs from the configuration.");
        Ok(Exit::Done)
    }
}
