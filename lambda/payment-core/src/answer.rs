//! The outcomes of requests and their HTTP responses.

use serde_json::{Value, json};

use crate::payment::{Record, Refusal};
use crate::retry::{Cause, Fault};

/// The message for a request that could not be completed in time.
pub const LATE: &str = "the request timed out; retry it";

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The payment and its audit record are stored.
    Accepted {
        /// The payment.
        record: Record,
        /// Whether they were stored before this request.
        repeated: bool,
    },
    /// The requested payment. It is `accepted` once its audit record is written, and `pending` until then.
    Found(Record),
    /// The payment does not exist.
    NotFound,
    /// The request is invalid.
    Refused(Refusal),
    /// A different payment with this id exists.
    Conflict {
        /// The id.
        transaction_id: String,
    },
    /// The region that owns the id is unreachable, and no other region may accept the payment.
    Unreachable {
        /// The payment's id.
        transaction_id: String,
        /// The region that owns the id.
        region: String,
        /// The cause, for the log only.
        fault: Fault,
    },
    /// An internal error, or no time to complete the request.
    Failed {
        /// The id of a payment that may or may not have been stored: it is in doubt until it is sent again or repaired.
        transaction_id: Option<String>,
        /// The cause, for the log only.
        fault: Fault,
    },
}

impl Outcome {
    /// The outcome's name in logs and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted { repeated: false, .. } => "accepted",
            Self::Accepted { repeated: true, .. } => "repeated",
            Self::Found(_) => "found",
            Self::NotFound => "not-found",
            Self::Refused(_) => "refused",
            Self::Conflict { .. } => "conflict",
            Self::Unreachable { .. } => "unreachable",
            Self::Failed { transaction_id: Some(_), .. } => "in-doubt",
            Self::Failed { transaction_id: None, .. } => "failed",
        }
    }

    /// The HTTP status. A repeat gets the same response as the first request, because the client cannot tell them
    /// apart.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Accepted { .. } | Self::Found(_) => 200,
            Self::Refused(_) => 400,
            Self::NotFound => 404,
            Self::Conflict { .. } => 409,
            Self::Unreachable { .. } => 503,
            Self::Failed { fault, .. } if fault.cause == Cause::Late => 503,
            Self::Failed { .. } => 500,
        }
    }

    /// The response body. It shows no details of an internal error.
    #[must_use]
    pub fn body(&self) -> Value {
        match self {
            Self::Accepted { record, .. } | Self::Found(record) => shown(record),
            Self::NotFound => json!({ "error": "payment not found" }),
            Self::Refused(Refusal { field, reason, .. }) => json!({ "error": reason, "field": field }),
            Self::Conflict { transaction_id } => {
                let error = "a different payment with this transactionId exists";
                json!({ "error": error, "transactionId": transaction_id })
            }
            Self::Unreachable { .. } => {
                json!({ "error": "the region of this transactionId is unreachable; retry the request" })
            }
            Self::Failed { fault, .. } if fault.cause == Cause::Late => json!({ "error": LATE }),
            Self::Failed { .. } => json!({ "error": "internal error" }),
        }
    }
}

fn shown(record: &Record) -> Value {
    let payment = &record.payment;
    let mut shown = json!({
        "acceptedAt": record.accepted_at.to_string(),
        "amount": payment.amount.to_string(),
        "currency": payment.currency.to_string(),
        "customerId": payment.customer_id,
        "status": if record.audited { "accepted" } else { "pending" },
        "transactionId": payment.transaction_id,
    });
    if let Some(description) = &payment.description {
        shown["description"] = json!(description);
    }
    shown
}
