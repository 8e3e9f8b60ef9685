//! Checks that the configuration allows changes in an account. If it lists no accounts, the user is asked once.

use std::fs;
use std::path::Path;

use payinfra_aws::Access;
use payinfra_engine::{Class, Error, Result};
use toml_edit::{Array, DocumentMut, Item, Table};

use crate::context::{Project, Session};
use crate::disk::{self, Readers};
use crate::screen::{self, HELP};

/// Refuses to change the account of `access` unless the configuration lists it or the endpoint is emulated. If the
/// configuration lists no accounts, asks the user and writes the answer to the configuration.
///
/// # Errors
/// If there is no terminal to ask on, or the user declines.
pub(crate) async fn may_change(project: &Project, access: &Access, yes: bool) -> Result<()> {
    if !project.configuration.aws.account_ids.is_empty() || access.is_emulated() {
        return Ok(());
    }
    let account = access.account();
    let shown = shown(access).await;
    let file = project.file().display();
    if yes || !screen::can_ask() {
        let message =
            format!("{file} does not list the accounts that may be changed; the current credentials belong to {shown}");
        let hint = format!("add `account_ids = [\"{account}\"]` to `[aws]`, or run `payinfra init`");
        return Err(Error::invalid(message).hint(hint));
    }
    screen::note(&format!(
        "{file} does not list the accounts that may be changed. The current credentials belong to {shown}."
    ));
    if !screen::ask_for(&format!("Allow changes in this account and add it to `[aws] account_ids` in {file}?"), account)
        .await
    {
        return Err(Error::new(Class::Cancelled, "nothing was changed"));
    }
    allow(project.file(), account)
}

impl Session {
    /// Refuses to change an account that the configuration does not allow; see [`may_change`].
    pub(crate) async fn may_change(&self, yes: bool) -> Result<()> {
        may_change(&self.kept.project, &self.access, yes).await
    }

    /// Asks for a confirmation with `yes` on the terminal, unless `yes` was given. With `json`, there is none to ask on.
    ///
    /// # Errors
    /// If the account may not be changed, or the answer is another one; `hint` tells scripts what to pass.
    pub(crate) async fn confirm(&self, question: &str, yes: bool, json: bool, hint: &str) -> Result<()> {
        self.may_change(yes).await?;
        if yes {
            return Ok(());
        }
        if json {
            return Err(Error::invalid("nothing was changed: confirmation needs a terminal").hint(hint));
        }
        screen::confirm(question, "yes", "nothing was changed", hint).await
    }
}

/// The account for display: its id and, if these credentials may read it, its alias.
pub(crate) async fn shown(access: &Access) -> String {
    let alias = access.alias().await.map_or_else(|| "no alias".to_owned(), |alias| format!("alias `{alias}`"));
    format!("account {} ({alias})", access.account())
}

/// What a command is about to change: the workspace, the account, and whether AWS is emulated.
pub(crate) async fn target(session: &Session, stack: &str) -> String {
    let emulated =
        if session.access.is_emulated() { format!(", the {HELP}emulated AWS{HELP:#}") } else { String::new() };
    format!("workspace `{}` of `{stack}` in {}{emulated}", session.kept.workspace, shown(&session.access).await)
}

/// Adds `account` to the accounts that the configuration in `file` allows; leaves the rest of the file unchanged.
///
/// # Errors
/// If the file cannot be read or written.
pub(crate) fn allow(file: &Path, account: &str) -> Result<()> {
    let failed = |why: String| {
        let hint = format!("add `account_ids = [\"{account}\"]` to `[aws]` by hand");
        Error::failed(format!("{} cannot be changed: {why}", file.display())).hint(hint)
    };
    // If `file` is a symbolic link, write to its target so that the link survives.
    let file = fs::canonicalize(file).map_err(|error| failed(error.to_string()))?;
    let text = fs::read_to_string(&file).map_err(|error| failed(error.to_string()))?;
    let text = with_account(&text, account).map_err(failed)?;
    disk::write(&file, text.as_bytes(), Readers::All)
}

fn with_account(text: &str, account: &str) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let aws = document.entry("aws").or_insert_with(|| Item::Table(Table::new()));
    let aws = aws.as_table_like_mut().ok_or("`aws` is not a table")?;
    let ids = aws.entry("account_ids").or_insert_with(|| Item::Value(Array::new().into()));
    ids.as_array_mut().ok_or("`account_ids` is not a list")?.push(account);
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_added_and_all_else_stays() -> Result<(), String> {
        let with = |text| with_account(text, "123456789012");
        let commented = "stack = \"migration\" # kept\n\n[aws]\n# profile = \"payments\"\n\n[state]\npath = \"kept\"\n";
        let expected = "stack = \"migration\" # kept\n\n[aws]\naccount_ids = [\"123456789012\"]\n# profile = \
                        \"payments\"\n\n[state]\npath = \"kept\"\n";
        assert_eq!(with(commented)?, expected);
        assert_eq!(with("a = 1\n")?, "a = 1\n\n[aws]\naccount_ids = [\"123456789012\"]\n");
        assert_eq!(
            with("aws = { profile = \"p\" }\n")?,
            "aws = { profile = \"p\" , account_ids = [\"123456789012\"] }\n"
        );
        assert_eq!(with("[aws]\naccount_ids = []\n")?, "[aws]\naccount_ids = [\"123456789012\"]\n");
        assert!(with("aws = 1").is_err() && with("[aws]\naccount_ids = 1").is_err() && with("[").is_err());
        Ok(())
    }
}
