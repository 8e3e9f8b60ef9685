//! Converts responses and errors of the AWS SDK for Rust to the engine's types, for resources and the state alike.

mod bucket;
mod class;
mod endpoint;
mod skew;

use std::any::type_name;
use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;
use payinfra_engine::{Class, Error, Result};

use class::{by_status, class_of};

pub use bucket::DeniedBucket;
pub use endpoint::is_local;
pub use skew::Skew;

/// Converts errors of the SDK.
pub trait Explain<T> {
    /// Adds the call, AWS's error code, message and request id, and the class by which the engine decides.
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

/// Required members of a response.
pub trait Need<T> {
    /// The value.
    ///
    /// # Errors
    /// If the response lacks `member`.
    fn need(self, member: &str) -> Result<T>;
}

impl<T> Need<T> for Option<T> {
    fn need(self, member: &str) -> Result<T> {
        self.ok_or_else(|| Error::failed(format!("the response from AWS has no {member}")))
    }
}

/// Treats failures as success if they mean that the work is already done.
pub trait Unless<T> {
    /// `None` if the failure has this class.
    ///
    /// # Errors
    /// Any other failure.
    fn unless(self, class: Class) -> Result<Option<T>>;
    /// `None` if the failure has one of these error codes.
    ///
    /// # Errors
    /// Any other failure.
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
    if let Some(refusal) = refusal(error) {
        let explained = Error::new(refusal.class(), refusal.message()).call(call);
        return refusal.get_hint().into_iter().fold(explained, Error::hint);
    }
    let status = error.raw_response().map(|response| response.status().as_u16());
    let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
    let code = meta.and_then(|meta| meta.code()).map(str::to_owned);
    let said = meta.and_then(|meta| meta.message()).map(str::to_owned);
    let request = meta.and_then(|meta| meta.extra("aws_request_id")).map(str::to_owned).or_else(|| {
        let headers = error.raw_response()?.headers();
        headers.get("x-amzn-requestid").or_else(|| headers.get("x-amz-request-id")).map(str::to_owned)
    });
    let skew = error.raw_response().and_then(|response| Skew::of(response, SystemTime::now()));
    let skew = skew.filter(|skew| skew.size() > TOLERANCE);
    let class = match (error, &code) {
        (SdkError::ConstructionFailure(_), _) => Class::Invalid,
        (SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_), _) => Class::Ambiguous,
        (_, Some(code)) => class_of(&call, code, said.as_deref().unwrap_or_default(), status),
        // The answer to a HEAD has no text.
        (_, None) if status == Some(403) && skew.is_some() => Class::Expired,
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
    if class == Class::Expired {
        explained = explained.hint(match skew {
            Some(skew) => format!("set the clock of this machine: it is {skew} AWS's"),
            None => {
                "sign in again (`aws sso login`, or new access keys), then run the command again to continue".to_owned()
            }
        });
    }
    explained
}

/// How far a clock may be off before AWS rejects requests that were signed with it.
const TOLERANCE: Duration = Duration::from_mins(4);

/// An error inside an otherwise successful response (AWS-FACTS §0.10).
#[must_use]
pub fn partial(call: &str, code: Option<&str>, message: Option<&str>) -> Error {
    let (code, message) = (code.unwrap_or_default(), message.unwrap_or("AWS gave no reason"));
    let class = class_of(call, code, message, Some(400));
    Error::new(class, message).call(call).code(code)
}

/// Whether our own guard refused to send the request, so that it had no effect.
fn refusal<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    std::iter::successors(Some(error), |error| error.source()).find_map(<dyn std::error::Error>::downcast_ref)
}

/// All causes of `error` on one line; the SDK's own text is only "dispatch failure".
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

/// IAM's prefixes for services whose SDK clients have another name.
const SERVICES: &[(&str, &str)] = &[
    ("applicationautoscaling", "application-autoscaling"),
    ("cloudwatchlogs", "logs"),
    ("elasticloadbalancingv2", "elasticloadbalancing"),
    ("eventbridge", "events"),
];

/// `ec2:CreateSubnet`, from `aws_sdk_ec2::operation::create_subnet::CreateSubnetError`.
fn call_of(type_name: &str) -> String {
    let service = type_name.split("::").next().unwrap_or_default().trim_start_matches("aws_sdk_");
    let operation = type_name.rsplit("::").next().unwrap_or_default().trim_end_matches("Error");
    let service = SERVICES.iter().find(|(sdk, _)| *sdk == service).map_or(service, |(_, service)| service);
    format!("{service}:{operation}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_call_by_the_error_type() {
        assert_eq!(call_of("aws_sdk_ec2::operation::create_subnet::CreateSubnetError"), "ec2:CreateSubnet");
        assert_eq!(call_of("aws_sdk_cloudwatchlogs::operation::x::TagResourceError"), "logs:TagResource");
    }
}
