//! A table of payments and its replicas.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use payment_core::Fault;

use crate::fault::{fault, odd};
use crate::item::Item;

/// A table of payments, which may have a replica in each region.
#[derive(Clone, Debug)]
pub struct Table {
    clients: BTreeMap<String, Client>,
    pub(crate) name: String,
    /// The attribute of the partition key: the payment's id.
    pub(crate) id: String,
}

impl Table {
    /// The table `name` in the regions of `sdks`, with the partition key `id`.
    #[must_use]
    pub fn new(sdks: &BTreeMap<String, SdkConfig>, name: &str, id: &str) -> Self {
        let clients = sdks.iter().map(|(region, sdk)| (region.clone(), Client::new(sdk)));
        Self { clients: clients.collect(), name: name.to_owned(), id: id.to_owned() }
    }

    pub(crate) fn client(&self, region: &str) -> Result<&Client, Fault> {
        self.clients.get(region).ok_or_else(|| odd(&format!("no table in {region}")))
    }

    /// Puts `item` into the replica of `region` unless an item with its key exists, which is returned.
    pub(crate) async fn put_new(&self, region: &str, item: Item) -> Result<Option<Item>, Fault> {
        let call = self.client(region)?.put_item().table_name(&self.name).set_item(Some(item));
        let call = call.condition_expression("attribute_not_exists(#id)").expression_attribute_names("#id", &self.id);
        let call = call.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = call.send().await else { return Ok(None) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                let stored = refused.item().ok_or_else(|| odd("DynamoDB did not return the existing item"))?;
                Ok(Some(stored.clone()))
            }
            _ => Err(fault("dynamodb:PutItem", &error)),
        }
    }
}
