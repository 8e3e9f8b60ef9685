//! Payments in a DynamoDB table with a sort key: an id, and a time in milliseconds.
//!
//! A condition only covers the item with the same key, so a record at the time of its payment cannot show whether its id
//! is new. So each id has a claim at time 0, which is written first and never changed. It contains the whole payment,
//! with its time. Then the record is written at this time; whoever finds a claim without its record, a repeat or the
//! table's stream, writes the same record. There is no transaction, because tables with multi-region strong consistency
//! have none.
//!
//! Only records have attributes that an index can use, so no index contains claims.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use payment_core::{Fault, Inserted, Record, Store};

use crate::fault::{fault, malformed, odd};
use crate::item::{CLAIM, Item, STATUS, attributes, record, string, text};
use crate::table::Table;

/// The payments in a table with the key `payment_id`, a string, and `timestamp`, a number.
#[derive(Clone, Debug)]
pub struct ClaimStore {
    table: Table,
    timestamp: String,
}

/// The time of claims.
const CLAIMED: i64 = 0;
/// The values of [`STATUS`]: the audit record is not yet written, or written.
const PENDING: &str = "pending";
const ACCEPTED: &str = "accepted";

impl ClaimStore {
    /// The payments in `table` with the sort key `timestamp`.
    #[must_use]
    pub fn new(table: Table, timestamp: &str) -> Self {
        Self { table, timestamp: timestamp.to_owned() }
    }

    fn key(&self, id: &str, time: i64) -> Item {
        let time = AttributeValue::N(time.to_string());
        Item::from([(self.table.id.clone(), text(id)), (self.timestamp.clone(), time)])
    }

    fn claim(&self, record: &Record) -> Item {
        let mut item = self.key(&record.payment.transaction_id, CLAIMED);
        item.insert(CLAIM.to_owned(), AttributeValue::M(attributes(record)));
        item
    }

    fn item(&self, record: &Record) -> Item {
        let mut item = self.key(&record.payment.transaction_id, record.accepted_at.as_millisecond());
        item.extend(attributes(record));
        item.insert(STATUS.to_owned(), text(if record.audited { ACCEPTED } else { PENDING }));
        item
    }

    /// The payment of a claim.
    fn claimed(&self, claim: &Item) -> Result<Record, Fault> {
        let payment = claim.get(CLAIM).and_then(|value| value.as_m().ok());
        record(string(claim, &self.table.id)?, payment.ok_or_else(|| malformed("a claim has no payment"))?, false)
    }

    /// The payment of a record. Its status may have changed further since it was accepted.
    fn recorded(&self, item: &Item) -> Result<Record, Fault> {
        record(string(item, &self.table.id)?, item, string(item, STATUS)? != PENDING)
    }

    /// The payment among the items with one id.
    fn found(&self, items: &[Item]) -> Result<Option<Record>, Fault> {
        let time = |item: &Item| item.get(&self.timestamp)?.as_n().ok()?.parse::<i64>().ok();
        let Some(claim) = items.iter().find(|item| time(item) == Some(CLAIMED)) else {
            return if items.is_empty() { Ok(None) } else { Err(malformed("an id has a record without a claim")) };
        };
        let claimed = self.claimed(claim)?;
        let (own, others): (Vec<_>, Vec<_>) = items
            .iter()
            .filter(|item| time(item) != Some(CLAIMED))
            .partition(|item| time(item) == Some(claimed.accepted_at.as_millisecond()));
        if !others.is_empty() {
            let id = &claimed.payment.transaction_id;
            tracing::error!(transaction_id = id, "two regions have accepted payments with this id");
        }
        own.first().map_or(Ok(Some(claimed)), |item| self.recorded(item).map(Some))
    }

    /// Puts the record, unless it exists; returns the payment as it is stored.
    async fn put(&self, region: &str, record: &Record) -> Result<Record, Fault> {
        let pending = Record { audited: false, ..record.clone() };
        match self.table.put_new(region, self.item(&pending)).await? {
            None => Ok(pending),
            Some(stored) => self.recorded(&stored),
        }
    }
}

