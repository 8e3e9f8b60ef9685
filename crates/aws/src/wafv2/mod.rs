//! WAF: web ACLs and their associations.

mod rule;
mod tags;
mod web_acl;
mod web_acl_association;

use payinfra_engine::{Kind, Result, Tags, kind};

pub use rule::{ManagedRules, RateLimit, Rule, Statement, Visibility};
pub use web_acl::{DefaultAction, WebAcl, WebAclOutputs};
pub use web_acl_association::WebAclAssociation;

use crate::Cx;
use crate::tagged::tagged;

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<WebAcl>(), kind::<WebAclAssociation>()];

/// The web ACLs with their tags.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let arns = web_acl::all(cx).await?.into_iter().map(|(_, arn)| arn);
    tagged(arns.map(|arn| (arn.clone(), async move { tags::of(cx, &arn).await }))).await
}
