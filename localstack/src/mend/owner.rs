//! Checks `x-amz-expected-bucket-owner`, which the emulators ignore.

use crate::{
    action::Request,
    answer::{self, Answer},
    emulator::ACCOUNT_ID,
    route::query,
};

/// The headers with the expected owner of the bucket, and of the source bucket of a copy.
const NAMES: &[&str] = &["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"];

/// Rejects a request that expects another account to own a bucket: this account owns all buckets.
pub(crate) fn refuse(request: &Request) -> Option<Answer> {
    if request.scope.service != "s3" {
        return None;
    }
    // A presigned URL has it in its query.
    let parameters = request.uri.query().unwrap_or_default();
    let expected = |name: &&str| request.header(name).map(str::to_owned).or_else(|| query(parameters, name));
    let other = NAMES.iter().filter_map(expected).any(|account| account != ACCOUNT_ID);
    other.then(|| answer::error(request, 403, "AccessDenied", "Access Denied"))
}
