//! A KMS key: symmetric, in one region.

use aws_sdk_kms::types::{KeyMetadata, KeyState};
use aws_smithy_types::date_time::Format;
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::error::Unless;
use crate::{Cx, Explain, Need, Policy};

/// A symmetric encryption key.
///
/// A deleted key is scheduled for deletion and can be restored until its waiting period ends; then all data that it
/// encrypted is lost. AWS
/// gives the next key another id.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The description.
    pub description: String,
    /// The key policy. It must allow the account's root user to administer the key; otherwise AWS rejects it.
    pub policy: Policy,
    /// Whether it is enabled. A key whose restore was interrupted, or that was disabled manually, is not.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Whether automatic rotation is enabled; a disabled key is never rotated.
    pub rotation: bool,
    /// The waiting period before deletion in days, 7 to 30. AWS only stores it when the key is deleted, so until then
    /// the tag `payinfra:deletion-window` of the key does.
    pub deletion_window: i32,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeyOutputs {
    /// The key's ARN.
    pub arn: Ref<String>,
}

/// The value for keys from before this field existed.
fn enabled() -> bool {
    true
}

const WINDOW: &str = "payinfra:deletion-window";

/// AWS's default.
const DEFAULT_WINDOW: i32 = 30;

impl Key {
    /// The tags, including the one that stores a field.
    fn all_tags(&self) -> Tags {
        self.tags.clone().with(WINDOW, self.deletion_window.to_string())
    }
}

impl Resource for Key {
    type Cx = Cx;
    const KIND: &'static str = "kms.key";
    const REPLACE: Fields = fields!(Self:);
    const SERVES: Fields = fields!(Self: policy);
    /// All data that it encrypts is lost with it.
    const KEEPS_DATA: bool = true;
    const EXPECTED: Expected = Expected::millis(2_000, 300);
    type Outputs = KeyOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.kms().create_key().description(&self.description).policy(self.policy.document()?);
        let call = call.bypass_policy_lockout_safety_check(false).set_tags(Some(tags::sdk(&self.all_tags())?));
        Ok(Id::new(call.send().await.explain()?.key_metadata.need("KeyMetadata")?.key_id))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        // KMS cannot search by tag, and the tagging API lags by minutes, so ask each key (AWS-FACTS §2).
        let keys = cx.kms().list_keys().into_paginator().items().send().try_collect().await.explain()?;
        let keys = keys.into_iter().filter_map(|key| key.key_id).filter(|id| !cx.is_known(id));
        let asked = try_join_all(keys.map(|id| owned(cx, owner, id))).await?;
        // If access to every key is denied, the reason is a missing permission of ours, not the policy of somebody
        // else's key.
        if !asked.is_empty() && asked.iter().all(Result::is_err) {
            return asked.into_iter().collect::<Result<Vec<_>>>().map(|_| None);
        }
        Ok(asked.into_iter().flatten().flatten().next().map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found =
            try_join_all(ids.iter().map(|id| async move { live(cx, id).await.unless(Class::NotFound) })).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let kms = cx.kms();
        if self.policy != live.args.policy {
            kms.put_key_policy().key_id(&live.id).policy(self.policy.document()?).send().await.explain()?;
        }
        if self.description != live.args.description {
            kms.update_key_description().key_id(&live.id).description(&self.description).send().await.explain()?;
        }
        // AWS only changes the rotation of enabled keys.
        if self.enabled && !live.args.enabled {
            kms.enable_key().key_id(&live.id).send().await.explain()?;
        }
        if self.rotation && !live.args.rotation {
            kms.enable_key_rotation().key_id(&live.id).send().await.explain()?;
        } else if !self.rotation && live.args.rotation {
            kms.disable_key_rotation().key_id(&live.id).send().await.explain()?;
        }
        if !self.enabled && live.args.enabled {
            kms.disable_key().key_id(&live.id).send().await.explain()?;
        }
        tags::sync(cx, live.id.as_str(), &live.args.all_tags(), &self.all_tags()).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.kms().schedule_key_deletion().key_id(&live.id);
        let call = call.pending_window_in_days(live.args.deletion_window);
        // A key that is already pending deletion has this class as well.
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By the key alone: other calls of a read may be rejected for some keys.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        Ok(state(cx, id).await.unless(Class::NotFound)?.is_none())
    }

