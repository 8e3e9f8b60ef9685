//! Patch operations, by which API Gateway updates resources.

use aws_sdk_apigateway::types::{Op, PatchOperation};

/// Sets the value at `path`.
pub(super) fn replace(path: &str, value: &(impl ToString + ?Sized)) -> PatchOperation {
    PatchOperation::builder().op(Op::Replace).path(path).value(value.to_string()).build()
}

/// Adds a value to the list at `path`.
pub(super) fn add(path: &str, value: &str) -> PatchOperation {
    PatchOperation::builder().op(Op::Add).path(path).value(value).build()
}

/// Removes a value from the list at `path`.
pub(super) fn remove_from(path: &str, value: &str) -> PatchOperation {
    PatchOperation::builder().op(Op::Remove).path(path).value(value).build()
}

/// Removes what is at `path`.
pub(super) fn remove(path: &str) -> PatchOperation {
    PatchOperation::builder().op(Op::Remove).path(path).build()
}

/// Sets the value at `path` if it has changed.
pub(super) fn changed<T: PartialEq + ToString>(path: &str, was: &T, want: &T) -> Option<PatchOperation> {
    (was != want).then(|| replace(path, want))
}
