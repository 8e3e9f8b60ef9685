//! A Systems Manager parameter with the value of an API key.

use std::collections::HashMap;

use aws_sdk_ssm::operation::put_parameter::builders::PutParameterFluentBuilder;
use aws_sdk_ssm::types::{Parameter, ParameterMetadata, ParameterStringFilter, ParameterType};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ParameterOutputs, described_by, tags};
use crate::apigateway::ApiKey;
use crate::error::{Unless, ours};
use crate::{Cx, Explain, Need};

/// A parameter of type `SecureString` that has the value of an API key of the same region. The value is read from API
/// Gateway when the parameter is written, and both are read to compare them; it is not in arguments, state or plans.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyParameter {
    /// The name, such as `/payments/api-key`.
    pub name: String,
    /// The description.
    pub description: String,
    /// The API key. Its id is also stored in the tag `payinfra:api-key` of the parameter. `(another value)` is a
    /// parameter whose value is not that of the key.
    pub api_key: Ref<Id<ApiKey>>,
    /// The ARN of the KMS key.
    pub kms_key: Ref<String>,
    /// The tags.
    pub tags: Tags,
}

/// The tag with the id of the API key.
const API_KEY: &str = "payinfra:api-key";
/// What stands for the API key if the parameter does not have its value: not an id.
const ANOTHER: &str = "(another value)";

impl Resource for ApiKeyParameter {
    type Cx = Cx;
    const KIND: &'static str = "ssm.api-key-parameter";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    /// The maximum number of names for `GetParameters`.
    const BATCH: usize = 10;
    const EXPECTED: Expected = Expected::millis(600, 300);
    type Outputs = ParameterOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ssm().put_parameter().overwrite(false).set_tags(Some(tags::sdk(&self.all_tags()?)?));
        self.put(cx, call).await?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        ours(Self::read(cx, &[Id::new(&self.name)]).await?.pop(), "parameter", owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let names: Vec<_> = ids.iter().map(String::from).collect();
        // One call returns the value, the other one the description and the KMS key.
        let filter = ParameterStringFilter::builder().key("Name").option("Equals").set_values(Some(names.clone()));
        let described = cx.ssm().describe_parameters().parameter_filters(filter.build().explain()?);
        let values = cx.ssm().get_parameters().set_names(Some(names)).with_decryption(true);
        let (values, described) = tokio::try_join!(async { values.send().await.explain() }, described_by(described))?;
        let described = described.into_iter().filter_map(|it| Some((it.name.clone()?, it)));
        let mut described: HashMap<_, _> = described.collect();
        let found = values.parameters.unwrap_or_default().into_iter().map(|parameter| {
            let described = parameter.name().and_then(|name| described.remove(name));
            live(cx, parameter, described)
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        if self.api_key != was.api_key || self.description != was.description || self.kms_key != was.kms_key {
            // It accepts no tags (AWS-FACTS §1.13).
            self.put(cx, cx.ssm().put_parameter().overwrite(true)).await?;
        }
        // The tag follows the value, so that an interrupted update is repeated.
        tags::sync(cx, live.id.as_str(), &was.all_tags()?, &self.all_tags()?).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.ssm().delete_parameter().name(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By the name, without filters, tags and the value.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        Ok(cx.ssm().get_parameter().name(id).send().await.explain().unless(Class::NotFound)?.is_none())
    }
}

impl ApiKeyParameter {
    /// The tags, including the one that stores a field.
    fn all_tags(&self) -> Result<Tags> {
        Ok(self.tags.clone().with(API_KEY, self.api_key.known()?.as_str()))
    }

    /// Writes the parameter with `call`, which has what differs between creates and updates.
    async fn put(&self, cx: &Cx, call: PutParameterFluentBuilder) -> Result<()> {
        let key = self.api_key.known()?;
        let found = cx.apigateway().get_api_key().api_key(key).include_value(true).send().await.explain()?;
        let value = found.value.need("Value")?;
        let call = call.name(&self.name).description(&self.description).r#type(ParameterType::SecureString);
        let put = call.key_id(self.kms_key.known()?).value(&value).send().await.explain();
        // The engine conceals only the secrets that are in arguments.
        put.map(drop).map_err(|error| error.without(&[value]))
    }
}

/// A parameter in the form of its arguments; `None` if it disappears meanwhile.
async fn live(
    cx: &Cx,
    parameter: Parameter,
    described: Option<ParameterMetadata>,
) -> Result<Option<Live<ApiKeyParameter>>> {
    let name = parameter.name.need("Name")?;
    let Some(all) = tags::of(cx, &name).await.unless(Class::NotFound)? else { return Ok(None) };
    let (description, kms_key) = described.map(|it| (it.description, it.key_id)).unwrap_or_default();
    let api_key = match all.get(API_KEY) {
        Some(key) if has_value(cx, key, parameter.value.as_deref()).await? => key,
        _ => ANOTHER,
    };
    Ok(Some(Live {
        id: Id::new(&name),
        status: Status::Ready,
        args: ApiKeyParameter {
            name,
            description: description.unwrap_or_default(),
            api_key: Ref::Known(Id::new(api_key)),
            kms_key: Ref::Known(kms_key.unwrap_or_default()),
            tags: all.iter().filter(|(key, _)| *key != API_KEY).collect(),
        },
        outputs: ParameterOutputs { arn: Ref::Known(parameter.arn.need("ARN")?) },
    }))
}

/// Whether `value` is that of an API key, which may not exist any more.
async fn has_value(cx: &Cx, key: &str, value: Option<&str>) -> Result<bool> {
    let call = cx.apigateway().get_api_key().api_key(key).include_value(true);
    let found = call.send().await.explain().unless(Class::NotFound)?;
    Ok(found.and_then(|found| found.value).is_some_and(|own| Some(own.as_str()) == value))
}
