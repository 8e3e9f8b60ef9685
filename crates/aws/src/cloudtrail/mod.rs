//! `CloudTrail`: trails.

mod tags;
mod trail;

use payinfra_engine::{Kind, Result, Tags, kind};

pub use trail::{Trail, TrailOutputs};

use crate::tagged::tagged;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Trail>()];

/// The trails of this region with their tags.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let trails = cx.cloudtrail().describe_trails().include_shadow_trails(false).send().await.explain()?;
    let trails = trails.trail_list.unwrap_or_default().into_iter().filter_map(|it| Some((it.name?, it.trail_arn?)));
    tagged(trails.map(|(name, arn)| (name, async move { tags::of(cx, &arn).await }))).await
}
