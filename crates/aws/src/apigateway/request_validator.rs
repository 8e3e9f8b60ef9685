//! A request validator of a REST API.

use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RestApi, part, patch};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A request validator: what methods that refer to it validate before they invoke anything. Its id is `API/VALIDATOR`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestValidator {
    /// The API.
    pub api: Ref<Id<RestApi>>,
    /// The name; AWS does not require it to be unique in the API, but it must be.
    pub name: String,
    /// Whether the body is validated with the method's model.
    pub body: bool,
    /// Whether required parameters must be present.
    pub parameters: bool,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RequestValidatorOutputs {
    /// The id within the API.
    pub validator: Ref<String>,
}

impl Resource for RequestValidator {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.request-validator";
    const REPLACE: Fields = fields!(Self: api, name);
    const IDENTITY: Identity = Identity::Part("api");
    const KEY: Fields = fields!(Self: api, name);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = RequestValidatorOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let api = self.api.known()?;
        let call = cx.apigateway().create_request_validator().rest_api_id(api).name(&self.name);
        let call = call.validate_request_body(self.body).validate_request_parameters(self.parameters);
        let made = call.send().await.explain()?;
        Ok(part::id(&[api.as_str(), &made.id.need("Id")?]))
    }

    /// By its name.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let api = self.api.known()?;
        let call = cx.apigateway().get_request_validators().rest_api_id(api).limit(500);
        let found = call.send().await.explain().unless(Class::NotFound)?.and_then(|found| found.items);
        let named = found.unwrap_or_default().into_iter().filter(|it| it.name() == Some(&self.name));
        let mut ids = named.filter_map(|it| it.id).map(|id| part::id::<Self>(&[api.as_str(), &id]));
        Ok(ids.find(|id| !cx.is_known(id.as_str())))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let [api, validator] = part::of(id)?;
            let call = cx.apigateway().get_request_validator().rest_api_id(api).request_validator_id(validator);
            let Some(found) = call.send().await.explain().unless(Class::NotFound)? else { return Ok::<_, Error>(None) };
            Ok(Some(Live {
                id: id.clone(),
                status: Status::Ready,
                args: Self {
                    api: Ref::Known(Id::new(api)),
                    name: found.name.unwrap_or_default(),
                    body: found.validate_request_body,
                    parameters: found.validate_request_parameters,
                },
                outputs: RequestValidatorOutputs { validator: Ref::Known(validator.to_owned()) },
            }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let [api, validator] = part::of(&live.id)?;
        let patches = [
            patch::changed("/validateRequestBody", &live.args.body, &self.body),
            patch::changed("/validateRequestParameters", &live.args.parameters, &self.parameters),
        ];
        let call = cx.apigateway().update_request_validator().rest_api_id(api).request_validator_id(validator);
        let call = call.set_patch_operations(Some(patches.into_iter().flatten().collect()));
        call.send().await.explain().map(drop)
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let [api, validator] = part::of(&live.id)?;
        let call = cx.apigateway().delete_request_validator().rest_api_id(api).request_validator_id(validator);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}
