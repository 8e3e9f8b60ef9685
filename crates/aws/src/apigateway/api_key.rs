//! An API key.

use aws_sdk_apigateway::operation::get_api_key::GetApiKeyOutput;
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Live, Owner, Resource, Result, Secret, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{patch, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A key with which clients are told apart, for usage plans. Names are not unique, so it is found by its tags. payinfra
/// does not store its value, and shows it only with `payinfra output --show-sensitive`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// The value, 20 to 128 characters, unique in the account and region; AWS generates one if `None`.
    pub value: Option<Secret<String>>,
    /// The tags.
    pub tags: Tags,
}

impl Resource for ApiKey {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.api-key";
    const REPLACE: Fields = fields!(Self: value);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.apigateway().create_api_key().name(&self.name).description(&self.description);
        let call = call.enabled(self.enabled).set_tags(Some(tags::sdk(&self.tags)));
        let value = self.value.as_ref().map(Secret::expose).transpose()?.cloned();
        Ok(Id::new(call.set_value(value).send().await.explain()?.id.need("Id")?))
    }

    /// By its tags.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.apigateway().get_api_keys().limit(500);
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        let ours = found.into_iter().filter(|key| owner.owns(&tags::from(key.tags.clone())));
        Ok(ours.filter_map(|key| key.id).find(|id| !cx.is_known(id)).map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let call = cx.apigateway().get_api_key().api_key(id).include_value(true);
            Ok::<_, Error>(call.send().await.explain().unless(Class::NotFound)?.map(|key| live(id, key)))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let patches = [
            patch::changed("/name", &was.name, &self.name),
            patch::changed("/description", &was.description, &self.description),
            patch::changed("/enabled", &was.enabled, &self.enabled),
        ];
        let patches: Vec<_> = patches.into_iter().flatten().collect();
        if !patches.is_empty() {
            let call = cx.apigateway().update_api_key().api_key(&live.id);
            call.set_patch_operations(Some(patches)).send().await.explain()?;
        }
        tags::sync(cx, &format!("/apikeys/{}", live.id), &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        cx.apigateway().delete_api_key().api_key(&live.id).send().await.explain().unless(Class::NotFound).map(drop)
    }
}

fn live(id: &Id<ApiKey>, key: GetApiKeyOutput) -> Live<ApiKey> {
    Live {
        id: id.clone(),
        status: Status::Ready,
        args: ApiKey {
            name: key.name.unwrap_or_default(),
            description: key.description.unwrap_or_default(),
            enabled: key.enabled,
            value: key.value.map(Secret::new),
            tags: tags::from(key.tags),
        },
        outputs: (),
    }
}
