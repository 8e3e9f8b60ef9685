//! Payments as attributes of items, without their keys and marks.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use payment_core::{Amount, Currency, Fault, Payment, Record};

use crate::fault::malformed;

/// The attributes of an item.
pub(crate) type Item = HashMap<String, AttributeValue>;

const ACCEPTED_AT: &str = "accepted_at";
const AMOUNT: &str = "amount";
const CONTENT_HASH: &str = "content_hash";
const CORRELATION_ID: &str = "correlation_id";
const CURRENCY: &str = "currency";
const CUSTOMER_ID: &str = "customer_id";
const DESCRIPTION: &str = "description";
const PHASE: &str = "phase";
const REGION: &str = "region";
/// `written` in the items of [`crate::DynamoStore`] whose audit record is written.
pub(crate) const AUDIT: &str = "audit";
/// The id in the items of [`crate::DynamoStore`] whose audit record is not written.
pub(crate) const AUDIT_PENDING: &str = "audit_pending";
/// The attributes of a payment in the claims of [`crate::ClaimStore`].
pub(crate) const CLAIM: &str = "claim";
/// `pending` or `accepted` in the records of [`crate::ClaimStore`].
pub(crate) const STATUS: &str = "status";

/// All attributes, which cannot be keys.
pub(crate) const ALL: [&str; 13] = [
    ACCEPTED_AT,
    AMOUNT,
    AUDIT,
    AUDIT_PENDING,
    CLAIM,
    CONTENT_HASH,
    CORRELATION_ID,
    CURRENCY,
    CUSTOMER_ID,
    DESCRIPTION,
    PHASE,
    REGION,
    STATUS,
];

pub(crate) fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// The attributes of a payment. Amounts are stored as normalized strings, so that no client rounds them.
pub(crate) fn attributes(record: &Record) -> Item {
    let payment = &record.payment;
    let attributes = [
        (ACCEPTED_AT, record.accepted_at.to_string()),
        (AMOUNT, payment.amount.to_string()),
        (CONTENT_HASH, payment.content_hash()),
        (CORRELATION_ID, record.correlation_id.clone()),
        (CURRENCY, payment.currency.to_string()),
        (CUSTOMER_ID, payment.customer_id.clone()),
        (PHASE, record.phase.clone()),
        (REGION, record.region.clone()),
    ];
    let description = payment.description.clone().map(|description| (DESCRIPTION, description));
    attributes.into_iter().chain(description).map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).collect()
}

/// The string `name` of an item.
///
/// # Errors
/// If the item has no such string.
pub(crate) fn string(item: &Item, name: &str) -> Result<String, Fault> {
    let found = item.get(name).and_then(|value| value.as_s().ok()).cloned();
    found.ok_or_else(|| malformed(&format!("an item has no string `{name}`")))
}

/// The payment with this id and these attributes.
///
/// # Errors
/// If an attribute is missing or invalid.
pub(crate) fn record(transaction_id: String, item: &Item, audited: bool) -> Result<Record, Fault> {
    let currency =
        Currency::parse(&string(item, CURRENCY)?).map_err(|_| malformed("an item has an invalid currency"))?;
    let amount =
        Amount::parse(&string(item, AMOUNT)?, currency).map_err(|_| malformed("an item has an invalid amount"))?;
    let accepted_at = string(item, ACCEPTED_AT)?.parse().map_err(|_| malformed("an item has an invalid time"))?;
    let description = item.get(DESCRIPTION).and_then(|value| value.as_s().ok()).cloned();
    let payment = Payment { transaction_id, customer_id: string(item, CUSTOMER_ID)?, amount, currency, description };
    Ok(Record {
        payment,
        accepted_at,
        region: string(item, REGION)?,
        phase: string(item, PHASE)?,
        correlation_id: string(item, CORRELATION_ID)?,
        audited,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example(body: &str) -> Record {
        Record {
            payment: Payment::parse(body.as_bytes()).unwrap(),
            accepted_at: "2026-03-01T02:00:00.123Z".parse().unwrap(),
            region: "us-east-1".to_owned(),
            phase: "migration".to_owned(),
            correlation_id: "request-1".to_owned(),
            audited: false,
        }
    }

    #[test]
    fn an_item_that_is_no_payment_is_malformed() {
        let whole = attributes(&example(r#"{"transactionId":"t","customerId":"c","amount":1}"#));
        for (name, value) in [(AMOUNT, "1.005"), (CURRENCY, "?"), (ACCEPTED_AT, "yesterday")] {
            let mut wrong = whole.clone();
            wrong.insert(name.to_owned(), text(value));
            assert!(record("t".to_owned(), &wrong, false).is_err(), "{name}");
            wrong.remove(name);
            assert!(record("t".to_owned(), &wrong, false).is_err(), "{name}");
        }
    }
}
