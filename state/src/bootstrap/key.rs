//! The key that encrypts states and locks.

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::types::{KeyMetadata, KeyState, Tag};
use payinfra_engine::{Class, Error, Result};
use payinfra_sdk::{Explain, Need, Unless};

use super::{Made, TAG, TIMEOUT, set};
use crate::retry::{patiently, timeouts};

const ALIAS: &str = "alias/payinfra-state";

/// Makes the key if it is missing, and lets it rotate.
pub(super) async fn ensure(config: &SdkConfig) -> Result<Made> {
    let config = aws_sdk_kms::config::Builder::from(config)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(TIMEOUT));
    let kms = Client::from_conf(config.build());
    let (key, created) = match describe(&kms, ALIAS).await? {
        Some(key) => (key, false),
        None => make(&kms).await?,
    };
    if key.key_state() != Some(&KeyState::Enabled) {
        let state = key.key_state().map_or("unknown", KeyState::as_str);
        return Err(Error::failed(format!("the key {ALIAS} cannot be used: its state is {state}"))
            .hint("enable it, or cancel its deletion: what it encrypted cannot be read without it"));
    }
    let call = kms.get_key_rotation_status().key_id(key.key_id());
    let rotates = patiently(|| async { call.clone().send().await.explain() }).await?.key_rotation_enabled;
    if !rotates {
        let call = kms.enable_key_rotation().key_id(key.key_id());
        patiently(|| async { call.clone().send().await.explain() }).await?;
    }
    let arn = key.arn().need("Arn")?;
    Ok(Made::new(arn, created, [set("rotation", !rotates)]))
}

async fn describe(kms: &Client, id: &str) -> Result<Option<KeyMetadata>> {
    let call = kms.describe_key().key_id(id);
    let answer = patiently(|| async { call.clone().send().await.explain() }).await;
    Ok(answer.unless(Class::NotFound)?.and_then(|answer| answer.key_metadata))
}

/// A key with our tag that an interrupted bootstrap left without its alias, or else a new one; and whether it is new.
async fn make(kms: &Client) -> Result<(KeyMetadata, bool)> {
    let found = leftover(kms).await?;
    let created = found.is_none();
    let key = if let Some(key) = found {
        key
    } else {
        let call = kms.create_key().description("Encrypts the states of payinfra").tags(tag()?);
        let answer = call.send().await.explain().map_err(|error| match error.class() {
            Class::Ambiguous => error.hint("run `payinfra bootstrap` again: it finds the key if it was made"),
            _ => error,
        });
        answer?.key_metadata.need("KeyMetadata")?
    };
    let call = kms.create_alias().alias_name(ALIAS).target_key_id(key.key_id());
    let named = patiently(|| async { call.clone().send().await.explain() }).await;
    if named.unless(Class::Foreign)?.is_some() {
        return Ok((key, created));
    }
    // The alias is there now: an answer was lost, or somebody else was faster. Then their key counts, and ours goes.
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
    let ours = tag()?;
    let mut marker = None;
    loop {
        let call = kms.list_keys().set_marker(marker);
        let page = patiently(|| async { call.clone().send().await.explain() }).await?;
        for id in page.keys().iter().filter_map(|key| key.key_id()) {
            let call = kms.list_resource_tags().key_id(id);
            let tags = patiently(|| async { call.clone().send().await.explain() }).await;
            // Keys that we may not look at are not ours.
            let Some(tags) = tags.unless(Class::Denied)? else { continue };
            if !tags.tags().contains(&ours) {
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
