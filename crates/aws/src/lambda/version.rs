//! A version of a Lambda function.

use std::time::Duration;

use aws_sdk_lambda::types as sdk;
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Function, function, qualified};
use crate::error::Unless;
use crate::{CodeSha256, Cx, Explain, Need};

/// A version: an immutable copy of the code and configuration of a function. Its id is `FUNCTION:NUMBER`.
///
/// AWS publishes a new version only if the code or configuration has changed since the last one, so `definition` must
/// change exactly with them. A version that an alias refers to cannot be deleted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// The function.
    pub function: Ref<Id<Function>>,
    /// The digest of the code, which the function must have.
    pub code: CodeSha256,
    /// What identifies the code and configuration, such as a digest of them; at most 256 characters. It is the version's
    /// description.
    pub definition: String,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct VersionOutputs {
    /// The ARN, with the number.
    pub arn: Ref<String>,
    /// The number.
    pub number: Ref<String>,
}

impl Resource for Version {
    type Cx = Cx;
    const KIND: &'static str = "lambda.version";
    const REPLACE: Fields = fields!(Self: function, code, definition);
    const IDENTITY: Identity = Identity::Part("function");
    const CREATE_FIRST: bool = true;
    const TIMEOUT: Duration = Duration::from_mins(10);
    const EXPECTED: Expected = Expected::millis(2_000, 300);
    type Outputs = VersionOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let function = self.function.known()?;
        let call = cx.lambda().publish_version().function_name(function).code_sha256(self.code.as_str());
        let made = call.description(&self.definition).send().await.explain()?;
        let id = Id::new(format!("{function}:{}", made.version.need("Version")?));
        if made.description.as_deref().unwrap_or_default() != self.definition {
            return Err(Error::failed(format!(
                "the function {function} has not changed since {id}, so AWS published no version"
            ))
            .hint("derive `definition` from the code and configuration of the function alone"));
        }
        Ok(id)
    }

    /// By its code and definition.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let function = self.function.known()?;
        let call = cx.lambda().list_versions_by_function().function_name(function);
        let found = call.into_paginator().items().send().try_collect().await.explain().unless(Class::NotFound)?;
        let ours = |version: &sdk::FunctionConfiguration| {
            version.description().unwrap_or_default() == self.definition
                && version.code_sha256() == Some(self.code.as_str())
        };
        let numbers = found.unwrap_or_default().into_iter().rev().filter(ours).filter_map(|version| version.version);
        let mut ids = numbers.filter(|number| number != LATEST).map(|number| format!("{function}:{number}"));
        Ok(ids.find(|id| !cx.is_known(id)).map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let (name, number) = qualified::parts(id)?;
            let call = cx.lambda().get_function().function_name(name).qualifier(number);
            let Some(found) = call.send().await.explain().unless(Class::NotFound)? else { return Ok::<_, Error>(None) };
            live(id, found.configuration.need("Configuration")?).map(Some)
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// Nothing of it can change.
    async fn update(&self, _: &Cx, _: &Live<Self>) -> Result<()> {
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (name, number) = qualified::parts(&live.id)?;
        let call = cx.lambda().delete_function().function_name(name).qualifier(number);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

/// The function itself in the list of its versions.
const LATEST: &str = "$LATEST";

fn live(id: &Id<Version>, version: sdk::FunctionConfiguration) -> Result<Live<Version>> {
    let (name, number) = qualified::parts(id)?;
    Ok(Live {
        id: id.clone(),
        status: function::status(&version),
        outputs: VersionOutputs {
            arn: Ref::Known(version.function_arn.need("FunctionArn")?),
            number: Ref::Known(number.to_owned()),
        },
        args: Version {
            function: Ref::Known(Id::new(name)),
            code: CodeSha256::from_aws(version.code_sha256.unwrap_or_default()),
            definition: version.description.unwrap_or_default(),
        },
    })
}
