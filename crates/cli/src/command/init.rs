//! `payinfra init`: names the account in the configuration.

use clap::Args;
use payinfra_engine::{Error, Result};
use toml_edit::{Array, DocumentMut, table, value};

use super::Execute;
use crate::context::Context;
use crate::disk::{self, Readers};
use crate::exit::{Exit, Outcome};
use crate::screen;

#[derive(Args)]
pub(super) struct Init {}

impl Execute for Init {
    const NAME: &'static str = "init";
    const ABOUT: &'static str = "Write the account of your credentials into `[aws] account_ids` of the configuration";

    async fn execute(self, cx: &Context) -> Outcome {
        let project = cx.project()?;
        // Credentials of an account that is not named among others are refused here.
        let access = project.sign_in().await?;
        let account = access.account();
        let file = cx.config().display();
        if project.allowed().contains(&account) {
            screen::line(&format!("{file} names account {account} already."));
            return Ok(Exit::Done);
        }
        disk::write(cx.config(), named(project.text(), account)?.as_bytes(), Readers::All)?;
        screen::line(&format!("{file} now allows account {account} only."));
        Ok(Exit::Done)
    }
}

/// The configuration `text` with `account` as the only one that may be touched; everything else stays as it is written.
fn named(text: &str, account: &str) -> Result<String> {
    let mut document: DocumentMut =
        text.parse().map_err(|error| Error::invalid(format!("the configuration cannot be changed: {error}")))?;
    document.entry("aws").or_insert_with(table)["account_ids"] = value(Array::from_iter([account]));
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_added_and_all_else_stays() -> Result<()> {
        for (before, after) in [
            (
                "# mine\n[aws]\n# profile = \"one\"\n\n[state] # here\n",
                "# mine\n[aws]\naccount_ids = [\"1\"]\n# profile = \"one\"\n\n[state] # here\n",
            ),
            ("[aws]\nprofile = \"one\"\n", "[aws]\nprofile = \"one\"\naccount_ids = [\"1\"]\n"),
            ("stack = \"a\" # b\n", "stack = \"a\" # b\n\n[aws]\naccount_ids = [\"1\"]\n"),
            ("aws = { account_ids = [] }\n", "aws = { account_ids = [\"1\"] }\n"),
        ] {
            assert_eq!(named(before, "1")?, after);
        }
        Ok(())
    }
}
