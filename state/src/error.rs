//! From the SDK's errors to the engine's, for the few calls that are made here.

use std::any::type_name;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use payinfra_engine::{Class, Error, Result};

/// The failures of the SDK in the engine's words.
pub(crate) trait Explain<T> {
    /// The call, AWS's code and message, the request id, and the class.
    fn explain(self) -> Result<T>;
}

impl<T, E> Explain<T> for std::result::Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn explain(self) -> Result<T> {
        self.map_err(|error| explain(&error))
    }
}

/// Failures that are answers.
pub(crate) trait Unless<T> {
    /// `None` where the failure is of this class.
    fn unless(self, class: Class) -> Result<Option<T>>;
}

impl<T> Unless<T> for Result<T> {
    fn unless(self, class: Class) -> Result<Option<T>> {
        match self {
            Err(error) if error.is(class) => Ok(None),
            other => other.map(Some),
        }
    }
}

/// That an answer lacks what it must have.
pub(crate) fn lacking(member: &str) -> Error {
    Error::failed(format!("AWS's answer has no {member}"))
}

pub(crate) fn explain<E>(error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let response = error.raw_response();
    let status = response.map(|response| response.status().as_u16());
    let code = error.code().map(str::to_owned);
    let class = match (error, code.as_deref()) {
        (SdkError::ConstructionFailure(_), _) => Class::Invalid,
        (SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_), _) => Class::Ambiguous,
        (_, code) => class_of(code.unwrap_or_default(), status),
    };
    let request = response.and_then(|response| {
        let headers = response.headers();
        headers.get("x-amzn-requestid").or_else(|| headers.get("x-amz-request-id")).map(str::to_owned)
    });
    let message = error.message().map_or_else(|| chain(error), str::to_owned);
    let mut explained = Error::new(class, message).call(call_of(type_name::<E>()));
    if let Some(code) = code {
        explained = explained.code(code);
    }
    if let Some(request) = request {
        explained = explained.request_id(request);
    }
    match class {
        Class::Denied => explained.hint("check the credentials, and what they may do"),
        _ => explained,
    }
}

/// All causes of `error` in one line; the SDK's own text is only "dispatch failure".
fn chain<E: std::error::Error>(error: &E) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// `s3:PutObject`, from `aws_sdk_s3::operation::put_object::PutObjectError`.
fn call_of(type_name: &str) -> String {
    let service = type_name.split("::").next().unwrap_or_default().trim_start_matches("aws_sdk_");
    let operation = type_name.rsplit("::").next().unwrap_or_default().trim_end_matches("Error");
    format!("{service}:{operation}")
}

fn class_of(code: &str, status: Option<u16>) -> Class {
    match code {
        "PreconditionFailed" => Class::Stale,
        "ConditionalRequestConflict"
        | "OperationAborted"
        | "ResourceInUseException"
        | "ReplicatedWriteConflictException"
        | "TransactionConflictException" => Class::Conflict,
        // A table that was made a moment ago has no backups yet.
        "ContinuousBackupsUnavailableException" => Class::Eventual,
        "SlowDown"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceededException"
        | "LimitExceededException" => Class::Throttled,
        "RequestTimeout" => Class::Ambiguous,
        "BucketAlreadyExists" | "BucketAlreadyOwnedByYou" | "AlreadyExistsException" => Class::Foreign,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnrecognizedClientException"
        | "ExpiredToken"
        | "ExpiredTokenException" => Class::Denied,
        "ResourceNotFoundException" | "TableNotFoundException" | "NotFoundException" => Class::NotFound,
        code if code.starts_with("NoSuch") || code.ends_with("NotFoundError") => Class::NotFound,
        _ => match status {
            Some(403) => Class::Denied,
            Some(404) => Class::NotFound,
            Some(409) => Class::Conflict,
            Some(412) => Class::Stale,
            Some(429) => Class::Throttled,
            Some(500..) | None => Class::Ambiguous,
            Some(_) => Class::Failed,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_by_code_then_by_status() {
        for (code, status, class) in [
            ("PreconditionFailed", 412, Class::Stale),
            ("ConditionalRequestConflict", 409, Class::Conflict),
            ("SlowDown", 503, Class::Throttled),
            ("InternalError", 500, Class::Ambiguous),
            ("NoSuchBucket", 404, Class::NotFound),
            ("ServerSideEncryptionConfigurationNotFoundError", 404, Class::NotFound),
            ("", 412, Class::Stale),
            ("", 403, Class::Denied),
            ("Unheard", 400, Class::Failed),
        ] {
            assert_eq!(class_of(code, Some(status)), class, "{code} {status}");
        }
        assert_eq!(call_of("aws_sdk_s3::operation::put_object::PutObjectError"), "s3:PutObject");
    }
}
