//! WAF: web ACLs, and what they guard.

mod rule;
mod tags;
mod web_acl;
mod web_acl_association;

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Kind, Result, Tags, kind};

pub use rule::{ManagedRules, RateLimit, Rule, Statement, Visibility};
pub use web_acl::{DefaultAction, WebAcl, WebAclOutputs};
pub use web_acl_association::WebAclAssociation;

use crate::Cx;
use crate::error::Unless;

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<WebAcl>(), kind::<WebAclAssociation>()];

/// The web ACLs with their tags.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let tagged = web_acl::all(cx).await?.into_iter().map(|(_, arn)| async move {
        let tags = tags::of(cx, &arn).await.unless(Class::NotFound)?;
        Ok::<_, Error>(tags.map(|tags| (arn, tags)))
    });
    Ok(try_join_all(tagged).await?.into_iter().flatten().collect())
}
