//! The events of Lambda: notifications of S3, and requests of an HTTP API.

use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use thiserror::Error;

/// An event that the function cannot handle.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// The event has an unknown form.
    #[error("the event is neither a notification of S3 nor a request of an HTTP API")]
    Unknown,
    /// Some objects were not processed; Lambda delivers the event again.
    #[error("{failed} of {all} objects were not processed")]
    NotProcessed {
        /// The number of objects that were not processed.
        failed: usize,
        /// The number of objects in the event.
        all: usize,
    },
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// New objects.
    Created(Vec<Created>),
    /// A request.
    Request {
        /// The HTTP method.
        method: String,
        /// The path, which starts with a slash.
        path: String,
    },
}

/// A new object, or a new version of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The bucket.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The version, if the bucket has versions.
    pub version: Option<String>,
    /// The entity tag, without quotes.
    pub etag: String,
    /// The time of the event.
    pub time: Timestamp,
}

impl Event {
    /// Parses an event. Events of S3 other than new objects are left out.
    ///
    /// # Errors
    /// If it has an unknown form.
    pub fn parse(event: &[u8]) -> Result<Self, Failure> {
        // The parser's message could contain a part of the request.
        match serde_json::from_slice(event).map_err(|_| Failure::Unknown)? {
            Raw::Notification { records } => {
                let created = records.into_iter().filter(|record| record.name.starts_with("ObjectCreated:"));
                created.map(Record::created).collect::<Option<_>>().map(Self::Created).ok_or(Failure::Unknown)
            }
            Raw::Request { request_context, raw_path } => {
                Ok(Self::Request { method: request_context.http.method, path: raw_path })
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Raw {
    Notification {
        #[serde(rename = "Records")]
        records: Vec<Record>,
    },
    #[serde(rename_all = "camelCase")]
    Request { request_context: Context, raw_path: String },
}

#[derive(Deserialize)]
struct Context {
    http: Http,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "eventName")]
    name: String,
    #[serde(rename = "eventTime")]
    time: Timestamp,
    s3: Place,
}

#[derive(Deserialize)]
struct Place {
    bucket: Named,
    object: Object,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    key: String,
    #[serde(default)]
    version_id: Option<String>,
    e_tag: String,
}

impl Record {
    /// `None` if the key is not UTF-8.
    fn created(self) -> Option<Created> {
        let Place { bucket, object } = self.s3;
        // The key is encoded like a form: a space is a plus sign (S3 UG: Event message structure).
        let spaced = object.key.replace('+', " ");
        let key = percent_decode_str(&spaced).decode_utf8().ok()?.into_owned();
        let version = object.version_id.filter(|version| !version.is_empty());
        let etag = object.e_tag.trim_matches('"').to_owned();
        Some(Created { bucket: bucket.name, key, version, etag, time: self.time })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(event: &Value) -> Result<Event, Failure> {
        Event::parse(event.to_string().as_bytes())
    }

    fn record(name: &str, key: &str) -> Value {
        let object = json!({ "key": key, "size": 3, "eTag": "\"abc\"", "versionId": "v1", "sequencer": "01" });
        let s3 = json!({ "bucket": { "name": "b", "arn": "arn:aws:s3:::b" }, "object": object });
        json!({ "eventName": name, "eventTime": "2026-11-27T07:00:00.000Z", "awsRegion": "us-east-1", "s3": s3 })
    }

    #[test]
    fn t04_a_key_is_decoded_and_only_new_objects_count() {
        let records = [record("ObjectCreated:Put", "a+b%2Bc/%C3%BC.json"), record("ObjectRemoved:Delete", "gone")];
        let Event::Created(created) = parse(&json!({ "Records": records })).unwrap() else { unreachable!() };
        assert_eq!(created.len(), 1, "{created:?}");
        let one = &created[0];
        assert_eq!((&one.key[..], one.version.as_deref(), &one.etag[..]), ("a b+c/ü.json", Some("v1"), "abc"));
        assert_eq!(one.time.to_string(), "2026-11-27T07:00:00Z");
    }

    #[test]
    fn t05_a_request_has_a_method_and_a_path() {
        let event =
            json!({ "version": "2.0", "rawPath": "/health", "requestContext": { "http": { "method": "GET" } } });
        assert_eq!(parse(&event), Ok(Event::Request { method: "GET".to_owned(), path: "/health".to_owned() }));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for event in [json!({}), json!([]), json!({ "Records": [{ "eventSource": "aws:sqs" }] })] {
            assert_eq!(parse(&event), Err(Failure::Unknown), "{event}");
        }
        let not_text = json!({ "Records": [record("ObjectCreated:Put", "%FF")] });
        assert_eq!(parse(&not_text), Err(Failure::Unknown));
    }
}
