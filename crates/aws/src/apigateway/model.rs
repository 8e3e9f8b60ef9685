//! A model of a REST API: the JSON schema of a body.

use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RestApi, part, patch};
use crate::error::Unless;
use crate::{Cx, Explain};

/// A model. Its id is `API/NAME`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The API.
    pub api: Ref<Id<RestApi>>,
    /// The name: letters and digits, unique in the API.
    pub name: String,
    /// The description.
    pub description: String,
    /// The content type, such as `application/json`.
    pub content_type: String,
    /// The JSON schema, draft 4, as text.
    pub schema: String,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ModelOutputs {
    /// The name.
    pub name: Ref<String>,
}

impl Resource for Model {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.model";
    const REPLACE: Fields = fields!(Self: api, name, content_type);
    const IDENTITY: Identity = Identity::Part("api");
    const KEY: Fields = fields!(Self: api, name);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = ModelOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.apigateway().create_model().rest_api_id(self.api.known()?).name(&self.name);
        let call = call.description(&self.description).content_type(&self.content_type).schema(&self.schema);
        call.send().await.explain()?;
        self.id()
    }

    /// By its natural key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        Ok(Self::read(cx, &[self.id()?]).await?.pop().map(|live| live.id))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let [api, name] = part::of(id)?;
            let call = cx.apigateway().get_model().rest_api_id(api).model_name(name);
            let Some(found) = call.send().await.explain().unless(Class::NotFound)? else { return Ok::<_, Error>(None) };
            Ok(Some(Live {
                id: id.clone(),
                status: Status::Ready,
                args: Self {
                    api: Ref::Known(Id::new(api)),
                    name: name.to_owned(),
                    description: found.description.unwrap_or_default(),
                    content_type: found.content_type.unwrap_or_default(),
                    schema: found.schema.unwrap_or_default(),
                },
                outputs: ModelOutputs { name: Ref::Known(name.to_owned()) },
            }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let patches = [
            patch::changed("/description", &was.description, &self.description),
            patch::changed("/schema", &was.schema, &self.schema),
        ];
        let call = cx.apigateway().update_model().rest_api_id(self.api.known()?).model_name(&self.name);
        let call = call.set_patch_operations(Some(patches.into_iter().flatten().collect()));
        call.send().await.explain().map(drop)
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let [api, name] = part::of(&live.id)?;
        let call = cx.apigateway().delete_model().rest_api_id(api).model_name(name);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl Model {
    fn id(&self) -> Result<Id<Self>> {
        Ok(part::id(&[self.api.known()?.as_str(), &self.name]))
    }
}
