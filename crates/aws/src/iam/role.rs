//! An IAM role, with its inline policies and the managed ones attached to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_iam::types::{self as sdk, EntityType};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::error::{Unless, claim};
use crate::{Cx, Explain, Need, Policy};

/// A role. It may take some seconds until other services can assume it (AWS-FACTS §0.7).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The name, at most 64 characters, unique in the account regardless of case.
    pub name: String,
    /// The description.
    pub description: String,
    /// The trust policy: who may assume it.
    pub trust: Policy,
    /// The inline policies by name.
    pub inline: BTreeMap<String, Policy>,
    /// The ARNs of the attached managed policies.
    pub managed: BTreeSet<String>,
    /// The maximum session duration in seconds, 3,600 to 43,200; AWS's default is 3,600.
    pub max_session: i32,
    /// The path, `/` or `/…/`.
    pub path: String,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RoleOutputs {
    /// The role's ARN.
    pub arn: Ref<String>,
}

/// Defaults that AWS does not return.
const DEFAULT_SESSION: i32 = 3_600;

/// From this number of roles on, one list of all roles is cheaper than one call per role.
const MANY: usize = 3;

impl Resource for Role {
    type Cx = Cx;
    const KIND: &'static str = "iam.role";
    const REPLACE: Fields = fields!(Self: name, path);
    const KEY: Fields = fields!(Self: name);
    /// What a task of a region that leaves is allowed to do, it may do to the end.
    const SERVES: Fields = fields!(Self: trust, inline, managed);
    const EXPECTED: Expected = Expected::millis(1_500, 1_500);
    type Outputs = RoleOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.iam().create_role().role_name(&self.name).path(&self.path).description(&self.description);
        let call = call.assume_role_policy_document(self.trust.document()?);
        let call = call.max_session_duration(self.max_session).set_tags(Some(tags::sdk(&self.tags)?));
        Ok(Id::new(call.send().await.explain()?.role.need("Role")?.role_name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let found = cx.iam().get_role().role_name(&self.name).send().await.explain().unless(Class::NotFound)?;
        let Some(found) = found else { return Ok(None) };
        let role = found.role.need("Role")?;
        claim("role", &self.name, Id::new(role.role_name), &tags::from(role.tags), owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let mut listed = if ids.len() < MANY { HashMap::new() } else { policies_of_all(cx).await? };
        let found = ids.iter().map(|id| (id, listed.remove(id.as_str())));
        let found = try_join_all(found.map(|(id, policies)| async move {
            // A role that is missing from the list may be newer than the list.
            let found = tokio::try_join!(async { cx.iam().get_role().role_name(id).send().await.explain() }, async {
                match policies {
                    Some(policies) => Ok(policies),
                    None => policies_of(cx, id).await,
                }
            },);
            found.unless(Class::NotFound)
        }))
        .await?;
        let found = found.into_iter().flatten();
        found.map(|(role, policies)| live(role.role.need("Role")?, policies)).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (iam, was) = (cx.iam(), &live.args);
        if self.trust != was.trust {
            let call = iam.update_assume_role_policy().role_name(&live.id);
            call.policy_document(self.trust.document()?).send().await.explain()?;
        }
        if self.description != was.description || self.max_session != was.max_session {
            // Omitted values are reset, so it sets all values (AWS-FACTS §6.2).
            let call = iam.update_role().role_name(&live.id).description(&self.description);
            call.max_session_duration(self.max_session).send().await.explain()?;
        }
        // Sequentially, because IAM rejects concurrent updates of a role. Additions come before removals.
        for (name, policy) in self.inline.iter().filter(|(name, policy)| was.inline.get(*name) != Some(policy)) {
            let call = iam.put_role_policy().role_name(&live.id).policy_name(name);
            call.policy_document(policy.document()?).send().await.explain()?;
        }
        for arn in self.managed.difference(&was.managed) {
            iam.attach_role_policy().role_name(&live.id).policy_arn(arn).send().await.explain()?;
        }
        for name in was.inline.keys().filter(|name| !self.inline.contains_key(*name)) {
            let call = iam.delete_role_policy().role_name(&live.id).policy_name(name);
            call.send().await.explain().unless(Class::NotFound)?;
        }
        for arn in was.managed.difference(&self.managed) {
            let call = iam.detach_role_policy().role_name(&live.id).policy_arn(arn);
            call.send().await.explain().unless(Class::NotFound)?;
        }
        tags::sync(cx, live.id.as_str(), &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        empty_and_delete(cx, &live.id).await.unless(Class::NotFound).map(drop)
    }

    /// By the role alone, because one of its policies may have been deleted while they were read.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        Ok(cx.iam().get_role().role_name(id).send().await.explain().unless(Class::NotFound)?.is_none())
    }
}

/// A role can only be deleted without policies and instance profiles; some may have been attached since it was read.
async fn empty_and_delete(cx: &Cx, id: &Id<Role>) -> Result<()> {
    let iam = cx.iam();
    let attached = iam.list_attached_role_policies().role_name(id);
    let attached = attached.into_paginator().items().send().try_collect().await.explain()?;
    for arn in attached.into_iter().filter_map(|policy| policy.policy_arn) {
        let call = iam.detach_role_policy().role_name(id).policy_arn(arn);
        call.send().await.explain().unless(Class::NotFound)?;
    }
    let names = iam.list_role_policies().role_name(id).into_paginator().items().send().try_collect().await.explain()?;
    for name in names {
        let call = iam.delete_role_policy().role_name(id).policy_name(name);
        call.send().await.explain().unless(Class::NotFound)?;
    }
    let profiles = iam.list_instance_profiles_for_role().role_name(id);
    for profile in profiles.into_paginator().items().send().try_collect().await.explain()? {
        let call = iam.remove_role_from_instance_profile().role_name(id);
        let call = call.instance_profile_name(profile.instance_profile_name);
        call.send().await.explain().unless(Class::NotFound)?;
    }
    iam.delete_role().role_name(id).send().await.explain().map(drop)
}

/// The policies of a role: the inline ones, and the ARNs of the attached ones.
#[derive(Default)]
struct Policies {
    inline: BTreeMap<String, Policy>,
    managed: BTreeSet<String>,
}

/// The policies of all roles of the account, by role name.
async fn policies_of_all(cx: &Cx) -> Result<HashMap<String, Policies>> {
    let call = cx.iam().get_account_authorization_details().filter(EntityType::Role).max_items(1_000);
    let mut pages = call.into_paginator().send();
    let mut all = HashMap::new();
    while let Some(page) = pages.next().await {
        for role in page.explain()?.role_detail_list.unwrap_or_default() {
            let inline = role.role_policy_list.unwrap_or_default().into_iter();
            let inline = inline
                .map(|policy| Ok((policy.policy_name.need("PolicyName")?, parse(policy.policy_document.as_deref())?)));
            let policies = Policies {
                inline: inline.collect::<Result<_>>()?,
                managed: arns(role.attached_managed_policies.unwrap_or_default()),
            };
            all.insert(role.role_name.need("RoleName")?, policies);
        }
    }
    Ok(all)
}

/// The policies of one role.
async fn policies_of(cx: &Cx, id: &Id<Role>) -> Result<Policies> {
    let attached = cx.iam().list_attached_role_policies().role_name(id).into_paginator().items();
    let names = cx.iam().list_role_policies().role_name(id).into_paginator().items();
    let (attached, names) = tokio::try_join!(async { attached.send().try_collect().await.explain() }, async {
        names.send().try_collect().await.explain()
    },)?;
    let inline = names.into_iter().map(|name| async move {
        let call = cx.iam().get_role_policy().role_name(id).policy_name(name);
        let policy = call.send().await.explain()?;
        Ok::<_, Error>((policy.policy_name, parse(Some(&policy.policy_document))?))
    });
    Ok(Policies { inline: try_join_all(inline).await?.into_iter().collect(), managed: arns(attached) })
}

fn arns(policies: Vec<sdk::AttachedPolicy>) -> BTreeSet<String> {
    policies.into_iter().filter_map(|policy| policy.policy_arn).collect()
}

/// IAM returns percent-encoded documents.
fn parse(document: Option<&str>) -> Result<Policy> {
    let document = percent_decode_str(document.need("PolicyDocument")?).decode_utf8();
    Policy::parse(&document.map_err(|_| Error::failed("AWS returned a policy that is not UTF-8"))?)
}

fn live(role: sdk::Role, policies: Policies) -> Result<Live<Role>> {
    Ok(Live {
        id: Id::new(&role.role_name),
        status: Status::Ready,
        args: Role {
            name: role.role_name,
            description: role.description.unwrap_or_default(),
            trust: parse(role.assume_role_policy_document.as_deref())?,
            inline: policies.inline,
            managed: policies.managed,
            max_session: role.max_session_duration.unwrap_or(DEFAULT_SESSION),
            path: role.path,
            tags: tags::from(role.tags),
        },
        outputs: RoleOutputs { arn: Ref::Known(role.arn) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_documents_as_iam_returns_them() -> Result<()> {
        let document = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D";
        assert_eq!(parse(Some(document))?, Policy::default());
        assert_eq!(parse(Some(r#"{"Version":"2012-10-17","Statement":[]}"#))?, Policy::default());
        Ok(())
    }
}
