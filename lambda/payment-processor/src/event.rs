//! The events and responses of Lambda: requests from API Gateway, and records of DynamoDB streams.

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
    #[error("the event is neither a request of API Gateway nor a batch of a DynamoDB stream")]
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

/// A request, in the form of a proxy integration of a REST API or an HTTP API (payload formats 1.0 and 2.0).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    #[serde(flatten)]
    target: Target,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// The method and the path, which may start with the stage or the base path of a domain.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Target {
    #[serde(rename_all = "camelCase")]
    First { http_method: String, path: String },
    #[serde(rename_all = "camelCase")]
    Second { request_context: Context, raw_path: String },
}

#[derive(Debug, Deserialize)]
struct Context {
    http: Http,
}

#[derive(Debug, Deserialize)]
struct Http {
    method: String,
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
    pub(crate) fn method(&self) -> &str {
        match &self.target {
            Target::First { http_method, .. } => http_method,
            Target::Second { request_context, .. } => &request_context.http.method,
        }
    }

    pub(crate) fn path(&self) -> &str {
        match &self.target {
            Target::First { path, .. } | Target::Second { raw_path: path, .. } => path,
        }
    }

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
    /// The payment's id, which is the key `name`.
    pub(crate) fn id(&self, name: &str) -> Option<&str> {
        self.keys.get(name)?.get("S")?.as_str()
    }
}

/// The response to a batch: Lambda delivers the stream from the first failed record again.
pub(crate) fn failed(sequences: &[&String]) -> Value {
    json!({ "batchItemFailures": sequences.iter().map(|id| json!({ "itemIdentifier": id })).collect::<Vec<_>>() })
}
