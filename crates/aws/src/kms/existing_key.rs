//! A lookup of an existing key.

use aws_sdk_kms::types::KeyState;
use payinfra_engine::{Class, Error, Lookup, Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// An enabled symmetric key for encryption in this region, which is managed elsewhere. Services accept a key that does
/// not exist, and only fail when they use it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExistingKey {
    /// Its ARN, or that of its alias.
    pub arn: Ref<String>,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExistingKeyOutputs {
    /// Its ARN.
    pub arn: Ref<String>,
}

impl Lookup for ExistingKey {
    type Cx = Cx;
    const KIND: &'static str = "kms.existing-key";
    type Outputs = ExistingKeyOutputs;

    async fn find(&self, cx: &Cx) -> Result<ExistingKeyOutputs> {
        let (arn, region) = (self.arn.known()?, cx.region());
        match arn.split(':').collect::<Vec<_>>()[..] {
            ["arn", _, "kms", of, _, key] if key.starts_with("key/") || key.starts_with("alias/") => {
                if of != region.as_str() {
                    return Err(Error::invalid(format!("the key {arn} is in {of}, but is needed in {region}"))
                        .hint("set a key in this region"));
                }
            }
            _ => {
                return Err(Error::invalid(format!("`{arn}` is not the ARN of a key"))
                    .hint(format!("use an ARN such as arn:aws:kms:{region}:123456789012:key/ID")));
            }
        }
        let found = cx.kms().describe_key().key_id(arn).send().await.explain().unless(Class::NotFound)?;
        let Some(found) = found else {
            return Err(Error::invalid(format!("key {arn} not found in {region}"))
                .hint("nothing is created; correct the ARN in payinfra.toml, or remove it to create a key"));
        };
        let key = found.key_metadata.need("KeyMetadata")?;
        if key.key_state != Some(KeyState::Enabled) {
            let state = key.key_state.as_ref().map_or("unknown", KeyState::as_str);
            return Err(Error::invalid(format!("the key {arn} is not enabled: its state is {state}"))
                .hint("enable it, or set another one"));
        }
        if key.key_spec.as_ref().is_some_and(|spec| spec.as_str() != "SYMMETRIC_DEFAULT") {
            return Err(Error::invalid(format!("the key {arn} is not a symmetric key for encryption"))
                .hint("set a key with the specification SYMMETRIC_DEFAULT"));
        }
        Ok(ExistingKeyOutputs { arn: Ref::Known(key.arn.need("Arn")?) })
    }
}
