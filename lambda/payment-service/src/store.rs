//! Payments as items of a table: one each, found by its id.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use payment_core::{Amount, Currency, Fault, Inserted, Payment, Record, Store};

use crate::fault::{fault, odd};

/// The table of payments.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    client: Client,
    table: String,
}

/// The attributes of an item.
const ID: &str = "payment_id";
const ACCEPTED_AT: &str = "accepted_at";
const AMOUNT: &str = "amount";
const CONTENT_HASH: &str = "content_hash";
const CORRELATION_ID: &str = "correlation_id";
const CURRENCY: &str = "currency";
const CUSTOMER_ID: &str = "customer_id";
const DESCRIPTION: &str = "description";
const PHASE: &str = "phase";
const REGION: &str = "region";

impl DynamoStore {
    /// The table `table`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: &str) -> Self {
        Self { client: Client::new(sdk), table: table.to_owned() }
    }
}

impl Store for DynamoStore {
    /// The condition and the write are one act in one region. Between regions the last writer wins (the table's
    /// replicas are written a moment later), so a client must repeat a request in the region that it began in.
    async fn insert(&self, record: &Record) -> Result<Inserted, Fault> {
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item(record)));
        let call = call.condition_expression("attribute_not_exists(#id)").expression_attribute_names("#id", ID);
        let call = call.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = call.send().await else { return Ok(Inserted::New) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                let stored = refused.item().ok_or_else(|| odd("DynamoDB does not show the item that is there"))?;
                Ok(Inserted::Exists(Box::new(self::record(stored)?)))
            }
            _ => Err(fault("dynamodb:PutItem", &error)),
        }
    }

    async fn get(&self, id: &str) -> Result<Option<Record>, Fault> {
        let call = self.client.get_item().table_name(&self.table).key(ID, text(id)).consistent_read(true);
        let found = call.send().await.map_err(|error| fault("dynamodb:GetItem", &error))?;
        found.item.as_ref().map(record).transpose()
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Amounts are texts in their one form: nothing between here and the reader can round them.
fn item(record: &Record) -> HashMap<String, AttributeValue> {
    let payment = &record.payment;
    let attributes = [
        (ID, payment.transaction_id.clone()),
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
    let attributes = attributes.into_iter().chain(description);
    attributes.map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).collect()
}

fn record(item: &HashMap<String, AttributeValue>) -> Result<Record, Fault> {
    let get = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
    let need = |name: &str| get(name).ok_or_else(|| odd(&format!("an item has no text `{name}`")));
    let currency = Currency::parse(&need(CURRENCY)?).map_err(|_| odd("an item's currency is none"))?;
    let amount = Amount::parse(&need(AMOUNT)?, currency).map_err(|_| odd("an item's amount is none"))?;
    let accepted_at = need(ACCEPTED_AT)?.parse().map_err(|_| odd("an item's time is none"))?;
    Ok(Record {
        payment: Payment {
            transaction_id: need(ID)?,
            customer_id: need(CUSTOMER_ID)?,
            amount,
            currency,
            description: get(DESCRIPTION),
        },
        accepted_at,
        region: need(REGION)?,
        phase: need(PHASE)?,
        correlation_id: need(CORRELATION_ID)?,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn example(body: &str) -> Record {
        Record {
            payment: Payment::parse(body.as_bytes()).unwrap(),
            accepted_at: "2026-03-01T02:00:00.123Z".parse().unwrap(),
            region: "us-east-1".to_owned(),
            phase: "migration".to_owned(),
            correlation_id: "request-1".to_owned(),
        }
    }

    #[test]
    fn p09_an_item_is_the_payment_that_was_stored() {
        for body in [
            r#"{"transactionId":"t","customerId":"c","amount":12.5}"#,
            r#"{"transactionId":"t","customerId":"c","amount":1200,"currency":"JPY","description":"Tea ☕"}"#,
        ] {
            let stored = example(body);
            assert_eq!(record(&item(&stored)), Ok(stored));
        }
    }

    #[test]
    fn an_item_that_is_none_is_a_failure() {
        let whole = item(&example(r#"{"transactionId":"t","customerId":"c","amount":1}"#));
        for (name, value) in [(AMOUNT, "1.005"), (CURRENCY, "?"), (ACCEPTED_AT, "yesterday")] {
            let mut wrong = whole.clone();
            wrong.insert(name.to_owned(), text(value));
            assert!(record(&wrong).is_err(), "{name}");
            wrong.remove(name);
            assert!(record(&wrong).is_err(), "{name}");
        }
    }
}
