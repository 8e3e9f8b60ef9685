//! Which account the first apply goes to, where the configuration does not say it.

use payinfra_aws::Access;
use payinfra_engine::{Class, Error, Result};

use crate::context::Session;
use crate::screen;

/// An account that the configuration does not name.
pub(crate) struct Unnamed {
    access: Access,
}

impl Unnamed {
    /// The account of `access`, unless `allowed` names accounts or an emulated AWS stands for it.
    pub(crate) fn of(access: &Access, allowed: &[&str]) -> Option<Self> {
        (allowed.is_empty() && !access.is_emulated()).then(|| Self { access: access.clone() })
    }
}

impl Session {
    /// Asks before the first apply of a workspace whether this is the account, where `[aws] account_ids` does not say it.
    ///
    /// # Errors
    /// If nobody is here to answer, or the answer is no.
    pub(crate) async fn confirm_account(&self, may_ask: bool) -> Result<()> {
        let Some(unnamed) = &self.unnamed else { return Ok(()) };
        if self.kept.load().await?.version.is_some() {
            return Ok(());
        }
        let account = &self.account;
        let named = match unnamed.access.alias().await {
            Some(alias) => format!("{account} ({alias})"),
            None => account.clone(),
        };
        if !may_ask || !screen::can_ask() {
            return Err(refusal(account, &named));
        }
        if screen::ask(&format!("`[aws] account_ids` names no account. Apply in account {named}?")).await {
            return Ok(());
        }
        Err(Error::new(Class::Cancelled, format!("nothing was done in account {named}")))
    }
}

fn refusal(account: &str, named: &str) -> Error {
    Error::invalid(format!("nothing says that the first apply goes to account {named}"))
        .hint(format!("add this line to `[aws]` in payinfra.toml: account_ids = [\"{account}\"]"))
}
