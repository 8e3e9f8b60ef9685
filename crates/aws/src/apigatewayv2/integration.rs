//! An integration of an HTTP API: what its routes invoke.

use aws_sdk_apigatewayv2::operation::get_integration::GetIntegrationOutput;
use aws_sdk_apigatewayv2::types as sdk;
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Api, part};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// An integration. Its id is `API/INTEGRATION`. AWS has no name for it, so an interrupted create is found by its type
/// and URI.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Integration {
    /// The API.
    pub api: Ref<Id<Api>>,
    /// The type.
    pub kind: IntegrationType,
    /// The ARN of a function or alias, or a URL.
    pub uri: Ref<String>,
    /// The HTTP method with which it is invoked, `POST` for functions.
    pub http_method: String,
    /// The version of the event that functions get: `1.0` or `2.0`.
    pub payload_format: String,
    /// The timeout in milliseconds, 50 to 30,000.
    pub timeout_millis: i32,
    /// The description.
    pub description: String,
}

/// The type of an integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationType {
    /// A function.
    AwsProxy,
    /// An HTTP endpoint.
    HttpProxy,
    /// Another one, by AWS's name; only returned by reads.
    #[serde(untagged)]
    Other(String),
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IntegrationOutputs {
    /// The target of routes: `integrations/ID`.
    pub target: Ref<String>,
}

impl IntegrationType {
    fn sdk(&self) -> sdk::IntegrationType {
        match self {
            Self::AwsProxy => sdk::IntegrationType::AwsProxy,
            Self::HttpProxy => sdk::IntegrationType::HttpProxy,
            Self::Other(name) => sdk::IntegrationType::from(name.as_str()),
        }
    }

    fn from(kind: Option<sdk::IntegrationType>) -> Self {
        match kind {
            Some(sdk::IntegrationType::AwsProxy) => Self::AwsProxy,
            Some(sdk::IntegrationType::HttpProxy) => Self::HttpProxy,
            other => Self::Other(other.map(|kind| kind.as_str().to_owned()).unwrap_or_default()),
        }
    }
}

impl Resource for Integration {
    type Cx = Cx;
    const KIND: &'static str = "apigatewayv2.integration";
    const REPLACE: Fields = fields!(Self: api, kind);
    const IDENTITY: Identity = Identity::Part("api");
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = IntegrationOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let api = self.api.known()?;
        let call = cx.apigatewayv2().create_integration().api_id(api).integration_type(self.kind.sdk());
        let call = call.integration_uri(self.uri.known()?).integration_method(&self.http_method);
        let call = call.payload_format_version(&self.payload_format).timeout_in_millis(self.timeout_millis);
        let made = call.description(&self.description).send().await.explain()?;
        Ok(part::id(api.as_str(), &made.integration_id.need("IntegrationId")?))
    }

    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let (api, uri) = (self.api.known()?, self.uri.known()?);
        let mut next = None;
        loop {
            let call = cx.apigatewayv2().get_integrations().api_id(api).set_next_token(next);
            let Some(page) = call.send().await.explain().unless(Class::NotFound)? else { return Ok(None) };
            let items = page.items.unwrap_or_default().into_iter();
            let same =
                items.filter(|it| it.integration_uri() == Some(uri) && it.integration_type() == Some(&self.kind.sdk()));
            let mut ids = same.filter_map(|it| it.integration_id).map(|id| part::id::<Self>(api.as_str(), &id));
            if let Some(id) = ids.find(|id| !cx.is_known(id.as_str())) {
                return Ok(Some(id));
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(None);
            }
        }
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let (api, integration) = part::of(id)?;
            let call = cx.apigatewayv2().get_integration().api_id(api).integration_id(integration);
            let found = call.send().await.explain().unless(Class::NotFound)?;
            found.map(|found| live(id, found)).transpose()
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (api, integration) = part::of(&live.id)?;
        let call = cx.apigatewayv2().update_integration().api_id(api).integration_id(integration);
        let call = call.integration_uri(self.uri.known()?).integration_method(&self.http_method);
        let call = call.payload_format_version(&self.payload_format).timeout_in_millis(self.timeout_millis);
        call.description(&self.description).send().await.explain().map(drop)
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (api, integration) = part::of(&live.id)?;
        let call = cx.apigatewayv2().delete_integration().api_id(api).integration_id(integration);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

fn live(id: &Id<Integration>, found: GetIntegrationOutput) -> Result<Live<Integration>> {
    let (api, integration) = part::of(id)?;
    let outputs = IntegrationOutputs { target: Ref::Known(format!("integrations/{integration}")) };
    let args = Integration {
        api: Ref::Known(Id::new(api)),
        kind: IntegrationType::from(found.integration_type),
        uri: Ref::Known(found.integration_uri.unwrap_or_default()),
        http_method: found.integration_method.unwrap_or_default(),
        payload_format: found.payload_format_version.unwrap_or_default(),
        timeout_millis: found.timeout_in_millis.unwrap_or_default(),
        description: found.description.unwrap_or_default(),
    };
    Ok(Live { id: id.clone(), status: Status::Ready, args, outputs })
}
