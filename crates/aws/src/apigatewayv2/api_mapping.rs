//! A mapping from a path of a domain name to a stage of an HTTP API.

use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Api, part};
use crate::apigateway::DomainName;
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// An API mapping. Its id is `DOMAIN/MAPPING`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiMapping {
    /// The domain name.
    pub domain: Ref<Id<DomainName>>,
    /// The beginning of the paths, without slashes at its ends; all paths if empty. Unique for the domain name.
    pub key: String,
    /// The API.
    pub api: Ref<Id<Api>>,
    /// The name of the stage.
    pub stage: Ref<String>,
}

impl Resource for ApiMapping {
    type Cx = Cx;
    const KIND: &'static str = "apigatewayv2.api-mapping";
    const REPLACE: Fields = fields!(Self: domain);
    const HOLDS: Fields = fields!(Self: api, stage);
    const IDENTITY: Identity = Identity::Part("domain");
    const KEY: Fields = fields!(Self: domain, key);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let domain = self.domain.known()?;
        let call = cx.apigatewayv2().create_api_mapping().domain_name(domain).api_mapping_key(&self.key);
        let made = call.api_id(self.api.known()?).stage(self.stage.known()?).send().await.explain()?;
        Ok(part::id(domain.as_str(), &made.api_mapping_id.need("ApiMappingId")?))
    }

    /// By its key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let domain = self.domain.known()?;
        let mut next = None;
        loop {
            let call = cx.apigatewayv2().get_api_mappings().domain_name(domain).set_next_token(next);
            let Some(page) = call.send().await.explain().unless(Class::NotFound)? else { return Ok(None) };
            let items = page.items.unwrap_or_default().into_iter();
            let mut found = items.filter(|it| it.api_mapping_key().unwrap_or_default() == self.key);
            if let Some(id) = found.next().and_then(|it| it.api_mapping_id) {
                return Ok(Some(part::id(domain.as_str(), &id)));
            }
            next = page.next_token;
            if next.is_none() {
                return Ok(None);
            }
        }
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let (domain, mapping) = part::of(id)?;
            let call = cx.apigatewayv2().get_api_mapping().domain_name(domain).api_mapping_id(mapping);
            let Some(found) = call.send().await.explain().unless(Class::NotFound)? else { return Ok::<_, Error>(None) };
            let args = Self {
                domain: Ref::Known(Id::new(domain)),
                key: found.api_mapping_key.unwrap_or_default(),
                api: Ref::Known(Id::new(found.api_id.unwrap_or_default())),
                stage: Ref::Known(found.stage.unwrap_or_default()),
            };
            Ok(Some(Live { id: id.clone(), status: Status::Ready, args, outputs: () }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (domain, mapping) = part::of(&live.id)?;
        let call = cx.apigatewayv2().update_api_mapping().domain_name(domain).api_mapping_id(mapping);
        let call = call.api_mapping_key(&self.key).api_id(self.api.known()?).stage(self.stage.known()?);
        call.send().await.explain().map(drop)
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (domain, mapping) = part::of(&live.id)?;
        let call = cx.apigatewayv2().delete_api_mapping().domain_name(domain).api_mapping_id(mapping);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}
