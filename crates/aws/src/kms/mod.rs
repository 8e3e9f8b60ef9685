//! KMS: keys and aliases, and a lookup of keys.

mod alias;
mod existing_key;
mod key;
mod tags;

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Kind, Owner, Resource, Result, Tags, kind, lookup};

pub use alias::Alias;
pub use existing_key::{ExistingKey, ExistingKeyOutputs};
pub use key::{Key, KeyOutputs};

use crate::error::Unless;
use crate::{Cx, Explain};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Alias>(), lookup::<ExistingKey>(), kind::<Key>()];

/// The keys with their tags. An alias has no tags: it belongs to the key with the same name in its address.
pub(crate) async fn owned(cx: &Cx) -> Result<Vec<(String, Tags)>> {
    let keys = async { cx.kms().list_keys().into_paginator().items().send().try_collect().await.explain() };
    let aliases = async { cx.kms().list_aliases().into_paginator().items().send().try_collect().await.explain() };
    let (keys, aliases) = tokio::try_join!(keys, aliases)?;
    let keys = keys.into_iter().filter_map(|key| key.key_id).map(|id| async move {
        // A key whose policy denies us access is not ours.
        let tags = tags::of(cx, &id).await.unless(Class::NotFound).or_else(|error| match error.class() {
            Class::Denied => Ok(None),
            _ => Err(error),
        })?;
        Ok::<_, payinfra_engine::Error>(tags.map(|tags| (id, tags)))
    });
    let mut found: Vec<(String, Tags)> = try_join_all(keys).await?.into_iter().flatten().collect();
    let of_key = |alias: aws_sdk_kms::types::AliasListEntry| {
        let (_, tags) = found.iter().find(|(id, _)| alias.target_key_id.as_ref() == Some(id))?;
        let address = tags.get(Owner::ADDRESS)?.replace(Key::KIND, Alias::KIND);
        Some((alias.alias_name?, tags.clone().with(Owner::ADDRESS, address)))
    };
    let aliases: Vec<_> = aliases.into_iter().filter_map(of_key).collect();
    found.extend(aliases);
    Ok(found)
}
