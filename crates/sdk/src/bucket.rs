//! Whose bucket it is that denies access. Names of buckets are shared by all of AWS, so a name that can be guessed can
//! be taken by a stranger (AWS-FACTS, "S3: state buckets with guessable names are squatted").

use aws_sdk_s3::Client;
use payinfra_engine::{Class, Error};

use crate::Explain;

/// A bucket that was called with `ExpectedBucketOwner`, and denied access.
#[derive(Clone, Copy, Debug)]
pub struct DeniedBucket<'a> {
    /// Its name.
    pub name: &'a str,
    /// The account that was expected to own it.
    pub account: &'a str,
    /// Whether the credentials are of that account.
    pub is_own_account: bool,
    /// Where the name is set, for the hint: "`[state] bucket`".
    pub setting: &'a str,
}

enum Owner {
    Expected,
    Another,
    Unknown,
}

impl DeniedBucket<'_> {
    /// `error` with its reason, as far as S3 tells it: a wrong owner and a lack of permissions have the same code. Other
    /// errors than `AccessDenied` are returned as they are. Only metadata is asked for.
    pub async fn explain(&self, s3: &Client, error: Error) -> Error {
        // An answer to HEAD has no code.
        if !error.is(Class::Denied) || !matches!(error.get_code(), None | Some("AccessDenied")) {
            return error;
        }
        let Self { name, account, setting, .. } = self;
        match self.owner(s3).await {
            Owner::Expected => error,
            Owner::Another => {
                let message = format!(
                    "the bucket `{name}` belongs to another account, not to {account}: nothing was read or written"
                );
                let hint = format!(
                    "bucket names are shared by all AWS accounts, and another account created this one first: set \
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
        // Without the owner it is open to us: the owner alone was the reason.
        if head().send().await.is_ok() {
            return Owner::Another;
        }
        // The list has no access points.
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

/// Another failure of the same call.
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
