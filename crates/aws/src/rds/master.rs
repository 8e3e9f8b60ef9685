//! The master user's password: managed by RDS, or stored in a secret.

use aws_sdk_rds::types::MasterUserSecret;
use payinfra_engine::{Error, Ref, Result, Tags};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Cx, Explain, Need};

/// The tag with the ARN of the secret of a stored password.
const MASTER: &str = "payinfra:master";

/// The source of the master user's password. It is never in arguments, state or plans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Master {
    /// RDS generates it, stores it in a secret of its own and rotates it every seven days. Not for members of a global
    /// cluster: the Aurora user guide excludes them (Password management with Amazon Aurora and AWS Secrets Manager,
    /// Limitations).
    Managed {
        /// The ARN of the KMS key of RDS's secret.
        kms_key: Ref<String>,
    },
    /// It is the member `password` of a JSON object in a secret, which is read when the password is needed. AWS does
    /// not store the secret's ARN, so the tag `payinfra:master` of the database does.
    Stored {
        /// The secret's ARN.
        arn: Ref<String>,
    },
}

/// `tags` of a database, including the one that stores the secret of `master`.
pub(super) fn tagged(tags: &Tags, master: Option<&Master>) -> Result<Tags> {
    Ok(match master {
        Some(Master::Stored { arn }) => tags.clone().with(MASTER, arn.known()?),
        _ => tags.clone(),
    })
}

/// What a database says of its master user: the source of the password, the ARN of the secret, or an empty string, and the
/// other tags.
pub(super) fn read(secret: Option<MasterUserSecret>, tags: &Tags) -> (Option<Master>, String, Tags) {
    let (master, arn) = match (secret, tags.get(MASTER).map(str::to_owned)) {
        (Some(secret), _) => {
            let kms_key = Ref::Known(secret.kms_key_id.unwrap_or_default());
            (Some(Master::Managed { kms_key }), secret.secret_arn.unwrap_or_default())
        }
        (None, Some(stored)) => (Some(Master::Stored { arn: Ref::Known(stored.clone()) }), stored),
        (None, None) => (None, String::new()),
    };
    (master, arn, tags.iter().filter(|(key, _)| *key != MASTER).collect())
}

/// Reads the password from a secret, for the one call that needs it.
pub(super) async fn stored(cx: &Cx, arn: &str) -> Result<String> {
    let found = cx.secretsmanager().get_secret_value().secret_id(arn).send().await.explain()?;
    let value: Value = serde_json::from_str(&found.secret_string.need("SecretString")?)
        // Without the parser's message, which could contain the value.
        .map_err(|_| Error::invalid(format!("the secret {arn} is not a JSON object")))?;
    let password = value.get("password").and_then(Value::as_str).map(str::to_owned);
    password.ok_or_else(|| Error::invalid(format!("the secret {arn} has no member `password`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_secret_s_place_out_of_the_tags_that_people_see() -> Result<()> {
        let tags = Tags::new().with("Name", "c").with(MASTER, "secret");
        let (master, arn, seen) = read(None, &tags);
        assert_eq!(seen, Tags::new().with("Name", "c"));
        assert_eq!(tagged(&seen, master.as_ref())?, tags);
        assert_eq!((master, &*arn), (Some(Master::Stored { arn: Ref::from("secret") }), "secret"));
        Ok(())
    }
}
