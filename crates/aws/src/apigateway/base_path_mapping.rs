//! A mapping from a path of a domain name to a stage of a REST API.

use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DomainName, RestApi, part, patch};
use crate::error::Unless;
use crate::{Cx, Explain};

/// A base path mapping. Its id is `DOMAIN/PATH`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasePathMapping {
    /// The domain name.
    pub domain: Ref<Id<DomainName>>,
    /// The first part of the paths; all paths if empty.
    pub base_path: String,
    /// The API.
    pub api: Ref<Id<RestApi>>,
    /// The name of the stage.
    pub stage: Ref<String>,
}

/// AWS's form of an empty base path.
const ALL: &str = "(none)";

impl Resource for BasePathMapping {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.base-path-mapping";
    const REPLACE: Fields = fields!(Self: domain, base_path);
    const HOLDS: Fields = fields!(Self: api, stage);
    const IDENTITY: Identity = Identity::Part("domain");
    const KEY: Fields = fields!(Self: domain, base_path);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.apigateway().create_base_path_mapping().domain_name(self.domain.known()?);
        let call = call.base_path(self.path()).rest_api_id(self.api.known()?).stage(self.stage.known()?);
        call.send().await.explain()?;
        self.id()
    }

    /// By its natural key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        Ok(Self::read(cx, &[self.id()?]).await?.pop().map(|live| live.id))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let [domain, path] = part::of(id)?;
            let call = cx.apigateway().get_base_path_mapping().domain_name(domain).base_path(path);
            let Some(found) = call.send().await.explain().unless(Class::NotFound)? else { return Ok::<_, Error>(None) };
            let args = Self {
                domain: Ref::Known(Id::new(domain)),
                base_path: if path == ALL { String::new() } else { path.to_owned() },
                api: Ref::Known(Id::new(found.rest_api_id.unwrap_or_default())),
                stage: Ref::Known(found.stage.unwrap_or_default()),
            };
            Ok(Some(Live { id: id.clone(), status: Status::Ready, args, outputs: () }))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, _: &Live<Self>) -> Result<()> {
        let call = cx.apigateway().update_base_path_mapping().domain_name(self.domain.known()?).base_path(self.path());
        let call = call.patch_operations(patch::replace("/restapiId", self.api.known()?));
        call.patch_operations(patch::replace("/stage", self.stage.known()?)).send().await.explain().map(drop)
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let [domain, path] = part::of(&live.id)?;
        let call = cx.apigateway().delete_base_path_mapping().domain_name(domain).base_path(path);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl BasePathMapping {
    fn path(&self) -> &str {
        if self.base_path.is_empty() { ALL } else { &self.base_path }
    }

    fn id(&self) -> Result<Id<Self>> {
        Ok(part::id(&[self.domain.known()?.as_str(), self.path()]))
    }
}
