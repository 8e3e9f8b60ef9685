//! Maps errors of the SDK to errors of the core, which distinguish whether a retry may succeed.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use payment_core::{Cause, Fault};

/// Transient error codes of responses that are not server errors.
const PASSING: [&str; 9] = [
    "ConditionalRequestConflict",
    "OperationAborted",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "SlowDown",
    "ThrottlingException",
    "TransactionConflictException",
];

/// The error of a failed `call`.
pub fn fault<E>(call: &str, error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let transient = match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        SdkError::ServiceError(answer) => {
            let code = answer.err().code().unwrap_or_default();
            answer.raw().status().as_u16() >= 500 || PASSING.contains(&code)
        }
        _ => false,
    };
    let cause = if transient { Cause::Transient } else { Cause::Permanent };
    Fault { cause, message: format!("{call}: {}", DisplayErrorContext(error)) }
}

/// An unexpected response, or settings that do not belong together.
pub(crate) fn odd(what: &str) -> Fault {
    Fault { cause: Cause::Permanent, message: what.to_owned() }
}

/// An item that is not a payment.
pub(crate) fn malformed(what: &str) -> Fault {
    Fault { cause: Cause::Malformed, message: what.to_owned() }
}
