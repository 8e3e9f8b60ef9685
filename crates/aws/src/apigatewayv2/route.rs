//! A route of an HTTP API.

use aws_sdk_apigatewayv2::types::AuthorizationType;
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Api, part};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A route. Its id is `API/ROUTE`. An API has at most 300.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The API.
    pub api: Ref<Id<Api>>,
    /// The requests that it is for: method and path, such as `GET /payments/{payment_id}`, or `$default`. Unique in the
    /// API.
    pub key: String,
    /// What it invokes: an output of an integration.
    pub target: Ref<String>,
    /// The authorization: `NONE` or `AWS_IAM`.
    pub authorization: String,
}

impl Resource for Route {
    type Cx = Cx;
    const KIND: &'static str = "apigatewayv2.route";
    const REPLACE: Fields = fields!(Self: api);
    const HOLDS: Fields = fields!(Self: target);
    const IDENTITY: Identity = Identity::Part("api");
    const KEY: Fields = fields!(Self: api, key);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let api = self.api.known()?;
        let call = cx.apigatewayv2().create_route().api_id(api).route_key(&self.key).target(self.target.known()?);
        let call = call.authorization_type(AuthorizationType::from(self.authorization.as_str()));
        Ok(part::id(api.as_str(), &call.send().await.explain()?.route_id.need("RouteId")?))
    }

    /// By its key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let api = self.api.known()?;
        let mut next = None;
        loop {
            let call = cx.apigatewayv2().get_routes().api_id(api).set_next_token(next);
            let Some(page) = call.send().await.explain().unless(Class::NotFound)? else { return Ok(None) };
            let mut found = page.items.unwrap_or_default().into_iter().filter(|it| it.route_key() == Some(&self.key));
            if let Some(id) = found.next().and_then(|it| it.route_id) {
                return Ok(Some(part::id(api.as_str(), &id)));
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(None);
            }
        }
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let (api, route) = part::of(id)?;
            let call = cx.apigatewayv2().get_route().api_id(api).route_id(route);
            let Some(found) = call.send().await.explain().unless(Class::NotFound)? else { return Ok::<_, Error>(None) };
            let authorization = found.authorization_type.map(|it| it.as_str().to_owned());
            let args = Self {
                api: Ref::Known(Id::new(api)),
                key: found.route_key.unwrap_or_default(),
                target: Ref::Known(found.target.unwrap_or_default()),
                authorization: authorization.unwrap_or_default(),
            };
            Ok(Some(Live { id: id.clone(), status: Status::Ready, args, outputs: () }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (api, route) = part::of(&live.id)?;
        let call = cx.apigatewayv2().update_route().api_id(api).route_id(route).route_key(&self.key);
        let call = call.target(self.target.known()?);
        let call = call.authorization_type(AuthorizationType::from(self.authorization.as_str()));
        call.send().await.explain().map(drop)
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (api, route) = part::of(&live.id)?;
        let call = cx.apigatewayv2().delete_route().api_id(api).route_id(route);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}
