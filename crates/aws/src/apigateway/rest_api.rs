//! A REST API.

use std::time::Duration;

use aws_sdk_apigateway::operation::get_rest_api::GetRestApiOutput;
use aws_sdk_apigateway::types::{EndpointConfiguration, EndpointType};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{patch, tags};
use crate::error::Unless;
use crate::route53::DnsName;
use crate::{Cx, Explain, Need};

/// A regional REST API. Names are not unique, so it is found by its tags. AWS accepts one delete in 30 seconds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestApi {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// Whether clients can only use the API's own domain names, not `ID.execute-api.REGION.amazonaws.com`.
    pub disable_execute_api: bool,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RestApiOutputs {
    /// The id of the resource `/`.
    pub root: Ref<String>,
    /// The ARN in policies and permissions: `arn:aws:execute-api:REGION:ACCOUNT:API`, to which `/STAGE/METHOD/PATH` is
    /// appended.
    pub execution_arn: Ref<String>,
    /// The host name of AWS, `ID.execute-api.REGION.amazonaws.com`.
    pub host: Ref<DnsName>,
}

impl Resource for RestApi {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.rest-api";
    const REPLACE: Fields = fields!(Self:);
    const TIMEOUT: Duration = Duration::from_mins(15);
    const EXPECTED: Expected = Expected::millis(1_000, 30_000);
    type Outputs = RestApiOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let endpoint = EndpointConfiguration::builder().types(EndpointType::Regional).build();
        let call = cx.apigateway().create_rest_api().name(&self.name).description(&self.description);
        let call = call.endpoint_configuration(endpoint).disable_execute_api_endpoint(self.disable_execute_api);
        let made = call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        Ok(Id::new(made.id.need("Id")?))
    }

    /// By its tags.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.apigateway().get_rest_apis().limit(500);
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        let ours = found.into_iter().filter(|api| owner.owns(&tags::from(api.tags.clone())));
        Ok(ours.filter_map(|api| api.id).find(|id| !cx.is_known(id)).map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let found =
                cx.apigateway().get_rest_api().rest_api_id(id).send().await.explain().unless(Class::NotFound)?;
            found.map(|found| live(cx, id, found)).transpose()
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let patches = [
            patch::changed("/name", &was.name, &self.name),
            patch::changed("/description", &was.description, &self.description),
            patch::changed("/disableExecuteApiEndpoint", &was.disable_execute_api, &self.disable_execute_api),
        ];
        let patches: Vec<_> = patches.into_iter().flatten().collect();
        if !patches.is_empty() {
            let call = cx.apigateway().update_rest_api().rest_api_id(&live.id);
            call.set_patch_operations(Some(patches)).send().await.explain()?;
        }
        tags::sync(cx, &format!("/restapis/{}", live.id), &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.apigateway().delete_rest_api().rest_api_id(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

fn live(cx: &Cx, id: &Id<RestApi>, api: GetRestApiOutput) -> Result<Live<RestApi>> {
    let execution_arn = format!("arn:aws:execute-api:{}:{}:{id}", cx.region(), cx.account());
    Ok(Live {
        id: id.clone(),
        status: Status::Ready,
        args: RestApi {
            name: api.name.unwrap_or_default(),
            description: api.description.unwrap_or_default(),
            disable_execute_api: api.disable_execute_api_endpoint,
            tags: tags::from(api.tags),
        },
        outputs: RestApiOutputs {
            root: Ref::Known(api.root_resource_id.need("RootResourceId")?),
            execution_arn: Ref::Known(execution_arn),
            host: Ref::Known(DnsName::new(&format!("{id}.execute-api.{}.amazonaws.com", cx.region()))),
        },
    })
}
