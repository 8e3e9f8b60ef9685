//! Payments as items of a DynamoDB table, by id.
//!
//! An item is its own outbox: it is created with `audit_pending`, which one write replaces with `audit`. The attribute
//! contains the id, so an index on it has only the payments without an audit record, and spreads them evenly.

use std::collections::{BTreeMap, HashMap};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use payment_core::{Amount, Currency, Fault, Inserted, Page, Payment, Record, Store, card};

use crate::fault::{fault, odd};

/// The table of payments, which has a replica in each region.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    clients: BTreeMap<String, Client>,
    table: String,
    index: Option<String>,
}

/// The attributes of an item.
const ID: &str = "payment_id";
const ACCEPTED_AT: &str = "accepted_at";
const AUDIT: &str = "audit";
const AUDIT_PENDING: &str = "audit_pending";
const AMOUNT: &str = "amount";
const CONTENT_HASH: &str = "content_hash";
const CORRELATION_ID: &str = "correlation_id";
const CURRENCY: &str = "currency";
const CUSTOMER_ID: &str = "customer_id";
const DESCRIPTION: &str = "description";
const PHASE: &str = "phase";
const REGION: &str = "region";
/// The value of [`AUDIT`].
const WRITTEN: &str = "written";

impl DynamoStore {
    /// The table `table` in the regions of `sdks`, and the index of payments without an audit record. Without the
    /// index, sweeps scan the whole table.
    #[must_use]
    pub fn new<'a>(sdks: impl IntoIterator<Item = (&'a str, &'a SdkConfig)>, table: &str, index: Option<&str>) -> Self {
        let clients = sdks.into_iter().map(|(region, sdk)| (region.to_owned(), Client::new(sdk)));
        Self { clients: clients.collect(), table: table.to_owned(), index: index.map(str::to_owned) }
    }

    fn client(&self, region: &str) -> Result<&Client, Fault> {
        self.clients.get(region).ok_or_else(|| odd(&format!("no table in {region}")))
    }
}

impl Store for DynamoStore {
    /// Condition and write are atomic in one region, the home of the id.
    async fn insert(&self, record: &Record) -> Result<Inserted, Fault> {
        let call = self.client(&record.region)?.put_item().table_name(&self.table).set_item(Some(item(record)));
        let call = call.condition_expression("attribute_not_exists(#id)").expression_attribute_names("#id", ID);
        let call = call.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = call.send().await else { return Ok(Inserted::New) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                let stored = refused.item().ok_or_else(|| odd("DynamoDB did not return the existing item"))?;
                Ok(Inserted::Exists(Box::new(self::record(stored)?)))
            }
            _ => Err(fault("dynamodb:PutItem", &error)),
        }
    }

    async fn get(&self, region: &str, id: &str) -> Result<Option<Record>, Fault> {
        let call = self.client(region)?.get_item().table_name(&self.table).key(ID, text(id)).consistent_read(true);
        let found = call.send().await.map_err(|error| fault("dynamodb:GetItem", &error))?;
        found.item.as_ref().map(record).transpose()
    }

    /// The condition prevents a late update from creating an item.
    async fn audited(&self, region: &str, id: &str) -> Result<(), Fault> {
        let call = self.client(region)?.update_item().table_name(&self.table).key(ID, text(id));
        let call = call.update_expression("SET #audit = :written REMOVE #pending");
        let call = call.condition_expression("attribute_exists(#id)").expression_attribute_names("#id", ID);
        let call =
            call.expression_attribute_names("#audit", AUDIT).expression_attribute_names("#pending", AUDIT_PENDING);
        let call = call.expression_attribute_values(":written", text(WRITTEN));
        call.send().await.map(drop).map_err(|error| fault("dynamodb:UpdateItem", &error))
    }

    /// An invalid item is logged, and does not stop the repair of others.
    async fn pending(&self, region: &str, from: Option<String>) -> Result<Page, Fault> {
        let call = self.client(region)?.scan().table_name(&self.table).set_index_name(self.index.clone());
        let call = call.filter_expression("attribute_exists(#pending)");
        let call = call.expression_attribute_names("#pending", AUDIT_PENDING);
        let key = |id: String| {
            let pending = self.index.is_some().then(|| (AUDIT_PENDING.to_owned(), text(&id)));
            pending.into_iter().chain([(ID.to_owned(), text(&id))]).collect()
        };
        let call = call.set_exclusive_start_key(from.map(key));
        let found = call.send().await.map_err(|error| fault("dynamodb:Scan", &error))?;
        let readable = |item| match record(item) {
            Ok(record) => Some(record),
            Err(fault) => {
                tracing::error!(error = %card::redact(&fault.message), "an item cannot be repaired");
                None
            }
        };
        let records = found.items().iter().filter_map(readable).collect();
        let next = found.last_evaluated_key.as_ref().and_then(|key| key.get(ID)?.as_s().ok().cloned());
        Ok(Page { records, next })
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Amounts are stored as normalized strings, so that no client rounds them.
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
    let audit =
        if record.audited { (AUDIT, WRITTEN.to_owned()) } else { (AUDIT_PENDING, payment.transaction_id.clone()) };
    let attributes = attributes.into_iter().chain(description).chain([audit]);
    attributes.map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).collect()
}

fn record(item: &HashMap<String, AttributeValue>) -> Result<Record, Fault> {
    let get = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
    let need = |name: &str| get(name).ok_or_else(|| odd(&format!("an item has no string `{name}`")));
    let currency = Currency::parse(&need(CURRENCY)?).map_err(|_| odd("an item has an invalid currency"))?;
    let amount = Amount::parse(&need(AMOUNT)?, currency).map_err(|_| odd("an item has an invalid amount"))?;
    let accepted_at = need(ACCEPTED_AT)?.parse().map_err(|_| odd("an item has an invalid time"))?;
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
        audited: get(AUDIT).is_some(),
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
            audited: false,
        }
    }

    #[test]
    fn p09_an_item_is_the_payment_that_was_stored() {
        for body in [
            r#"{"transactionId":"t","customerId":"c","amount":12.5}"#,
            r#"{"transactionId":"t","customerId":"c","amount":1200,"currency":"JPY","description":"Tea ☕"}"#,
        ] {
            let stored = example(body);
            let audited = Record { audited: true, ..stored.clone() };
            assert_eq!(record(&item(&stored)), Ok(stored));
            assert_eq!(record(&item(&audited)), Ok(audited));
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
