//! From the SDK's errors to the engine's: one table says what each code means.

use std::any::type_name;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;
use payinfra_engine::{Class, Error, Result};

/// The failures of the SDK in the engine's words.
pub trait Explain<T> {
    /// The call, AWS's code and message, the request id, and the class by which the engine decides.
    ///
    /// # Errors
    /// If the call failed.
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

impl<T> Explain<T> for std::result::Result<T, BuildError> {
    fn explain(self) -> Result<T> {
        self.map_err(|error| Error::invalid(error.to_string()))
    }
}

/// What an answer must have.
pub trait Need<T> {
    /// The value.
    ///
    /// # Errors
    /// If AWS's answer lacks `member`.
    fn need(self, member: &str) -> Result<T>;
}

impl<T> Need<T> for Option<T> {
    fn need(self, member: &str) -> Result<T> {
        self.ok_or_else(|| Error::failed(format!("AWS's answer has no {member}")))
    }
}

/// Failures that mean that the work is done already.
pub(crate) trait Unless<T> {
    /// `None` where the failure is of this class.
    fn unless(self, class: Class) -> Result<Option<T>>;
    /// `None` where the failure has one of these codes.
    fn unless_code(self, codes: &[&str]) -> Result<Option<T>>;
}

impl<T> Unless<T> for Result<T> {
    fn unless(self, class: Class) -> Result<Option<T>> {
        match self {
            Err(error) if error.is(class) => Ok(None),
            other => other.map(Some),
        }
    }

    fn unless_code(self, codes: &[&str]) -> Result<Option<T>> {
        match self {
            Err(error) if error.get_code().is_some_and(|code| codes.contains(&code)) => Ok(None),
            other => other.map(Some),
        }
    }
}

fn explain<E>(error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let call = call_of(type_name::<E>());
    let status = error.raw_response().map(|response| response.status().as_u16());
    let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
    let code = meta.and_then(|meta| meta.code()).map(str::to_owned);
    let said = meta.and_then(|meta| meta.message()).map(str::to_owned);
    let request = meta.and_then(|meta| meta.extra("aws_request_id")).map(str::to_owned).or_else(|| {
        let headers = error.raw_response()?.headers();
        headers.get("x-amzn-requestid").or_else(|| headers.get("x-amz-request-id")).map(str::to_owned)
    });
    let class = match (error, &code) {
        (SdkError::ConstructionFailure(_), _) => Class::Invalid,
        (SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_), _) => Class::Ambiguous,
        (_, Some(code)) => class_of(&call, code, said.as_deref().unwrap_or_default(), status),
        (_, None) => by_status(status),
    };
    let message = said.unwrap_or_else(|| chain(error));
    let mut explained = Error::new(class, message).call(call);
    if let Some(code) = code {
        explained = explained.code(code);
    }
    if let Some(request) = request {
        explained = explained.request_id(request);
    }
    match hint(class) {
        Some(hint) => explained.hint(hint),
        None => explained,
    }
}

/// All causes of `error` in one line; the SDK's own text is only "dispatch failure".
fn chain<E: std::error::Error>(error: &E) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// `ec2:CreateSubnet`, from `aws_sdk_ec2::operation::create_subnet::CreateSubnetError`.
fn call_of(type_name: &str) -> String {
    let service = type_name.split("::").next().unwrap_or_default().trim_start_matches("aws_sdk_");
    let operation = type_name.rsplit("::").next().unwrap_or_default().trim_end_matches("Error");
    let service = if service == "cloudwatchlogs" { "logs" } else { service };
    format!("{service}:{operation}")
}

fn hint(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::Denied => "check the credentials, and what they may do",
        Class::Quota => "ask AWS for a higher quota, or remove what is not needed",
        Class::Foreign => "it is not ours: rename ours, or remove the other one",
        _ => return None,
    })
}

