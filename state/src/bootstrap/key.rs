//! The key that encrypts the states and the locks.

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyMetadata, KeyState, Tag};
use payinfra_engine::{Class, Error, Result};
use payinfra_sdk::{Explain, Need, Unless};

use super::{Existing, Found, Made, PATIENCE, TAG, TIMEOUT, read_back};
use crate::retry::{patiently, timeouts};

pub(super) const ALIAS: &str = "alias/payinfra-state";

pub(super) struct Keys {
    kms: Client,
}

impl Keys {
    pub(super) fn new(config: &SdkConfig) -> Self {
        let config = aws_sdk_kms::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts(TIMEOUT));
        Self { kms: Client::from_conf(config.build()) }
    }

    /// The key with the alias, and whether bootstrap created it.
    pub(super) async fn find(&self) -> Result<(Option<KeyMetadata>, Found)> {
        let Some(key) = describe(&self.kms, ALIAS).await? else { return Ok((None, Found::Missing)) };
        let tagged = is_tagged(&self.kms, key.key_id()).await?;
        Ok((Some(key), if tagged { Found::Ours } else { Found::Untagged }))
    }

    /// Creates the key if it is missing, tags it, and enables rotation.
    pub(super) async fn ensure(&self, key: Option<KeyMetadata>, found: Found) -> Result<Made> {
        let kms = &self.kms;
        let (key, found) = match key {
            Some(key) => (key, found),
            None => match make(kms).await? {
                (key, true) => (key, Found::Missing),
                (key, false) => {
                    let found = if is_tagged(kms, key.key_id()).await? { Found::Ours } else { Found::Untagged };
                    found.may_be_changed(&format!("key `{ALIAS}`"), Existing::Refuse)?;
                    (key, found)
                }
            },
        };
        if key.key_state() != Some(&KeyState::Enabled) {
            let state = key.key_state().map_or("unknown", KeyState::as_str);
            return Err(Error::failed(format!("key `{ALIAS}` cannot be used: its key state is {state}"))
                .hint("enable it, or cancel its deletion; data that it encrypted cannot be read without it"));
        }
        let arn = key.arn().need("Arn")?;
        let what = format!("key `{ALIAS}`");
        let mut repaired = Vec::new();
        let is_tagged = || is_tagged(kms, arn);
        if found == Found::Untagged {
            let call = kms.tag_resource().key_id(arn).tags(tag()?);
            patiently(|| async { call.clone().send().await.explain() }).await?;
            repaired.push(read_back(&what, "tags", PATIENCE, is_tagged).await?);
        }
        let call = kms.get_key_rotation_status().key_id(arn);
        let rotates = || patiently(|| async { Ok(call.clone().send().await.explain()?.key_rotation_enabled) });
        if !rotates().await? {
            let call = kms.enable_key_rotation().key_id(arn);
            patiently(|| async { call.clone().send().await.explain() }).await?;
            repaired.push(read_back(&what, "rotation", PATIENCE, rotates).await?);
        }
        Ok(Made::new(arn, found, repaired))
    }
}

/// Whether it has our tag. A key whose tags we may not read is not ours.
async fn is_tagged(kms: &Client, id: &str) -> Result<bool> {
    let ours = tag()?;
    let mut marker = None;
    loop {
        let call = kms.list_resource_tags().key_id(id).set_marker(marker);
        let page = patiently(|| async { call.clone().send().await.explain() }).await;
        let Some(page) = page.unless(Class::Denied)? else { return Ok(false) };
        if page.tags().contains(&ours) {
            return Ok(true);
        }
        marker = page.next_marker;
        if marker.is_none() {
            return Ok(false);
        }
    }
}

async fn describe(kms: &Client, id: &str) -> Result<Option<KeyMetadata>> {
    let call = kms.describe_key().key_id(id);
    let answer = patiently(|| async { call.clone().send().await.explain() }).await;
    Ok(answer.unless(Class::NotFound)?.and_then(|answer| answer.key_metadata))
}

/// A key with our tag that an interrupted bootstrap left without the alias, or else a new key; and whether it is new.
async fn make(kms: &Client) -> Result<(KeyMetadata, bool)> {
    let found = leftover(kms).await?;
    let created = found.is_none();
    let key = if let Some(key) = found {
        key
    } else {
        let call = kms.create_key().description("Encrypts the states of payinfra").tags(tag()?);
        let answer = call.send().await.explain().map_err(|error| match error.class() {
            Class::Ambiguous => error.hint("run `payinfra bootstrap` again; it finds the key if it was created"),
            _ => error,
        });
        answer?.key_metadata.need("KeyMetadata")?
    };
    let call = kms.create_alias().alias_name(ALIAS).target_key_id(key.key_id());
    let named = patiently(|| async { call.clone().send().await.explain() }).await;
    if named.unless(Class::Foreign)?.is_some() {
        return Ok((key, created));
    }
    // The alias exists now. Either a response was lost, or another bootstrap was faster; then use its key and delete
    // ours.
    let theirs = describe(kms, ALIAS).await?.need("KeyMetadata")?;
    if theirs.key_id() == key.key_id() {
        return Ok((key, created));
    }
    if created {
        let call = kms.schedule_key_deletion().key_id(key.key_id()).pending_window_in_days(7);
        patiently(|| async { call.clone().send().await.explain() }).await?;
    }
    Ok((theirs, false))
}

async fn leftover(kms: &Client) -> Result<Option<KeyMetadata>> {
    let mut marker = None;
    loop {
        let call = kms.list_keys().set_marker(marker);
        let page = patiently(|| async { call.clone().send().await.explain() }).await?;
        for id in page.keys().iter().filter_map(|key| key.key_id()) {
            if !is_tagged(kms, id).await? {
                continue;
            }
            if let Some(key) = describe(kms, id).await?.filter(|key| key.key_state() == Some(&KeyState::Enabled)) {
                return Ok(Some(key));
            }
        }
        marker = page.next_marker;
        if marker.is_none() {
            return Ok(None);
        }
    }
}

fn tag() -> Result<Tag> {
    Tag::builder().tag_key(TAG.0).tag_value(TAG.1).build().map_err(|error| Error::failed(error.to_string()))
}
