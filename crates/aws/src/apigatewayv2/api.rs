//! An HTTP API.

use std::collections::BTreeSet;

use aws_sdk_apigatewayv2::operation::get_api::GetApiOutput;
use aws_sdk_apigatewayv2::types::{self as sdk, ProtocolType};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// An HTTP API. Names are not unique, so it is found by its tags. An account has at most 600 in a region.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// The answer to preflight requests of browsers; the routes answer them if `None`.
    pub cors: Option<Cors>,
    /// Whether clients can only use the API's own domain names, not `ID.execute-api.REGION.amazonaws.com`.
    pub disable_execute_api: bool,
    /// The tags.
    pub tags: Tags,
}

/// What browsers may request from pages of other origins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// The origins, such as `https://example.com`, or `*`.
    pub origins: BTreeSet<String>,
    /// The methods, or `*`.
    pub methods: BTreeSet<String>,
    /// The headers of requests, or `*`.
    pub headers: BTreeSet<String>,
    /// How long browsers may store the answer, in seconds.
    pub max_age: i32,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApiOutputs {
    /// The URL, without a slash at the end.
    pub url: Ref<String>,
    /// The ARN in policies and permissions: `arn:aws:execute-api:REGION:ACCOUNT:API`, to which `/STAGE/METHOD/PATH` is
    /// appended.
    pub execution_arn: Ref<String>,
}

impl Cors {
    fn sdk(&self) -> sdk::Cors {
        let list = |values: &BTreeSet<String>| Some(values.iter().cloned().collect());
        let cors = sdk::Cors::builder().set_allow_origins(list(&self.origins)).set_allow_methods(list(&self.methods));
        cors.set_allow_headers(list(&self.headers)).max_age(self.max_age).build()
    }

    fn from(cors: sdk::Cors) -> Self {
        let set = |values: Option<Vec<String>>| values.unwrap_or_default().into_iter().collect();
        Self {
            origins: set(cors.allow_origins),
            methods: set(cors.allow_methods),
            headers: set(cors.allow_headers),
            max_age: cors.max_age.unwrap_or_default(),
        }
    }
}

impl Resource for Api {
    type Cx = Cx;
    const KIND: &'static str = "apigatewayv2.api";
    const REPLACE: Fields = fields!(Self:);
    const EXPECTED: Expected = Expected::millis(1_000, 1_000);
    type Outputs = ApiOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.apigatewayv2().create_api().name(&self.name).protocol_type(ProtocolType::Http);
        let call = call.description(&self.description).set_cors_configuration(self.cors.as_ref().map(Cors::sdk));
        let call = call.disable_execute_api_endpoint(self.disable_execute_api).set_tags(Some(tags::sdk(&self.tags)));
        Ok(Id::new(call.send().await.explain()?.api_id.need("ApiId")?))
    }

    /// By its tags.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let ours = all(cx).await?.into_iter().filter(|api| owner.owns(&tags::from(api.tags.clone())));
        Ok(ours.filter_map(|api| api.api_id).find(|id| !cx.is_known(id)).map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let found = cx.apigatewayv2().get_api().api_id(id).send().await.explain().unless(Class::NotFound)?;
            found.map(|found| live(cx, id, found)).transpose()
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (client, was) = (cx.apigatewayv2(), &live.args);
        // An update cannot remove it (AWS-FACTS §1.7).
        if self.cors.is_none() && was.cors.is_some() {
            client.delete_cors_configuration().api_id(&live.id).send().await.explain()?;
        }
        let call = client.update_api().api_id(&live.id).name(&self.name).description(&self.description);
        let call = call.disable_execute_api_endpoint(self.disable_execute_api);
        call.set_cors_configuration(self.cors.as_ref().map(Cors::sdk)).send().await.explain()?;
        tags::sync(cx, &format!("/apis/{}", live.id), &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        cx.apigatewayv2().delete_api().api_id(&live.id).send().await.explain().unless(Class::NotFound).map(drop)
    }
}

/// All APIs of the account in the region.
pub(super) async fn all(cx: &Cx) -> Result<Vec<sdk::Api>> {
    let (mut apis, mut next) = (Vec::new(), None);
    loop {
        let page = cx.apigatewayv2().get_apis().set_next_token(next).send().await.explain()?;
        apis.extend(page.items.unwrap_or_default());
        next = page.next_token;
        if next.is_none() {
            return Ok(apis);
        }
    }
}

fn live(cx: &Cx, id: &Id<Api>, api: GetApiOutput) -> Result<Live<Api>> {
    let execution_arn = format!("arn:aws:execute-api:{}:{}:{id}", cx.region(), cx.account());
    Ok(Live {
        id: id.clone(),
        status: Status::Ready,
        args: Api {
            name: api.name.unwrap_or_default(),
            description: api.description.unwrap_or_default(),
            cors: api.cors_configuration.map(Cors::from),
            disable_execute_api: api.disable_execute_api_endpoint.unwrap_or_default(),
            tags: tags::from(api.tags),
        },
        outputs: ApiOutputs {
            url: Ref::Known(api.api_endpoint.need("ApiEndpoint")?),
            execution_arn: Ref::Known(execution_arn),
        },
    })
}
