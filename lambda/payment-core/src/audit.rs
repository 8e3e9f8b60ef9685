//! The audit record: what was accepted, when and where, with the hash of its content.

use serde_json::json;

use crate::payment::Record;

/// An audit record. It is derived from the payment, so the same payment always has the same record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key of the object: the day, the id and the hash.
    pub key: String,
    /// The content of the object: one line of JSON.
    pub body: String,
}

impl Entry {
    /// Derives the audit record of a payment.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let payment = &record.payment;
        let hash = payment.content_hash();
        let day = record.accepted_at.strftime("%Y/%m/%d");
        let body = json!({
            "acceptedAt": record.accepted_at.to_string(),
            "amount": payment.amount.to_string(),
            "contentHash": format!("sha256:{hash}"),
            "correlationId": record.correlation_id,
            "currency": payment.currency.to_string(),
            "customerId": payment.customer_id,
            "event": "payment.accepted",
            "phase": record.phase,
            "region": record.region,
            "transactionId": payment.transaction_id,
            "version": 1,
        });
        let key = format!("payments/{day}/{}-{}.json", payment.transaction_id, &hash[..16]);
        Self { key, body: body.to_string() }
    }
}
