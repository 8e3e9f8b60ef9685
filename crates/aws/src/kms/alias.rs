//! A KMS alias.

use std::collections::BTreeMap;

use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Key, tags};
use crate::error::{Unless, shown};
use crate::{Cx, Explain};

/// An alias.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The name, starting with `alias/`.
    pub name: String,
    /// The key that it refers to.
    pub key: Ref<Id<Key>>,
}

impl Resource for Alias {
    type Cx = Cx;
    const KIND: &'static str = "kms.alias";
    const REPLACE: Fields = fields!(Self: name);
    const IDENTITY: Identity = Identity::Part("key");
    const KEY: Fields = fields!(Self: name);
    const EXPECTED: Expected = Expected::millis(1_000, 1_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.kms().create_alias().alias_name(&self.name).target_key_id(self.key.known()?);
        call.send().await.explain().map_err(key_is_young)?;
        Ok(Id::new(&self.name))
    }

    /// An alias has no tags, so its key shows the owner. An alias of a key that is pending deletion still belongs to
    /// that key, because the key may be restored (AWS-FACTS §1.2).
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let Some(key) = aliases(cx).await?.remove(&self.name) else { return Ok(None) };
        let tags = shown("key", key.as_str(), tags::of(cx, key.as_str()).await)?;
        let ours = Owner::of(&tags).is_some_and(|key| {
            (&key.stack, &key.workspace, &key.lineage) == (&owner.stack, &owner.workspace, &owner.lineage)
        });
        if !ours {
            let message = format!(
                "`{}` already exists and is not managed by this deployment: it refers to the key {key}",
                self.name
            );
            return Err(Error::new(Class::Foreign, message).taken(&self.name));
        }
        Ok(Some(Id::new(&self.name)))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let mut found = aliases(cx).await?;
        let found = ids.iter().filter_map(|id| {
            let key = Ref::Known(found.remove(id.as_str())?);
            let args = Alias { name: id.to_string(), key };
            Some(Live { id: id.clone(), status: Status::Ready, args, outputs: () })
        });
        Ok(found.collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.key != live.args.key {
            let call = cx.kms().update_alias().alias_name(&live.id).target_key_id(self.key.known()?);
            call.send().await.explain().map_err(key_is_young)?;
        }
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        cx.kms().delete_alias().alias_name(&live.id).send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By its key, because the list of all aliases lags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        Ok(cx.kms().describe_key().key_id(id).send().await.explain().unless(Class::NotFound)?.is_none())
    }
}

/// All aliases of the region, except those of AWS-managed keys that do not exist yet.
async fn aliases(cx: &Cx) -> Result<BTreeMap<String, Id<Key>>> {
    let found = cx.kms().list_aliases().into_paginator().items().send().try_collect().await.explain()?;
    Ok(found.into_iter().filter_map(|alias| Some((alias.alias_name?, Id::new(alias.target_key_id?)))).collect())
}

/// A new key may not have propagated yet (AWS-FACTS §1.2).
fn key_is_young(error: Error) -> Error {
    if error.is(Class::NotFound) { error.into_class(Class::Eventual) } else { error }
}
