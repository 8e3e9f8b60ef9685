//! Explains a denied access to a bucket. Bucket names are shared by all AWS accounts, so a stranger can create a bucket
//! with a name that can be guessed (AWS-FACTS, "S3: state buckets with guessable names are squatted").

use aws_sdk_s3::Client;
use payinfra_engine::{Class, Error};

use crate::Explain;

/// A bucket that was called with `ExpectedBucketOwner` and denied access.
#[derive(Clone, Copy, Debug)]
pub struct DeniedBucket<'a> {
    /// Its name.
    pub name: &'a str,
    /// The expected owner.
    pub account: &'a str,
    /// Whether the credentials belong to that account.
    pub is_own_account: bool,
    /// The setting that names the bucket, for the hint: "`[state] bucket`".
    pub setting: &'a str,
}

enum Owner {
    Expected,
    Another,
    Unknown,
}

impl DeniedBucket<'_> {
    /// `error` with the reason, as far as S3 tells it: a wrong owner and a missing permission have the same error code.
    /// Errors other than `AccessDenied` are returned unchanged. Only metadata is requested.
    pub async fn explain(&self, s3: &Client, error: Error) -> Error {
        // A HEAD response has no error code.
        if !error.is(Class::Denied) || !matches!(error.get_code(), None | Some("AccessDenied")) {
            return error;
        }
        let Self { name, account, setting, .. } = self;
        match self.owner(s3).await {
            Owner::Expected => error,
            Owner::Another => {
                let message =
                    format!("the bucket `{name}` does not belong to account {account}: nothing was read or written");
                let hint = format!(
                    "bucket names are unique across all AWS accounts, and another account has this one: set \
                     {setting} to a bucket of your own"
                );
                like(&error, Class::Foreign, message).hint(hint).source(error)
            }
            Owner::Unknown => {
                let message = format!(
                    "the bucket `{name}` denies access ({}): the credentials lack a permission, or the bucket does not \
                     belong to account {account}",
                    error.message()
                );
                let hint = format!(
                    "check the permissions of the credentials; if the bucket belongs to another account, set {setting} \
                     to a bucket of your own"
                );
                like(&error, Class::Denied, message).hint(hint).source(error)
            }
        }
    }

    async fn owner(&self, s3: &Client) -> Owner {
        let head = || s3.head_bucket().bucket(self.name);
        match head().expected_bucket_owner(self.account).send().await.explain() {
            Ok(_) => return Owner::Expected,
            Err(error) if !error.is(Class::Denied) => return Owner::Unknown,
            Err(_) => {}
        }
        // The call succeeds without the expected owner, so the owner was the reason.
        if head().send().await.is_ok() {
            return Owner::Another;
        }
        // The list does not contain access points.
        let is_name = !self.name.contains(':') && !self.name.ends_with("-s3alias");
        if !self.is_own_account || !is_name {
            return Owner::Unknown;
        }
        match s3.list_buckets().prefix(self.name).send().await {
            Ok(list) if list.buckets().iter().any(|bucket| bucket.name() == Some(self.name)) => Owner::Expected,
            Ok(list) if list.continuation_token().is_none() => Owner::Another,
            _ => Owner::Unknown,
        }
    }
}

/// Another error of the same call.
fn like(error: &Error, class: Class, message: String) -> Error {
    let mut other = Error::new(class, message);
    if let Some(call) = error.get_call() {
        other = other.call(call);
    }
    if let Some(code) = error.get_code() {
        other = other.code(code);
    }
    if let Some(id) = error.get_request_id() {
        other = other.request_id(id);
    }
    other
}
