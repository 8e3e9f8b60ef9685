//! `EventBridge`: rules of the account's own bus, and their targets.

mod rule;
mod tags;
mod target;

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Kind, Result, Tags, kind};

pub use rule::{On, Rule, RuleOutputs};
pub use target::{Target, Transform};

use crate::error::Unless;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Rule>(), kind::<Target>()];

/// The rules with their tags; targets carry none.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let mut rules = Vec::new();
    let mut next = None;
    loop {
        let page = cx.eventbridge().list_rules().set_next_token(next).send().await.explain()?;
        rules.extend(page.rules.unwrap_or_default().into_iter().filter_map(|rule| Some((rule.name?, rule.arn?))));
        next = page.next_token;
        if next.is_none() {
            break;
        }
    }
    let rules = rules.into_iter().map(|(name, arn)| async move {
        let tags = tags::of(cx, &arn).await.unless(Class::NotFound)?;
        Ok::<_, payinfra_engine::Error>(tags.map(|tags| (name, tags)))
    });
    Ok(try_join_all(rules).await?.into_iter().flatten().collect())
}
