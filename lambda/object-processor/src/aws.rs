//! The bucket and the table, by the SDK.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::error::display::DisplayErrorContext;
use serde_json::{Map, Value};

use crate::event::Created;
use crate::function::{CallError, Metadata, Objects, Sessions};
use crate::session::Session;

/// The number of attempts of a call. Every call can be repeated.
const ATTEMPTS: u32 = 3;

/// The objects of the region's buckets.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: aws_sdk_s3::Client,
}

/// The table of sessions.
#[derive(Clone, Debug)]
pub struct Table {
    client: aws_sdk_dynamodb::Client,
    name: String,
}

fn retried(sdk: &SdkConfig) -> SdkConfig {
    sdk.to_builder().retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS)).build()
}

impl Bucket {
    /// The buckets in the region of `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        Self { client: aws_sdk_s3::Client::new(&retried(sdk)) }
    }
}

impl Table {
    /// The table `name` in the region of `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, name: &str) -> Self {
        Self { client: aws_sdk_dynamodb::Client::new(&retried(sdk)), name: name.to_owned() }
    }
}

impl Objects for Bucket {
    async fn metadata(&self, created: &Created) -> Result<Option<Metadata>, CallError> {
        let call = self.client.head_object().bucket(&created.bucket).key(&created.key);
        match call.set_version_id(created.version.clone()).send().await {
            Ok(found) => Ok(Some(Metadata {
                size: found.content_length.unwrap_or_default(),
                content_type: found.content_type.unwrap_or_default(),
            })),
            // The response to HEAD has no body, and therefore no code.
            Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 404) => Ok(None),
            Err(error) => Err(CallError(format!("s3:HeadObject: {}", DisplayErrorContext(&error)))),
        }
    }
}

impl Sessions for Table {
    async fn put(&self, session: &Session) -> Result<bool, CallError> {
        let call = self.client.put_item().table_name(&self.name).set_item(Some(item(session)));
        match call.condition_expression("attribute_not_exists(session_id)").send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(CallError(format!("dynamodb:PutItem: {}", DisplayErrorContext(&error)))),
            },
        }
    }

    async fn find(&self, id: &str) -> Result<Option<Value>, CallError> {
        let key = AttributeValue::S(id.to_owned());
        let found = self.client.get_item().table_name(&self.name).key("session_id", key).send().await;
        let found = found.map_err(|error| CallError(format!("dynamodb:GetItem: {}", DisplayErrorContext(&error))))?;
        Ok(found.item.map(json))
    }
}

fn item(session: &Session) -> HashMap<String, AttributeValue> {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let number = |number: i64| AttributeValue::N(number.to_string());
    HashMap::from([
        ("session_id".to_owned(), text(&session.session_id)),
        ("bucket".to_owned(), text(&session.bucket)),
        ("key".to_owned(), text(&session.key)),
        ("version".to_owned(), text(&session.version)),
        ("size".to_owned(), number(session.size)),
        ("content_type".to_owned(), text(&session.content_type)),
        ("region".to_owned(), text(&session.region)),
        ("created_at".to_owned(), text(&session.created_at.to_string())),
        ("expires_at".to_owned(), number(session.expires_at)),
    ])
}

/// An item as JSON. Sessions only have texts and whole numbers.
fn json(item: HashMap<String, AttributeValue>) -> Value {
    let members = item.into_iter().filter_map(|(name, value)| match value {
        AttributeValue::S(text) => Some((name, Value::from(text))),
        AttributeValue::N(number) => Some((name, Value::from(number.parse::<i64>().ok()?))),
        _ => None,
    });
    Value::Object(members.collect::<Map<_, _>>())
}
