//! A resource of a REST API: a part of its paths.

use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RestApi, part};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A resource. Its id is `API/RESOURCE`. An API has at most 300.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiResource {
    /// The API.
    pub api: Ref<Id<RestApi>>,
    /// The id of the parent: an output of the API or of another resource.
    pub parent: Ref<String>,
    /// The last part of its path, such as `payments` or `{payment_id}`; unique below the parent.
    pub path_part: String,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApiResourceOutputs {
    /// The id within the API.
    pub resource: Ref<String>,
    /// The path.
    pub path: Ref<String>,
}

impl Resource for ApiResource {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.resource";
    const REPLACE: Fields = fields!(Self: api, parent, path_part);
    const IDENTITY: Identity = Identity::Part("api");
    const KEY: Fields = fields!(Self: api, parent, path_part);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = ApiResourceOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let api = self.api.known()?;
        let call = cx.apigateway().create_resource().rest_api_id(api).parent_id(self.parent.known()?);
        let made = call.path_part(&self.path_part).send().await.explain()?;
        Ok(part::id(&[api.as_str(), &made.id.need("Id")?]))
    }

    /// By its natural key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let (api, parent) = (self.api.known()?, self.parent.known()?);
        let call = cx.apigateway().get_resources().rest_api_id(api).limit(500);
        let found = call.into_paginator().items().send().try_collect().await.explain().unless(Class::NotFound)?;
        let found = found.unwrap_or_default().into_iter();
        let mut found = found.filter(|it| it.parent_id() == Some(parent) && it.path_part() == Some(&self.path_part));
        Ok(found.next().and_then(|it| it.id).map(|id| part::id(&[api.as_str(), &id])))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let [api, resource] = part::of(id)?;
            let call = cx.apigateway().get_resource().rest_api_id(api).resource_id(resource);
            let Some(found) = call.send().await.explain().unless(Class::NotFound)? else { return Ok::<_, Error>(None) };
            Ok(Some(Live {
                id: id.clone(),
                status: Status::Ready,
                args: Self {
                    api: Ref::Known(Id::new(api)),
                    parent: Ref::Known(found.parent_id.unwrap_or_default()),
                    path_part: found.path_part.unwrap_or_default(),
                },
                outputs: ApiResourceOutputs {
                    resource: Ref::Known(resource.to_owned()),
                    path: Ref::Known(found.path.unwrap_or_default()),
                },
            }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// Nothing of it can change.
    async fn update(&self, _: &Cx, _: &Live<Self>) -> Result<()> {
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let [api, resource] = part::of(&live.id)?;
        let call = cx.apigateway().delete_resource().rest_api_id(api).resource_id(resource);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}
