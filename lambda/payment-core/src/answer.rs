//! What is answered.

use serde_json::{Value, json};

use crate::payment::{Record, Refusal};
use crate::retry::Fault;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The payment and its audit record are stored.
    Accepted {
        /// The payment.
        record: Record,
        /// Whether they were before.
        repeated: bool,
    },
    /// The payment that was asked for. It is `accepted` once its audit record is written, and `pending` until then.
    Found(Record),
    /// There is no such payment.
    NotFound,
    /// The request is wrong.
    Refused(Refusal),
    /// There is another payment with this id.
    Conflict {
        /// The id.
        transaction_id: String,
    },
    /// The region that the id belongs to cannot be reached from here, and another must not take the payment.
    Unreachable {
        /// The payment's id.
        transaction_id: String,
        /// The region.
        region: String,
        /// Why; for the log only.
        fault: Fault,
    },
    /// Something of ours is wrong.
    Failed {
        /// The id of a payment that may have been stored, or not: it is in doubt until it is sent again or repaired.
        transaction_id: Option<String>,
        /// What; for the log only.
        fault: Fault,
    },
}

impl Outcome {
    /// Its name in logs and metrics.
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

    /// The HTTP status. A repeat is answered like the first time: a client that asks again does not know which it is.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Accepted { .. } | Self::Found(_) => 200,
            Self::Refused(_) => 400,
            Self::NotFound => 404,
            Self::Conflict { .. } => 409,
            Self::Unreachable { .. } => 503,
            Self::Failed { .. } => 500,
        }
    }

    /// The answer's body. A failure tells nothing but that it is one.
    #[must_use]
    pub fn body(&self) -> Value {
        match self {
            Self::Accepted { record, .. } | Self::Found(record) => shown(record),
            Self::NotFound => json!({ "error": "there is no such payment" }),
            Self::Refused(Refusal { field, reason, .. }) => json!({ "error": reason, "field": field }),
            Self::Conflict { transaction_id } => {
                let error = "there is a payment with this transactionId and other content";
                json!({ "error": error, "transactionId": transaction_id })
            }
            Self::Unreachable { .. } => {
                json!({ "error": "the region of this transactionId cannot be reached; send the request again" })
            }
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
