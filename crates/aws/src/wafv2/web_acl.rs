//! A web ACL, which filters requests to associated resources.

use std::collections::BTreeMap;

use aws_sdk_wafv2::types::{self as sdk, AllowAction, BlockAction, Scope};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Rule, Visibility, tags};
use crate::error::{Unless, claim};
use crate::{Cx, Explain, Need};

/// A regional web ACL. Its list of rules is complete: other rules are removed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebAcl {
    /// The name, unique in the region.
    pub name: String,
    /// The description.
    pub description: String,
    /// The default action, for requests that match no rule.
    pub default_action: DefaultAction,
    /// The rules by name; each has its own priority.
    pub rules: BTreeMap<String, Rule>,
    /// Metrics and sampled requests.
    pub visibility: Visibility,
    /// The tags.
    pub tags: Tags,
}

/// The default action of a web ACL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefaultAction {
    /// Allow.
    Allow,
    /// Block.
    Block,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WebAclOutputs {
    /// The ARN, equal to the id.
    pub arn: Ref<String>,
    /// The name, the dimension `WebACL` of metrics.
    pub name: Ref<String>,
}

/// The page size is a hundred, more than the quota of web ACLs.
const PAGES: usize = 100;

impl Resource for WebAcl {
    type Cx = Cx;
    const KIND: &'static str = "wafv2.web-acl";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    const EXPECTED: Expected = Expected::millis(1_500, 1_000);
    type Outputs = WebAclOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.wafv2().create_web_acl().scope(Scope::Regional).name(&self.name);
        let call = call.set_description(self.description()).default_action(self.default_action.sdk());
        let call = call.set_rules(Some(self.rules()?)).visibility_config(self.visibility.sdk()?);
        let made = call.set_tags(Some(tags::sdk(&self.tags)?)).send().await.explain()?;
        Ok(Id::new(made.summary.and_then(|summary| summary.arn).need("ARN")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let mut found = all(cx).await?.into_iter().filter(|(name, arn)| *name == self.name && !cx.is_known(arn));
        let Some((_, arn)) = found.next() else { return Ok(None) };
        let Some(tags) = tags::of(cx, &arn).await.unless(Class::NotFound)? else { return Ok(None) };
        claim("web ACL", &self.name, Id::new(arn), &tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let found = tokio::try_join!(get(cx, id), tags::of(cx, id.as_str())).unless(Class::NotFound)?;
            Ok::<_, Error>(found.map(|((acl, _), tags)| live(acl, tags)))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// The call replaces everything, and requires the lock token of the current version.
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let ours = (&self.description, self.default_action, &self.rules, &self.visibility);
        if ours != (&was.description, was.default_action, &was.rules, &was.visibility) {
            let (acl, token) = get(cx, &live.id).await?;
            let call = cx.wafv2().update_web_acl().scope(Scope::Regional).name(acl.name).id(acl.id).lock_token(token);
            let call = call.set_description(self.description()).default_action(self.default_action.sdk());
            let call = call.set_rules(Some(self.rules()?)).visibility_config(self.visibility.sdk()?);
            call.send().await.explain()?;
        }
        tags::sync(cx, live.id.as_str(), &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let Some((acl, token)) = get(cx, &live.id).await.unless(Class::NotFound)? else { return Ok(()) };
        let call = cx.wafv2().delete_web_acl().scope(Scope::Regional).name(acl.name).id(acl.id).lock_token(token);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// Regardless of its tags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        Ok(get(cx, id).await.unless(Class::NotFound)?.is_none())
    }
}

impl WebAcl {
    /// AWS does not accept an empty one.
    fn description(&self) -> Option<String> {
        Some(self.description.clone()).filter(|text| !text.is_empty())
    }

    fn rules(&self) -> Result<Vec<sdk::Rule>> {
        self.rules.iter().map(|(name, rule)| rule.sdk(name)).collect()
    }
}

impl DefaultAction {
    fn sdk(self) -> sdk::DefaultAction {
        match self {
            Self::Allow => sdk::DefaultAction::builder().allow(AllowAction::builder().build()).build(),
            Self::Block => sdk::DefaultAction::builder().block(BlockAction::builder().build()).build(),
        }
    }
}

/// The names and ARNs of all regional web ACLs.
pub(super) async fn all(cx: &Cx) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    let mut next = None;
    for _ in 0..PAGES {
        let call = cx.wafv2().list_web_acls().scope(Scope::Regional).limit(100).set_next_marker(next);
        let page = call.send().await.explain()?;
        let acls = page.web_acls.unwrap_or_default();
        let is_last = page.next_marker.is_none() || acls.is_empty();
        all.extend(acls.into_iter().filter_map(|acl| Some((acl.name?, acl.arn?))));
        if is_last {
            break;
        }
        next = page.next_marker;
    }
    Ok(all)
}

/// A web ACL, and the lock token for its next update.
async fn get(cx: &Cx, id: &Id<WebAcl>) -> Result<(sdk::WebAcl, String)> {
    let found = cx.wafv2().get_web_acl().arn(id).send().await.explain()?;
    Ok((found.web_acl.need("WebACL")?, found.lock_token.need("LockToken")?))
}

fn live(acl: sdk::WebAcl, tags: Tags) -> Live<WebAcl> {
    let blocks = acl.default_action.is_some_and(|action| action.block.is_some());
    let outputs = WebAclOutputs { arn: Ref::Known(acl.arn.clone()), name: Ref::Known(acl.name.clone()) };
    Live {
        id: Id::new(acl.arn),
        status: Status::Ready,
        args: WebAcl {
            name: acl.name,
            description: acl.description.unwrap_or_default(),
            default_action: if blocks { DefaultAction::Block } else { DefaultAction::Allow },
            rules: acl.rules.unwrap_or_default().into_iter().map(Rule::from_sdk).collect(),
            visibility: Visibility::from_sdk(acl.visibility_config),
            tags,
        },
        outputs,
    }
}