/// Code, part of the message, class: by AWS-FACTS §0.1. The first row that fits counts; an empty string fits all.
const CLASSES: &[(&str, &str, Class)] = &[
    // Roles, keys and principals that are seconds old.
    ("InvalidParameterValueException", "cannot be assumed", Class::Eventual),
    ("InvalidParameterValueException", "ensure the role can perform", Class::Eventual),
    ("InvalidParameter", "Unable to assume given IAM role", Class::Eventual),
    ("MalformedPolicyDocumentException", "", Class::Eventual),
    ("MalformedPolicyDocument", "Invalid principal in policy", Class::Eventual),
    ("MalformedPolicy", "Invalid principal in policy", Class::Eventual),
    ("InvalidRequest", "Versioning must be 'Enabled' on the bucket", Class::Eventual),
    // Two buckets that replicate into each other cannot wait for each other: the other one is on its way.
    ("InvalidRequest", "Destination bucket must", Class::Eventual),
    ("KMSInvalidStateException", "is pending deletion", Class::NotFound),
    ("KMSInvalidStateException", "", Class::Eventual),
    // In the way for now.
    ("DependencyViolation", "", Class::Conflict),
    ("InvalidGroup.InUse", "", Class::Conflict),
    ("InvalidIPAddress.InUse", "", Class::Conflict),
    ("IncorrectState", "", Class::Conflict),
    ("IncorrectInstanceState", "", Class::Conflict),
    ("InvalidTransitGatewayAttachmentID.IncorrectState", "", Class::Conflict),
    ("OperationAborted", "", Class::Conflict),
    ("OperationAbortedException", "", Class::Conflict),
    ("ConditionalRequestConflict", "", Class::Conflict),
    ("DeleteConflict", "", Class::Conflict),
    ("ConcurrentModification", "", Class::Conflict),
    ("ConcurrentModificationException", "", Class::Conflict),
    ("ConflictException", "", Class::Conflict),
    ("ResourceInUseException", "", Class::Conflict),
    ("ResourceInUse", "", Class::Conflict),
    ("BucketNotEmpty", "", Class::Conflict),
    // Throttled.
    ("Throttling", "", Class::Throttled),
    ("ThrottlingException", "", Class::Throttled),
    ("ThrottledException", "", Class::Throttled),
    ("RequestThrottled", "", Class::Throttled),
    ("RequestThrottledException", "", Class::Throttled),
    ("RequestLimitExceeded", "", Class::Throttled),
    ("TooManyRequestsException", "", Class::Throttled),
    ("ProvisionedThroughputExceededException", "", Class::Throttled),
    ("PriorRequestNotComplete", "", Class::Throttled),
    ("SlowDown", "", Class::Throttled),
    ("EC2ThrottledException", "", Class::Throttled),
    // Nobody knows whether it took effect.
    ("InternalError", "", Class::Ambiguous),
    ("InternalFailure", "", Class::Ambiguous),
    ("InternalServerError", "", Class::Ambiguous),
    ("KMSInternalException", "", Class::Ambiguous),
    ("DependencyTimeoutException", "", Class::Ambiguous),
    ("ServiceUnavailable", "", Class::Ambiguous),
    ("ServiceUnavailableException", "", Class::Ambiguous),
    ("Unavailable", "", Class::Ambiguous),
    ("RequestTimeout", "", Class::Ambiguous),
    ("RequestTimeoutException", "", Class::Ambiguous),
    ("ExpiredToken", "", Class::Ambiguous),
    ("ExpiredTokenException", "", Class::Ambiguous),
    ("RequestExpired", "", Class::Ambiguous),
    // Taken.
    ("EntityAlreadyExists", "", Class::Foreign),
    ("BucketAlreadyExists", "", Class::Foreign),
    ("BucketAlreadyOwnedByYou", "", Class::Foreign),
    ("AlreadyExistsException", "", Class::Foreign),
    ("ResourceAlreadyExistsException", "", Class::Foreign),
    ("RouteAlreadyExists", "", Class::Foreign),
    ("FlowLogAlreadyExists", "", Class::Foreign),
    ("InvalidGroup.Duplicate", "", Class::Foreign),
    ("InvalidSubnet.Conflict", "", Class::Foreign),
    ("DuplicateTransitGatewayAttachment", "", Class::Foreign),
    ("Resource.AlreadyAssociated", "", Class::Foreign),
    // Not allowed.
    ("UnauthorizedOperation", "", Class::Denied),
    ("AuthFailure", "does not belong to you", Class::Conflict),
    ("AuthFailure", "", Class::Denied),
    ("AccessDenied", "", Class::Denied),
    ("AccessDeniedException", "", Class::Denied),
    ("InvalidClientTokenId", "", Class::Denied),
    ("UnrecognizedClientException", "", Class::Denied),
    ("InvalidAccessKeyId", "", Class::Denied),
    ("SignatureDoesNotMatch", "", Class::Denied),
    ("RequestTimeTooSkewed", "", Class::Denied),
    ("OptInRequired", "", Class::Denied),
    // Used up.
    ("LimitExceeded", "", Class::Quota),
    ("LimitExceededException", "", Class::Quota),
    ("TooManyBuckets", "", Class::Quota),
    ("InsufficientFreeAddressesInSubnet", "", Class::Quota),
    // Gone, or not yet there.
    ("NoSuchEntity", "", Class::NotFound),
    ("NotFoundException", "", Class::NotFound),
    ("ResourceNotFoundException", "", Class::NotFound),
    ("Gateway.NotAttached", "", Class::NotFound),
    ("404", "", Class::NotFound),
];

