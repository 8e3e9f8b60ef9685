//! `payinfra init`: a configuration that names the account that may be changed.

use std::path::Path;

use clap::Args;
use payinfra_engine::{Class, Error};

use super::Execute;
use crate::account;
use crate::context::Context;
use crate::disk::{self, Readers};
use crate::exit::{Exit, Outcome};
use crate::screen;

/// What a new configuration starts from.
const EXAMPLE: &str = include_str!("../../../../payinfra.toml");

#[derive(Args)]
pub(super) struct Init {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

impl Execute for Init {
    const NAME: &'static str = "init";
    const ABOUT: &'static str = "Write a configuration if there is none, and name the account that may be changed";

    async fn execute(self, cx: &Context) -> Outcome {
        let file = cx.configuration();
        if !file.exists() {
            create(file)?;
        }
        let project = cx.project()?;
        let access = project.sign_in().await?;
        let account = access.account();
        let shown = account::shown(&access).await;
        if !project.configuration.aws.account_ids.is_empty() {
            screen::line(&format!("{} allows {shown} already.", file.display()));
            return Ok(Exit::Done);
        }
        screen::line(&format!("These credentials are of {shown}."));
        if !self.yes {
            if !screen::can_ask() {
                return Err(Error::invalid("nothing was changed: nobody is here to confirm it")
                    .hint("say --yes")
                    .into());
            }
            let question = format!("Add it to `[aws] account_ids` of {}?", file.display());
            if !screen::ask_for(&question, account).await {
                return Err(Error::new(Class::Cancelled, "nothing was changed").into());
            }
        }
        account::allow(file, account)?;
        screen::line(&format!("{} allows this account now, and no other.", file.display()));
        Ok(Exit::Done)
    }
}

/// Writes the example.
fn create(file: &Path) -> Result<(), Error> {
    disk::write(file, EXAMPLE.as_bytes(), Readers::All)?;
    screen::line(&format!("{} was created from the example: read it before the first apply.", file.display()));
    Ok(())
}
