//! Subscriptions to alarms.

use std::fmt;

use payinfra_components::topic::Subscriber;
use payinfra_engine::{Error, Result};
use schemars::JsonSchema;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// A subscription to alarms.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// The protocol: `email`, `email-json`, `https`, `lambda`, `sms` or `sqs`.
    pub protocol: String,
    /// The endpoint: an email address, a URL, an ARN or a phone number.
    pub endpoint: String,
}

impl Subscription {
    /// The endpoint for display. URLs are secret, because anyone who knows one can post to it.
    fn shown(&self) -> &str {
        if matches!(self.protocol.as_str(), "http" | "https") { "(secret)" } else { &self.endpoint }
    }

    /// The subscriber of a topic.
    pub(crate) fn subscriber(&self) -> Subscriber<'_> {
        Subscriber { protocol: &self.protocol, endpoint: &self.endpoint }
    }

    /// Checks that the endpoint fits the protocol.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { protocol, endpoint } = self;
        let (good, example) = match protocol.as_str() {
            "email" | "email-json" => {
                (endpoint.split_once('@').is_some_and(|(_, host)| host.contains('.')), "a@example.com")
            }
            "https" => (endpoint.starts_with("https://"), "https://example.com/alarms"),
            "lambda" => {
                (endpoint.starts_with("arn:aws:lambda:"), "arn:aws:lambda:us-east-1:123456789012:function:alarms")
            }
            "sms" => (is_number(endpoint), "+15550100"),
            "sqs" => (endpoint.starts_with("arn:aws:sqs:"), "arn:aws:sqs:us-east-1:123456789012:alarms"),
            _ => {
                return Err(Error::invalid(format!("unsupported protocol `{protocol}` for alarms"))
                    .hint("use email, email-json, https, lambda, sms or sqs"));
            }
        };
        if good {
            return Ok(());
        }
        Err(Error::invalid(format!("`{}` is not a valid endpoint for {protocol}", self.shown()))
            .hint(format!("write an endpoint such as {example}")))
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("protocol", &self.protocol).field("endpoint", &self.shown()).finish()
    }
}

impl Serialize for Subscription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Subscription", 2)?;
        members.serialize_field("protocol", &self.protocol)?;
        members.serialize_field("endpoint", self.shown())?;
        members.end()
    }
}

fn is_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|it| (7..=15).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_digit()))
}
