//! `EventBridge`: rules of the default event bus, and their targets.

mod rule;
mod tags;
mod target;
mod targets;

use payinfra_engine::{Kind, Result, Tags, kind};

pub use rule::{On, Rule, RuleOutputs};
pub use target::{Target, Transform};

use crate::tagged::tagged;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Rule>(), kind::<Target>()];

/// The rules with their tags; targets have no tags.
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
    tagged(rules.into_iter().map(|(name, arn)| (name, async move { tags::of(cx, &arn).await }))).await
}
