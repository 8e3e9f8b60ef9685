//! Secrets Manager: existing secrets, and generated passwords.

mod password;
mod secret;
mod tags;

use payinfra_engine::{Kind, Result, Tags, kind, lookup};

pub use password::{Password, PasswordOutputs};
pub use secret::{Secret, SecretOutputs};

use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Password>(), lookup::<Secret>()];

/// The secrets with their tags; this list may lag by minutes (AWS-FACTS §1.13).
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let mut pages = cx.secretsmanager().list_secrets().into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let listed = page.explain()?.secret_list.unwrap_or_default().into_iter();
        let alive = listed.filter(|secret| secret.deleted_date.is_none());
        found.extend(alive.filter_map(|secret| Some((secret.arn?, tags::from(secret.tags)))));
    }
    Ok(found)
}
