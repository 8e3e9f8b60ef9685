//! `payinfra import`: takes what exists already into the state.

use clap::Args;
use payinfra_engine::{Address, import};

use super::Execute;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::lost::Missing;
use crate::screen::{self, ADDRESS};

#[derive(Args)]
pub(super) struct Import {
    /// Where it is declared
    address: Address,
    /// What AWS calls it: its name, id or ARN, as the state would have it
    id: String,
}

impl Execute for Import {
    const NAME: &'static str = "import";
    const ABOUT: &'static str = "Take something that exists into the state; the next apply makes it what is declared";

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        session.may_change(false).await?;
        let graph = session.graph()?;
        // A state that is lost is not made anew by what one import knows.
        session.load(Missing::Create).await?;
        let Self { address, id } = &self;
        let take = async |state: &mut _| import::import(&session.cloud, &graph, state, address, id).await;
        session.kept.change(Self::NAME, take).await?;
        screen::line(&format!("{ADDRESS}{address}{ADDRESS:#} ← {id}"));
        screen::line("`payinfra plan` shows in what it differs from what is declared.");
        Ok(Exit::Done)
    }
}
