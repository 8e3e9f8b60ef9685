//! The Lambda function for payments, behind API Gateway and behind the table's stream.
//!
//! Requests are those of the payments service: `payment-core` has the logic, `payment-aws` the table and the bucket.
//! If the bucket fails, a payment is accepted as `pending`, and the event of the table's stream writes its audit record.
//! Lambda delivers that event until it succeeds, so no audit record is lost.

mod event;
mod function;
pub mod runtime;
mod settings;

pub use event::Failure;
pub use function::Function;
pub use settings::{Settings, SettingsError};

/// The API description, which is committed as `lambda/openapi-function.json`.
#[must_use]
pub fn document() -> serde_json::Value {
    function::API.document()
}
