//! `payinfra init`: creates a configuration and adds the current account to it.

use std::path::Path;

use clap::Args;
use payinfra_engine::Error;
use payinfra_stack::Stacks;

use super::Execute;
use crate::account;
use crate::context::Context;
use crate::disk::{self, Readers};
use crate::exit::{Exit, Outcome};
use crate::screen;

#[derive(Args)]
pub(super) struct Init {
    /// Skip the confirmation prompt
    #[arg(long, short)]
    yes: bool,
}

impl Execute for Init {
    const NAME: &'static str = "init";
    const ABOUT: &'static str = "Create a configuration if there is none, and allow changes in the current account";

    async fn execute(self, cx: &Context) -> Outcome {
        let file = cx.configuration();
        if !file.exists() {
            create(file, cx.stacks())?;
        }
        let project = cx.project()?;
        let access = project.sign_in().await?;
        let account = access.account();
        let shown = account::shown(&access).await;
        if !project.configuration.aws.account_ids.is_empty() {
            screen::line(&format!("{} already allows {shown}.", file.display()));
            return Ok(Exit::Done);
        }
        screen::line(&format!("The current credentials belong to {shown}."));
        if !self.yes {
            let question = format!("Add it to `[aws] account_ids` in {}?", file.display());
            screen::confirm(&question, account, "nothing was changed", "pass --yes").await?;
        }
        account::allow(file, account)?;
        screen::line(&format!("{} now allows this account and no other.", file.display()));
        Ok(Exit::Done)
    }
}

/// Creates the configuration from the example.
fn create(file: &Path, stacks: Stacks) -> Result<(), Error> {
    let example = stacks.iter().find_map(|stack| stack.example());
    let example = example.ok_or_else(|| {
        let names: Vec<_> = stacks.iter().map(|stack| stack.name()).collect();
        Error::invalid(format!("{} does not exist, and the stacks of this program have no example", file.display()))
            .hint(format!("write one with `stack`, `[defaults]` and `[workspaces.NAME]`; stacks: {}", names.join(", ")))
    })?;
    disk::write(file, example.as_bytes(), Readers::All)?;
    screen::line(&format!("Created {} from the example. Review it before the first apply.", file.display()));
    Ok(())
}
