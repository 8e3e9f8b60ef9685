//! The events and responses of Lambda: requests from API Gateway REST APIs, and records of DynamoDB streams.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

/// An event that is not one of the function's.
#[derive(Debug, Error)]
pub enum Failure {
    /// The event has an unknown form.
    #[error("the event is neither a request of an API Gateway REST API nor a batch of a DynamoDB stream")]
    Unknown,
}

/// An event.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Event {
    Stream {
        #[serde(rename = "Records")]
        records: Vec<StreamRecord>,
    },
    Request(Request),
}

/// A request, in the form of a proxy integration of a REST API.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    pub(crate) http_method: String,
    pub(crate) path: String,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// A change of the table.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamRecord {
    #[serde(rename = "eventName")]
    pub(crate) name: String,
    pub(crate) dynamodb: Change,
}

/// The item that changed.
#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    #[serde(rename = "Keys")]
    keys: BTreeMap<String, Value>,
    #[serde(rename = "SequenceNumber")]
    pub(crate) sequence: String,
}

impl Event {
    pub(crate) fn parse(event: &[u8]) -> Result<Self, Failure> {
        // The parser's message could contain a part of the request.
        serde_json::from_slice(event).map_err(|_| Failure::Unknown)
    }
}

impl Request {
    /// A header, whose name is compared without case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.headers.as_ref()?;
        headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body; `None` if it is not the Base64 that it claims to be.
    pub(crate) fn body(&self) -> Option<Vec<u8>> {
        let body = self.body.as_deref().unwrap_or_default();
        if self.is_base64_encoded { STANDARD.decode(body).ok() } else { Some(body.into()) }
    }
}

impl Change {
    /// The payment's id.
    pub(crate) fn id(&self) -> Option<&str> {
        self.keys.get("payment_id")?.get("S")?.as_str()
    }
}

/// The response to a batch: Lambda delivers the stream from the first failed record again.
pub(crate) fn failed(sequences: &[String]) -> Value {
    json!({ "batchItemFailures": sequences.iter().map(|id| json!({ "itemIdentifier": id })).collect::<Vec<_>>() })
}
