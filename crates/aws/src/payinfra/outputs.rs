//! A lookup of outputs of another workspace or stack, from its state.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use payinfra_engine::secret::is_secret;
use payinfra_engine::{Class, Error, FORMAT, Lookup, Ref, Region, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use payinfra_sdk::DeniedBucket;

use crate::{Cx, Explain};

/// Outputs of another workspace or stack after its last successful apply. Its state is only read. The bucket must be in
/// the region of this lookup.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteOutputs {
    /// The bucket of the state.
    pub bucket: String,
    /// The account that must own the bucket; by default, the current account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The stack.
    pub stack: String,
    /// The workspace.
    pub workspace: String,
    /// The lineage that the state must have; by default, any.
    pub lineage: Option<String>,
    /// The names of the outputs; all must exist.
    pub outputs: BTreeSet<String>,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RemoteOutputsFound {
    /// The requested outputs by name.
    pub values: Ref<BTreeMap<String, String>>,
}

impl Lookup for RemoteOutputs {
    type Cx = Cx;
    const KIND: &'static str = "payinfra.outputs";
    type Outputs = RemoteOutputsFound;

    async fn find(&self, cx: &Cx) -> Result<RemoteOutputsFound> {
        let key = format!("{}/{}/state.json", self.stack, self.workspace);
        let place = format!("s3://{}/{key}", self.bucket);
        let account = self.account.as_deref().unwrap_or(cx.account());
        let call = cx.s3().get_object().bucket(&self.bucket).expected_bucket_owner(account).key(&key);
        let answer = match call.send().await.explain() {
            Ok(answer) => answer,
            Err(error) if error.is(Class::Denied) && !is_of_the_key(&error) => {
                let denied = DeniedBucket {
                    name: &self.bucket,
                    account,
                    is_own_account: account == cx.account(),
                    setting: "`bucket` or `account` under `remote_outputs` in payinfra.toml",
                };
                return Err(self.unread(denied.explain(cx.s3(), error).await, cx.region(), &place));
            }
            Err(error) => return Err(self.unread(error, cx.region(), &place)),
        };
        let state = Remote::parse(&body(answer).await?, &place)?;
        self.check(&state, &place)?;
        let values = self.outputs.iter().map(|name| {
            let value = state.outputs.get(name).ok_or_else(|| self.lacks(name, &state))?;
            if is_secret(value) {
                return Err(Error::invalid(format!("the output `{name}` of {} is a secret", self.whose()))
                    .hint("a state has only its digest; store it in Secrets Manager, and output its ARN"));
            }
            Ok((name.clone(), flat(value)))
        });
        Ok(RemoteOutputsFound { values: Ref::Known(values.collect::<Result<_>>()?) })
    }
}

/// The part of a state that is read. It is the same in all formats so far, so that workspaces that were last applied by
/// an older version of payinfra can be read.
#[derive(Debug, Deserialize)]
struct Remote {
    stack: String,
    workspace: String,
    lineage: String,
    outputs: BTreeMap<String, Value>,
}

impl Remote {
    fn parse(bytes: &[u8], place: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let broken = |error: serde_json::Error| {
            Error::invalid(format!("{place}: the state cannot be read: {error}"))
                .hint("restore an earlier version of the state object; the bucket keeps versions for 90 days")
        };
        let Head { format } = serde_json::from_slice(bytes).map_err(broken)?;
        if !(1..=FORMAT).contains(&format) {
            let message = format!(
                "{place}: the state has format {format}, but this version of payinfra supports formats up to {FORMAT}"
            );
            return Err(Error::invalid(message).hint("use the version of payinfra that wrote it, or a newer one"));
        }
        serde_json::from_slice(bytes).map_err(broken)
    }
}

/// Whether access to the key is denied, not to the bucket.
fn is_of_the_key(error: &Error) -> bool {
    error.message().to_lowercase().contains("kms")
}

/// Reads the complete object.
async fn body(answer: GetObjectOutput) -> Result<Vec<u8>> {
    let cut = |error| Error::new(Class::Ambiguous, "the response ended early").call("s3:GetObject").source(error);
    Ok(answer.body.collect().await.map_err(cut)?.to_vec())
}

impl RemoteOutputs {
    /// In the form for messages.
    fn whose(&self) -> String {
        format!("workspace `{}` of stack `{}`", self.workspace, self.stack)
    }

    /// The error for a state that could not be read. A missing state is not retried.
    fn unread(&self, error: Error, region: &Region, place: &str) -> Error {
        let code = error.get_code().unwrap_or_default().to_owned();
        let (message, hint) = match (error.class(), code.as_str()) {
            (_, "NoSuchBucket") => (
                format!(
                    "bucket `{}` not found in {}, which should have the state of {}",
                    self.bucket,
                    region,
                    self.whose()
                ),
                "correct `bucket` and `region` under `remote_outputs` in payinfra.toml",
            ),
            (_, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => (
                format!("the bucket `{}` with the state of {} is not in {}", self.bucket, self.whose(), region),
                "correct `region` under `remote_outputs` in payinfra.toml",
            ),
            (Class::NotFound, _) => (
                format!("{} has no state: {place} does not exist", self.whose()),
                "apply that workspace first, or correct `remote_outputs` in payinfra.toml",
            ),
            (Class::Denied, _) if is_of_the_key(&error) => (
                format!("the key of {place} denies access: {}", error.message()),
                "reading a state requires `kms:Decrypt` with its key",
            ),
            (Class::Denied, _) => (
                format!("{place} cannot be read: {}", error.message()),
                "reading a state requires `s3:GetObject` on it and `kms:Decrypt` with its key",
            ),
            _ => return error,
        };
        let class = if error.is(Class::Denied) { Class::Denied } else { Class::Invalid };
        let told = Error::new(class, message).call("s3:GetObject").code(code).hint(hint);
        match error.get_request_id().map(str::to_owned) {
            Some(id) => told.request_id(id),
            None => told,
        }
    }

    /// Checks that it is the expected state.
    fn check(&self, state: &Remote, place: &str) -> Result<()> {
        let lineage = self.lineage.as_deref().unwrap_or(&state.lineage);
        for (what, is, should) in [
            ("stack", &state.stack[..], &self.stack[..]),
            ("workspace", &state.workspace, &self.workspace),
            ("lineage", &state.lineage, lineage),
        ] {
            if is != should {
                return Err(Error::invalid(format!("{place} is the state of {what} `{is}`, not of `{should}`"))
                    .hint("correct `remote_outputs` in payinfra.toml"));
            }
        }
        Ok(())
    }

    fn lacks(&self, name: &str, state: &Remote) -> Error {
        let there: Vec<_> = state.outputs.keys().map(String::as_str).collect();
        let hint = if there.is_empty() {
            "it has no completed apply yet; apply it first".to_owned()
        } else {
            format!("available outputs: {}", there.join(", "))
        };
        Error::invalid(format!("{} has no output `{name}`", self.whose())).hint(hint)
    }
}

/// In the form for files: a string unquoted, any other value as JSON.
fn flat(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M-29: the error for a missing permission names the permission.
    #[test]
    fn m29_a_state_that_is_not_for_us_says_what_is_lacking() {
        let remote = RemoteOutputs {
            bucket: "states".to_owned(),
            stack: "migration".to_owned(),
            workspace: "legacy".to_owned(),
            account: None,
            lineage: None,
            outputs: BTreeSet::new(),
        };
        for (code, said, class, message, hint) in [
            (
                "AccessDenied",
                "not authorized to perform: kms:Decrypt",
                Class::Denied,
                "the key of s3://it denies access: not authorized to perform: kms:Decrypt",
                "reading a state requires `kms:Decrypt` with its key",
            ),
            (
                "AccessDenied",
                "Access Denied",
                Class::Denied,
                "s3://it cannot be read: Access Denied",
                "reading a state requires `s3:GetObject` on it and `kms:Decrypt` with its key",
            ),
            (
                "PermanentRedirect",
                "elsewhere",
                Class::Failed,
                "the bucket `states` with the state of workspace `legacy` of stack `migration` is not in us-east-1",
                "correct `region` under `remote_outputs` in payinfra.toml",
            ),
        ] {
            let error = Error::new(class, said).code(code).request_id("1234");
            let told = remote.unread(error, &Region::new("us-east-1"), "s3://it");
            assert_eq!((told.message(), told.get_hint()), (message, Some(hint)));
            assert_eq!(told.get_request_id(), Some("1234"));
        }
    }
}
