//! A response that API Gateway itself gives.

use std::collections::BTreeMap;

use aws_sdk_apigateway::types::GatewayResponseType;
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RestApi, part};
use crate::error::{Unless, vacant};
use crate::{Cx, Explain};

/// A response of a REST API to a request that does not reach an integration, or whose integration fails. Its id is
/// `API/TYPE`. Changes take effect with the next deployment.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayResponse {
    /// The API.
    pub api: Ref<Id<RestApi>>,
    /// The type, such as `INVALID_API_KEY`; `DEFAULT_4XX` and `DEFAULT_5XX` are for all types without a response of
    /// their own, which keep their status codes.
    pub response_type: String,
    /// The status code; if `None`, that of AWS, or the present one.
    pub status_code: Option<String>,
    /// The values of headers, such as `'*'` for `gatewayresponse.header.Access-Control-Allow-Origin`.
    pub parameters: BTreeMap<String, String>,
    /// The templates of the body by content type, at least one: without, AWS uses its own.
    pub templates: BTreeMap<String, String>,
}

impl Resource for GatewayResponse {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.gateway-response";
    const REPLACE: Fields = fields!(Self: api, response_type);
    const IDENTITY: Identity = Identity::Part("api");
    const KEY: Fields = fields!(Self: api, response_type);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let id = self.id()?;
        vacant(Self::read(cx, std::slice::from_ref(&id)).await?.pop().map(|live| live.id), "gateway response")?;
        self.put(cx, self.status_code.as_ref()).await?;
        Ok(id)
    }

    /// By its natural key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        Ok(Self::read(cx, &[self.id()?]).await?.pop().map(|live| live.id))
    }

    /// AWS returns its own response for a type without another one.
    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let [api, kind] = part::of(id)?;
            let call = cx.apigateway().get_gateway_response().rest_api_id(api).response_type(kind.into());
            let found = call.send().await.explain().unless(Class::NotFound)?;
            let Some(found) = found.filter(|found| !found.default_response) else { return Ok::<_, Error>(None) };
            Ok(Some(Live {
                id: id.clone(),
                status: Status::Ready,
                args: Self {
                    api: Ref::Known(Id::new(api)),
                    response_type: kind.to_owned(),
                    status_code: found.status_code,
                    parameters: found.response_parameters.unwrap_or_default().into_iter().collect(),
                    templates: found.response_templates.unwrap_or_default().into_iter().collect(),
                },
                outputs: (),
            }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// As a whole, in one call. An unmanaged status code stays.
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        self.put(cx, self.status_code.as_ref().or(live.args.status_code.as_ref())).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let [api, kind] = part::of(&live.id)?;
        let call = cx.apigateway().delete_gateway_response().rest_api_id(api).response_type(kind.into());
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl GatewayResponse {
    fn id(&self) -> Result<Id<Self>> {
        Ok(part::id(&[self.api.known()?.as_str(), &self.response_type]))
    }

    async fn put(&self, cx: &Cx, status_code: Option<&String>) -> Result<()> {
        let kind = GatewayResponseType::from(self.response_type.as_str());
        let call = cx.apigateway().put_gateway_response().rest_api_id(self.api.known()?).response_type(kind);
        let call = call.set_status_code(status_code.cloned());
        let call = call.set_response_parameters(Some(self.parameters.clone().into_iter().collect()));
        let call = call.set_response_templates(Some(self.templates.clone().into_iter().collect()));
        call.send().await.explain().map(drop)
    }
}
