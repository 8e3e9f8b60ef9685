//! Payments as items of a DynamoDB table whose only key is the id.
//!
//! An item is its own outbox: it is created with `audit_pending`, which one write replaces with `audit`. The attribute
//! contains the id, so an index on it has only the payments without an audit record, and spreads them evenly.

use payment_core::{Fault, Inserted, Page, Record, Store, Sweep, card};

use crate::fault::fault;
use crate::item::{AUDIT, AUDIT_PENDING, Item, attributes, record, string, text};
use crate::table::Table;

/// The payments in a table with the key `payment_id`, a string.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    table: Table,
    index: Option<String>,
}

/// The value of [`AUDIT`].
const WRITTEN: &str = "written";

impl DynamoStore {
    /// The payments in `table`, and its index of payments without an audit record. Without the index, sweeps scan the
    /// whole table.
    #[must_use]
    pub fn new(table: Table, index: Option<&str>) -> Self {
        Self { table, index: index.map(str::to_owned) }
    }

    fn item(&self, record: &Record) -> Item {
        let id = text(&record.payment.transaction_id);
        let mark = if record.audited { (AUDIT, text(WRITTEN)) } else { (AUDIT_PENDING, id.clone()) };
        let mut item = attributes(record);
        item.extend([(self.table.id.clone(), id), (mark.0.to_owned(), mark.1)]);
        item
    }

    fn record(&self, item: &Item) -> Result<Record, Fault> {
        record(string(item, &self.table.id)?, item, item.contains_key(AUDIT))
    }
}

impl Store for DynamoStore {
    /// Condition and write are atomic, within one region or, with multi-region strong consistency, in all.
    async fn insert(&self, record: &Record) -> Result<Inserted, Fault> {
        match self.table.put_new(&record.region, self.item(record)).await? {
            None => Ok(Inserted::New),
            Some(stored) => Ok(Inserted::Exists(Box::new(self.record(&stored)?))),
        }
    }

    async fn get(&self, region: &str, id: &str) -> Result<Option<Record>, Fault> {
        let call = self.table.client(region)?.get_item().table_name(&self.table.name);
        let call = call.key(&self.table.id, text(id)).consistent_read(true);
        let found = call.send().await.map_err(|error| fault("dynamodb:GetItem", &error))?;
        found.item.as_ref().map(|item| self.record(item)).transpose()
    }

    /// An insert is one write, which cannot be interrupted.
    async fn complete(&self, _region: &str, _record: &Record) -> Result<(), Fault> {
        Ok(())
    }

    /// The condition prevents a late update from creating an item.
    async fn audited(&self, region: &str, record: &Record) -> Result<(), Fault> {
        let call = self.table.client(region)?.update_item().table_name(&self.table.name);
        let call = call.key(&self.table.id, text(&record.payment.transaction_id));
        let call = call.update_expression("SET #audit = :written REMOVE #pending");
        let call = call.condition_expression("attribute_exists(#id)").expression_attribute_names("#id", &self.table.id);
        let call =
            call.expression_attribute_names("#audit", AUDIT).expression_attribute_names("#pending", AUDIT_PENDING);
        let call = call.expression_attribute_values(":written", text(WRITTEN));
        call.send().await.map(drop).map_err(|error| fault("dynamodb:UpdateItem", &error))
    }
}

impl Sweep for DynamoStore {
    /// An invalid item is logged, and does not stop the repair of others.
    async fn pending(&self, region: &str, from: Option<String>) -> Result<Page, Fault> {
        let call = self.table.client(region)?.scan().table_name(&self.table.name).set_index_name(self.index.clone());
        let call = call.filter_expression("attribute_exists(#pending)");
        let call = call.expression_attribute_names("#pending", AUDIT_PENDING);
        let key = |id: String| {
            let pending = self.index.is_some().then(|| (AUDIT_PENDING.to_owned(), text(&id)));
            pending.into_iter().chain([(self.table.id.clone(), text(&id))]).collect()
        };
        let call = call.set_exclusive_start_key(from.map(key));
        let found = call.send().await.map_err(|error| fault("dynamodb:Scan", &error))?;
        let readable = |item| match self.record(item) {
            Ok(record) => Some(record),
            Err(fault) => {
                tracing::error!(error = %card::redact(&fault.message), "an item cannot be repaired");
                None
            }
        };
        let records = found.items().iter().filter_map(readable).collect();
        let next = found.last_evaluated_key.as_ref().and_then(|key| key.get(&self.table.id)?.as_s().ok().cloned());
        Ok(Page { records, next })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::item::tests::example;

    #[test]
    fn p09_an_item_is_the_payment_that_was_stored() {
        let store = DynamoStore::new(Table::new(&BTreeMap::new(), "payments", "payment_id"), None);
        for body in [
            r#"{"transactionId":"t","customerId":"c","amount":12.5}"#,
            r#"{"transactionId":"t","customerId":"c","amount":1200,"currency":"JPY","description":"Tea ☕"}"#,
        ] {
            let stored = example(body);
            let audited = Record { audited: true, ..stored.clone() };
            assert_eq!(store.record(&store.item(&stored)), Ok(stored));
            assert_eq!(store.record(&store.item(&audited)), Ok(audited));
        }
    }
}
