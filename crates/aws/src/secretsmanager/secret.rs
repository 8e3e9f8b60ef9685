//! A lookup of an existing secret.

use payinfra_engine::{Class, Error, Lookup, Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// An existing secret. Its value is not read: dependents get the ARN and read it themselves.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The name.
    pub name: String,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SecretOutputs {
    /// The ARN.
    pub arn: Ref<String>,
}

impl Lookup for Secret {
    type Cx = Cx;
    const KIND: &'static str = "secretsmanager.secret";
    type Outputs = SecretOutputs;

    async fn find(&self, cx: &Cx) -> Result<SecretOutputs> {
        let call = cx.secretsmanager().describe_secret().secret_id(&self.name);
        let found = call.send().await.explain().unless(Class::NotFound)?;
        let alive = found.filter(|secret| secret.deleted_date.is_none()).ok_or_else(|| {
            Error::invalid(format!("secret `{}` not found in {}", self.name, cx.region()))
                .hint("create it first, or set another one")
        })?;
        Ok(SecretOutputs { arn: Ref::Known(alive.arn.need("ARN")?) })
    }
}
