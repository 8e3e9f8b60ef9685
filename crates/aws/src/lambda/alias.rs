//! An alias of a Lambda function.

use std::collections::HashMap;

use aws_sdk_lambda::operation::get_alias::GetAliasOutput;
use aws_sdk_lambda::types::AliasRoutingConfiguration;
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Function, qualified};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// An alias: a name for one version of a function, or for two between which invocations are split. Its id is
/// `FUNCTION:NAME`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The function.
    pub function: Ref<Id<Function>>,
    /// The name, at most 128 letters, digits, `-` and `_`, not only digits.
    pub name: String,
    /// The description, at most 256 characters.
    pub description: String,
    /// The number of the version that gets all invocations, except those of `additional`.
    pub version: Ref<String>,
    /// A second version, which gets a part of the invocations. Both versions must have the same execution role and
    /// dead-letter target, and neither can be `$LATEST`.
    pub additional: Option<Additional>,
}

/// The additional version of an alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Additional {
    /// The number of the version.
    pub version: Ref<String>,
    /// Its part of the invocations in percent, 0 to 100.
    pub weight: u8,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AliasOutputs {
    /// The ARN, with the name.
    pub arn: Ref<String>,
    /// The name, as a qualifier.
    pub name: Ref<String>,
    /// The URI with which API Gateway invokes it.
    pub invoke_arn: Ref<String>,
}

impl Alias {
    /// Without an additional version, none.
    fn routing(&self) -> Result<AliasRoutingConfiguration> {
        let weights = match &self.additional {
            Some(Additional { weight: 101.., .. }) => {
                return Err(Error::invalid("the weight of an additional version is more than 100 percent"));
            }
            Some(it) => HashMap::from([(it.version.known()?.clone(), f64::from(it.weight) / 100.0)]),
            None => HashMap::new(),
        };
        Ok(AliasRoutingConfiguration::builder().set_additional_version_weights(Some(weights)).build())
    }
}

impl Resource for Alias {
    type Cx = Cx;
    const KIND: &'static str = "lambda.alias";
    const REPLACE: Fields = fields!(Self: function, name);
    const IDENTITY: Identity = Identity::Part("function");
    const KEY: Fields = fields!(Self: function, name);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = AliasOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let function = self.function.known()?;
        let call = cx.lambda().create_alias().function_name(function).name(&self.name).description(&self.description);
        let mut call = call.function_version(self.version.known()?);
        if self.additional.is_some() {
            call = call.routing_config(self.routing()?);
        }
        call.send().await.explain()?;
        Ok(Id::new(format!("{function}:{}", self.name)))
    }

    /// By its natural key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let id = Id::new(format!("{}:{}", self.function.known()?, self.name));
        Ok(Self::read(cx, &[id]).await?.pop().map(|live| live.id))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let (function, name) = qualified::parts(id)?;
            let call = cx.lambda().get_alias().function_name(function).name(name);
            let Some(found) = call.send().await.explain().unless(Class::NotFound)? else { return Ok::<_, Error>(None) };
            live(cx, id, found).map(Some)
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.lambda().update_alias().function_name(self.function.known()?).name(&self.name);
        let mut call = call.description(&self.description).function_version(self.version.known()?);
        if self.additional != live.args.additional {
            call = call.routing_config(self.routing()?);
        }
        call.send().await.explain().map(drop)
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (function, name) = qualified::parts(&live.id)?;
        let call = cx.lambda().delete_alias().function_name(function).name(name);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

fn live(cx: &Cx, id: &Id<Alias>, alias: GetAliasOutput) -> Result<Live<Alias>> {
    let (function, name) = qualified::parts(id)?;
    let arn = alias.alias_arn.need("AliasArn")?;
    let weights = alias.routing_config.and_then(|routing| routing.additional_version_weights).unwrap_or_default();
    let additional = weights
        .into_iter()
        .next()
        .map(|(version, weight)| Additional { version: Ref::Known(version), weight: percent(weight) });
    Ok(Live {
        id: id.clone(),
        status: Status::Ready,
        outputs: AliasOutputs {
            invoke_arn: Ref::Known(qualified::invoke_arn(cx.region().as_str(), &arn)),
            arn: Ref::Known(arn),
            name: Ref::Known(name.to_owned()),
        },
        args: Alias {
            function: Ref::Known(Id::new(function)),
            name: name.to_owned(),
            description: alias.description.unwrap_or_default(),
            version: Ref::Known(alias.function_version.unwrap_or_default()),
            additional,
        },
    })
}

/// A weight of AWS, 0 to 1, in percent.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 100")]
fn percent(weight: f64) -> u8 {
    (weight.clamp(0.0, 1.0) * 100.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_survive_the_way_to_aws_and_back() {
        for weight in 0..=100 {
            assert_eq!(percent(f64::from(weight) / 100.0), weight);
        }
    }
}