impl Store for ClaimStore {
    /// The claim decides, in one region or, with multi-region strong consistency, in all.
    async fn insert(&self, record: &Record) -> Result<Inserted, Fault> {
        let stored = self.table.put_new(&record.region, self.claim(record)).await?;
        let Some(claim) = stored else {
            self.put(&record.region, record).await?;
            return Ok(Inserted::New);
        };
        let claimed = self.claimed(&claim)?;
        if claimed.payment != record.payment {
            return Ok(Inserted::Exists(Box::new(claimed)));
        }
        Ok(Inserted::Exists(Box::new(self.put(&record.region, &claimed).await?)))
    }

    async fn get(&self, region: &str, id: &str) -> Result<Option<Record>, Fault> {
        let call = self.table.client(region)?.query().table_name(&self.table.name).consistent_read(true);
        let call = call.key_condition_expression("#id = :id").expression_attribute_names("#id", &self.table.id);
        let call = call.expression_attribute_values(":id", text(id));
        let found = call.send().await.map_err(|error| fault("dynamodb:Query", &error))?;
        self.found(found.items())
    }

    async fn complete(&self, region: &str, record: &Record) -> Result<(), Fault> {
        self.put(region, record).await.map(drop)
    }

    /// Replaces the whole record, so that the function needs no permission to update items. A status that has changed
    /// further is kept.
    async fn audited(&self, region: &str, record: &Record) -> Result<(), Fault> {
        let item = self.item(&Record { audited: true, ..record.clone() });
        let call = self.table.client(region)?.put_item().table_name(&self.table.name).set_item(Some(item));
        let call = call.condition_expression("#status = :pending").expression_attribute_names("#status", STATUS);
        let call = call.expression_attribute_values(":pending", text(PENDING));
        let call = call.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = call.send().await else { return Ok(()) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                refused.item().map(drop).ok_or_else(|| odd("an accepted payment has no record"))
            }
            _ => Err(fault("dynamodb:PutItem", &error)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::item::tests::example;

    fn store() -> ClaimStore {
        ClaimStore::new(Table::new(&BTreeMap::new(), "payments", "transactionId"), "timestamp")
    }

    #[test]
    fn g04_a_claim_and_a_record_are_the_payment_that_was_stored() {
        let store = store();
        for body in [
            r#"{"transactionId":"t","customerId":"c","amount":12.5}"#,
            r#"{"transactionId":"t","customerId":"c","amount":1200,"currency":"JPY","description":"Tea ☕"}"#,
        ] {
            let stored = example(body);
            let audited = Record { audited: true, ..stored.clone() };
            let claim = store.claim(&stored);
            assert_eq!(store.claimed(&claim), Ok(stored.clone()));
            assert_eq!(store.found(std::slice::from_ref(&claim)), Ok(Some(stored.clone())));
            assert_eq!(store.found(&[claim.clone(), store.item(&stored)]), Ok(Some(stored)));
            assert_eq!(store.found(&[claim, store.item(&audited)]), Ok(Some(audited)));
        }
        assert_eq!(store.found(&[]), Ok(None));
    }

    /// G-04: an index on any attribute of a payment contains records only.
    #[test]
    fn g04_a_claim_has_no_attribute_for_an_index() {
        let claim = store().claim(&example(r#"{"transactionId":"t","customerId":"c","amount":1}"#));
        let mut names: Vec<_> = claim.keys().collect();
        names.sort();
        assert_eq!(names, ["claim", "timestamp", "transactionId"]);
        assert_eq!(claim["timestamp"], AttributeValue::N("0".to_owned()));
    }

    #[test]
    fn a_record_without_a_claim_is_malformed() {
        let store = store();
        let item = store.item(&example(r#"{"transactionId":"t","customerId":"c","amount":1}"#));
        assert_eq!(store.found(&[item]).unwrap_err().cause, payment_core::Cause::Malformed);
    }
}
