//! A method of a resource of a REST API.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_apigateway::operation::get_method::GetMethodOutput;
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Integration, RestApi, part};
use crate::error::{Unless, vacant};
use crate::{Cx, Explain};

/// A method with its integration and responses. Its id is `API/RESOURCE/METHOD`. Changes take effect with the next
/// deployment.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// The API.
    pub api: Ref<Id<RestApi>>,
    /// The id of the resource: an output of the API or of a resource.
    pub resource: Ref<String>,
    /// The HTTP method, or `ANY`.
    pub http_method: String,
    /// The authorization: `NONE` or `AWS_IAM`.
    pub authorization: String,
    /// Whether an API key is required.
    pub api_key_required: bool,
    /// The id of the request validator: an output of it.
    pub validator: Option<Ref<String>>,
    /// The parameters, such as `method.request.path.payment_id`, and whether they are required.
    pub parameters: BTreeMap<String, bool>,
    /// The names of the models of the body by content type.
    pub models: BTreeMap<String, Ref<String>>,
    /// The responses by status code.
    pub responses: BTreeMap<String, MethodResponse>,
    /// What it invokes.
    pub integration: Integration,
}

/// A response of a method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MethodResponse {
    /// The parameters, such as `method.response.header.Access-Control-Allow-Origin`, and whether they are required.
    pub parameters: BTreeMap<String, bool>,
    /// The names of the models of the body by content type, such as AWS's `Empty` and `Error`.
    pub models: BTreeMap<String, Ref<String>>,
}

impl Resource for Method {
    type Cx = Cx;
    const KIND: &'static str = "apigateway.method";
    const REPLACE: Fields = fields!(Self: api, resource, http_method);
    const IDENTITY: Identity = Identity::Part("api");
    const KEY: Fields = fields!(Self: api, resource, http_method);
    const EXPECTED: Expected = Expected::millis(1_500, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let id = self.id()?;
        vacant(Self::read(cx, std::slice::from_ref(&id)).await?.pop().map(|live| live.id), "method")?;
        self.put(cx).await?;
        Ok(id)
    }

    /// By its natural key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        Ok(Self::read(cx, &[self.id()?]).await?.pop().map(|live| live.id))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let [api, resource, method] = part::of(id)?;
            let call = cx.apigateway().get_method().rest_api_id(api).resource_id(resource).http_method(method);
            let found = call.send().await.explain().unless(Class::NotFound)?;
            found.map(|found| live(id, found)).transpose()
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// As a whole: stages answer with the definition that was deployed, so nobody notices that it is gone in between.
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        remove(cx, &live.id).await?;
        self.put(cx).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        remove(cx, &live.id).await
    }
}

impl Method {
    fn id(&self) -> Result<Id<Self>> {
        Ok(part::id(&[self.api.known()?.as_str(), self.resource.known()?, &self.http_method]))
    }

    async fn put(&self, cx: &Cx) -> Result<()> {
        let (client, integration) = (cx.apigateway(), &self.integration);
        let (api, resource) = (self.api.known()?, self.resource.known()?);
        let call = client.put_method().rest_api_id(api).resource_id(resource).http_method(&self.http_method);
        let call = call.authorization_type(&self.authorization).api_key_required(self.api_key_required);
        let call = call.set_request_parameters(Some(self.parameters.clone().into_iter().collect()));
        let call = call.set_request_models(Some(known(&self.models)?));
        let validator = self.validator.as_ref().map(Ref::known).transpose()?.cloned();
        call.set_request_validator_id(validator).send().await.explain()?;
        for (status, response) in &self.responses {
            let call = client.put_method_response().rest_api_id(api).resource_id(resource);
            let call = call.http_method(&self.http_method).status_code(status);
            let call = call.set_response_parameters(Some(response.parameters.clone().into_iter().collect()));
            call.set_response_models(Some(known(&response.models)?)).send().await.explain()?;
        }
        let call = client.put_integration().rest_api_id(api).resource_id(resource).http_method(&self.http_method);
        let call = call.r#type(integration.kind.sdk()).set_uri(integration.known_uri()?);
        let call = call.set_integration_http_method(integration.http_method.clone());
        let call = call.timeout_in_millis(integration.timeout_millis);
        let call = call.set_request_templates(Some(integration.request_templates.clone().into_iter().collect()));
        let call = call.set_request_parameters(Some(integration.request_parameters.clone().into_iter().collect()));
        call.send().await.explain()?;
        for (status, response) in &integration.responses {
            let call = client.put_integration_response().rest_api_id(api).resource_id(resource);
            let call = call.http_method(&self.http_method).status_code(status);
            let pattern = Some(response.selection_pattern.clone()).filter(|pattern| !pattern.is_empty());
            let call = call.set_selection_pattern(pattern);
            let call = call.set_response_parameters(Some(response.parameters.clone().into_iter().collect()));
            let call = call.set_response_templates(Some(response.templates.clone().into_iter().collect()));
            call.send().await.explain()?;
        }
        Ok(())
    }
}

fn known(names: &BTreeMap<String, Ref<String>>) -> Result<HashMap<String, String>> {
    names.iter().map(|(content, name)| Ok((content.clone(), name.known()?.clone()))).collect()
}

async fn remove(cx: &Cx, id: &Id<Method>) -> Result<()> {
    let [api, resource, method] = part::of(id)?;
    let call = cx.apigateway().delete_method().rest_api_id(api).resource_id(resource).http_method(method);
    call.send().await.explain().unless(Class::NotFound).map(drop)
}

fn live(id: &Id<Method>, method: GetMethodOutput) -> Result<Live<Method>> {
    let [api, resource, http_method] = part::of(id)?;
    let models = |models: Option<HashMap<String, String>>| {
        models.unwrap_or_default().into_iter().map(|(content, name)| (content, Ref::Known(name))).collect()
    };
    let responses = method.method_responses.unwrap_or_default().into_iter().map(|(status, response)| {
        let parameters = response.response_parameters.unwrap_or_default().into_iter().collect();
        (status, MethodResponse { parameters, models: models(response.response_models) })
    });
    Ok(Live {
        id: id.clone(),
        status: Status::Ready,
        args: Method {
            api: Ref::Known(Id::new(api)),
            resource: Ref::Known(resource.to_owned()),
            http_method: http_method.to_owned(),
            authorization: method.authorization_type.unwrap_or_default(),
            api_key_required: method.api_key_required.unwrap_or_default(),
            validator: method.request_validator_id.map(Ref::Known),
            parameters: method.request_parameters.unwrap_or_default().into_iter().collect(),
            models: models(method.request_models),
            responses: responses.collect(),
            integration: Integration::from(method.method_integration),
        },
        outputs: (),
    })
}
