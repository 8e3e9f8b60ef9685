//! A deployment of a REST API.

use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RestApi, part};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A deployment: an immutable copy of an API's resources and methods. Its id is `API/DEPLOYMENT`.
///
/// It must be ordered after all of them, and its `definition` must change exactly with them. One that a stage refers to
/// cannot be deleted. AWS accepts one create in 5 seconds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// The API.
    pub api: Ref<Id<RestApi>>,
    /// What identifies the API's definition, such as a digest of it. It is the deployment's description.
    pub definition: String,
}

impl Resource for Deployment {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.deployment";
    const REPLACE: Fields = fields!(Self: api, definition);
    const IDENTITY: Identity = Identity::Part("api");
    const CREATE_FIRST: bool = true;
    const EXPECTED: Expected = Expected::millis(1_000, 500);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let api = self.api.known()?;
        let call = cx.apigateway().create_deployment().rest_api_id(api).description(&self.definition);
        Ok(part::id(&[api.as_str(), &call.send().await.explain()?.id.need("Id")?]))
    }

    /// By its definition.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let api = self.api.known()?;
        let call = cx.apigateway().get_deployments().rest_api_id(api).limit(500);
        let found = call.into_paginator().items().send().try_collect().await.explain().unless(Class::NotFound)?;
        let found = found.unwrap_or_default().into_iter();
        let ours = found.filter(|it| it.description().unwrap_or_default() == self.definition);
        let mut ids = ours.filter_map(|it| it.id).map(|id| part::id::<Self>(&[api.as_str(), &id]));
        Ok(ids.find(|id| !cx.is_known(id.as_str())))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let [api, deployment] = part::of(id)?;
            let call = cx.apigateway().get_deployment().rest_api_id(api).deployment_id(deployment);
            let Some(found) = call.send().await.explain().unless(Class::NotFound)? else { return Ok::<_, Error>(None) };
            let args = Self { api: Ref::Known(Id::new(api)), definition: found.description.unwrap_or_default() };
            Ok(Some(Live { id: id.clone(), status: Status::Ready, args, outputs: () }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// Nothing of it can change.
    async fn update(&self, _: &Cx, _: &Live<Self>) -> Result<()> {
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let [api, deployment] = part::of(&live.id)?;
        let call = cx.apigateway().delete_deployment().rest_api_id(api).deployment_id(deployment);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}