/// A failure that AWS reports inside of an answer that is a success otherwise (AWS-FACTS §0.10).
pub(crate) fn partial(call: &str, code: Option<&str>, message: Option<&str>) -> Error {
    let (code, message) = (code.unwrap_or_default(), message.unwrap_or("AWS does not say why"));
    let class = class_of(call, code, message, Some(400));
    let error = Error::new(class, message).call(call).code(code);
    match hint(class) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn class_of(call: &str, code: &str, message: &str, status: Option<u16>) -> Class {
    let row = CLASSES.iter().find(|(row, part, _)| *row == code && message.contains(part));
    match row {
        Some((_, _, class)) => *class,
        None if code.starts_with("NoSuch") || code.ends_with("NotFound") || code.ends_with(".NotFound") => {
            Class::NotFound
        }
        None if code.ends_with("LimitExceeded") => Class::Quota,
        None if call.starts_with("ec2:") && code.ends_with("AlreadyExists") => Class::Foreign,
        None => by_status(status),
    }
}

fn by_status(status: Option<u16>) -> Class {
    match status {
        Some(404) => Class::NotFound,
        Some(403) => Class::Denied,
        Some(429) => Class::Throttled,
        Some(500..) | None => Class::Ambiguous,
        Some(_) => Class::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_call_by_the_error_type() {
        assert_eq!(call_of("aws_sdk_ec2::operation::create_subnet::CreateSubnetError"), "ec2:CreateSubnet");
        assert_eq!(call_of("aws_sdk_cloudwatchlogs::operation::x::TagResourceError"), "logs:TagResource");
    }

    #[test]
    fn judges_by_code_and_message() {
        for (code, message, status, class) in [
            ("InvalidVpcID.NotFound", "", 400, Class::NotFound),
            ("DependencyViolation", "has dependencies", 400, Class::Conflict),
            ("InvalidParameter", "Unable to assume given IAM role", 400, Class::Eventual),
            ("InvalidParameter", "something else", 400, Class::Failed),
            ("RequestLimitExceeded", "", 503, Class::Throttled),
            ("VpcLimitExceeded", "", 400, Class::Quota),
            ("Unheard", "", 500, Class::Ambiguous),
            ("NoSuchLifecycleConfiguration", "", 404, Class::NotFound),
        ] {
            assert_eq!(class_of("ec2:X", code, message, Some(status)), class, "{code}: {message}");
        }
    }
}
