//! A Systems Manager parameter.

use std::collections::HashMap;

use aws_sdk_ssm::types::{ParameterStringFilter, ParameterType};
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Secret, Status, Tags, Text, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{described_by, tags};
use crate::error::{Unless, ours};
use crate::{Cx, Explain, Need};

/// A parameter whose value is in the configuration and is not shown by payinfra. A value that must also be a secret in
/// AWS belongs in Secrets Manager, which generates it: only an
/// [`ApiKeyParameter`](super::ApiKeyParameter) is a `SecureString`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The name, such as `/payments/endpoint`.
    pub name: String,
    /// The description.
    pub description: String,
    /// The value.
    pub value: Secret<Text>,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ParameterOutputs {
    /// The ARN.
    pub arn: Ref<String>,
}

impl Resource for Parameter {
    type Cx = Cx;
    const KIND: &'static str = "ssm.parameter";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    /// The maximum number of names for `GetParameters`.
    const BATCH: usize = 10;
    const EXPECTED: Expected = Expected::millis(400, 300);
    type Outputs = ParameterOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ssm().put_parameter().name(&self.name).description(&self.description);
        let call = call.value(self.value.expose()?.known()?).r#type(ParameterType::String).overwrite(false);
        call.set_tags(Some(tags::sdk(&self.tags)?)).send().await.explain()?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        ours(Self::read(cx, &[Id::new(&self.name)]).await?.pop(), "parameter", owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let names: Vec<_> = ids.iter().map(String::from).collect();
        // One call returns the value, the other one the description.
        let filter = ParameterStringFilter::builder().key("Name").option("Equals").set_values(Some(names.clone()));
        let described = cx.ssm().describe_parameters().parameter_filters(filter.build().explain()?);
        let (values, described) = tokio::try_join!(
            async { cx.ssm().get_parameters().set_names(Some(names)).send().await.explain() },
            described_by(described),
        )?;
        let described = described.into_iter().filter_map(|it| Some((it.name?, it.description.unwrap_or_default())));
        let mut described: HashMap<_, _> = described.collect();
        let found = values.parameters.unwrap_or_default().into_iter().map(|parameter| {
            let description = parameter.name().and_then(|name| described.remove(name)).unwrap_or_default();
            async move {
                let name = parameter.name.need("Name")?;
                let Some(tags) = tags::of(cx, &name).await.unless(Class::NotFound)? else { return Ok(None) };
                let value = Secret::new(Text::from(parameter.value.unwrap_or_default()));
                Ok::<_, Error>(Some(Live {
                    id: Id::new(&name),
                    status: Status::Ready,
                    args: Self { name, description, value, tags },
                    outputs: ParameterOutputs { arn: Ref::Known(parameter.arn.need("ARN")?) },
                }))
            }
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.value != live.args.value || self.description != live.args.description {
            // Omitted values are lost, so it sets all values. It accepts no tags (AWS-FACTS §1.13).
            let call = cx.ssm().put_parameter().name(&live.id).description(&self.description);
            let call = call.value(self.value.expose()?.known()?).r#type(ParameterType::String).overwrite(true);
            call.send().await.explain()?;
        }
        tags::sync(cx, live.id.as_str(), &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.ssm().delete_parameter().name(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By the name, without filters and tags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        Ok(cx.ssm().get_parameter().name(id).send().await.explain().unless(Class::NotFound)?.is_none())
    }
}