    /// In two steps, of which an earlier attempt may have completed the first, because AWS leaves the key disabled. If
    /// this is interrupted between the two, the next read shows a disabled key, which `update` enables.
    async fn restore(cx: &Cx, live: &Live<Self>) -> Result<()> {
        if is_dying(state(cx, &live.id).await?.as_ref()) {
            cx.kms().cancel_key_deletion().key_id(&live.id).send().await.explain()?;
        }
        cx.kms().enable_key().key_id(&live.id).send().await.explain().map(drop)
    }
}

/// The id, if the key is `owner`'s and not pending deletion. The outer error ends the search; the inner one is a key
/// whose policy denies us access, which is therefore not ours.
async fn owned(cx: &Cx, owner: &Owner, id: String) -> Result<Result<Option<String>>> {
    let tags = match tags::of(cx, &id).await.unless(Class::NotFound) {
        Err(error) if error.is(Class::Denied) => return Ok(Err(error)),
        tags => tags?,
    };
    if !tags.is_some_and(|tags| owner.owns(&tags)) {
        return Ok(Ok(None));
    }
    Ok(Ok(is_alive(cx, &Id::new(&id)).await?.then_some(id)))
}

/// Whether the key exists and is not pending deletion.
async fn is_alive(cx: &Cx, id: &Id<Key>) -> Result<bool> {
    Ok(state(cx, id).await.unless(Class::NotFound)?.is_some_and(|state| !is_dying(state.as_ref())))
}

async fn state(cx: &Cx, id: &Id<Key>) -> Result<Option<KeyState>> {
    let key = cx.kms().describe_key().key_id(id).send().await.explain()?;
    Ok(key.key_metadata.need("KeyMetadata")?.key_state)
}

fn is_dying(state: Option<&KeyState>) -> bool {
    matches!(state, Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion))
}

/// When a key that is pending deletion is deleted.
fn until(key: &KeyMetadata) -> String {
    match key.deletion_date.and_then(|date| date.fmt(Format::DateTime).ok()) {
        Some(date) => format!("until {date}"),
        None => "after its last replica is deleted and its waiting period has passed".to_owned(),
    }
}

async fn live(cx: &Cx, id: &Id<Key>) -> Result<Live<Key>> {
    let kms = cx.kms();
    let (key, policy, rotation, all) = tokio::try_join!(
        async { kms.describe_key().key_id(id).send().await.explain() },
        async { kms.get_key_policy().key_id(id).send().await.explain() },
        // The call is rejected for some keys that are pending deletion, with this class.
        async { kms.get_key_rotation_status().key_id(id).send().await.explain().unless(Class::NotFound) },
        tags::of(cx, id.as_str()),
    )?;
    let key = key.key_metadata.need("KeyMetadata")?;
    let status = match &key.key_state {
        Some(KeyState::Creating) => Status::Pending,
        state if is_dying(state.as_ref()) => Status::Scheduled(until(&key)),
        _ => Status::Ready,
    };
    Ok(Live {
        id: Id::new(key.key_id),
        status,
        args: Key {
            description: key.description.unwrap_or_default(),
            policy: Policy::parse(&policy.policy.need("Policy")?)?,
            enabled: key.key_state != Some(KeyState::Disabled),
            rotation: rotation.is_some_and(|it| it.key_rotation_enabled),
            deletion_window: all.get(WINDOW).and_then(|days| days.parse().ok()).unwrap_or(DEFAULT_WINDOW),
            tags: all.iter().filter(|(key, _)| *key != WINDOW).collect(),
        },
        outputs: KeyOutputs { arn: Ref::Known(key.arn.need("Arn")?) },
    })
}
