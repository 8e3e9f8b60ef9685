//! Subscriptions to alarms.

use std::fmt;

use payinfra_components::topic::Subscriber;
use payinfra_engine::{Error, Result};
use schemars::JsonSchema;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::{domain, regions};

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
            "email" | "email-json" => (is_email(endpoint), "a@example.com"),
            // A hint that contains the endpoint, which is secret, would hide that part.
            "https" => (is_url(endpoint), "hooks.example.com/alarms with the scheme https"),
            "lambda" => {
                let named = |name: &str| name.strip_prefix("function:").is_some_and(|name| is_name(name, 140, ":-_"));
                (is_arn("lambda", endpoint, named), "arn:aws:lambda:us-east-1:123456789012:function:alarms")
            }
            "sms" => (is_number(endpoint), "+15550100"),
            "sqs" => {
                let named = |name: &str| is_name(name, 80, "-_");
                (is_arn("sqs", endpoint, named), "arn:aws:sqs:us-east-1:123456789012:alarms")
            }
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

/// One at sign between a name and a domain.
fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    is_name(name, 64, "!#$%&'*+-/=?^_`{|}~.") && domain::name(&host.to_ascii_lowercase()).is_ok()
}

/// A URL with a host that is a domain, and perhaps a port and a path.
fn is_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else { return false };
    let (place, _) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
    // SNS supports user and password.
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let (host, port) = place.split_once(':').unwrap_or((place, "443"));
    domain::name(&host.to_ascii_lowercase()).is_ok()
        && port.parse::<u16>().is_ok_and(|port| port > 0)
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An ARN of a service in a region of AWS.
fn is_arn(service: &str, text: &str, named: impl Fn(&str) -> bool) -> bool {
    let account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.splitn(6, ':').collect::<Vec<_>>()[..] {
        ["arn", "aws", of, region, owner, name] => {
            of == service && regions::is_known(region) && account(owner) && named(name)
        }
        _ => false,
    }
}

/// Up to `longest` letters, digits and `others`.
fn is_name(text: &str, longest: usize, others: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || others.contains(char);
    (1..=longest).contains(&text.len()) && text.chars().all(fits)
}

fn is_number(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|it| (7..=15).contains(&it.len()) && it.bytes().all(|it| it.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_fit_their_protocols() {
        let lambda = "arn:aws:lambda:us-east-1:123456789012:function";
        for (protocol, endpoint, good) in [
            ("email", "a.b+c@example.com", true),
            ("email", "@example.com", false),
            ("email", "a@b@example.com", false),
            ("email", "a@.com", false),
            ("email", "a b@example.com", false),
            ("https", "https://hooks.example.com:8443/alarms?key=a", true),
            ("https", "https://user:word@example.com", true),
            ("https", "https://", false),
            ("https", "https:///alarms", false),
            ("https", "https://example.com:0/", false),
            ("https", "https://example.com/a b", false),
            ("https", "http://example.com", false),
            ("lambda", &format!("{lambda}:alarms:live"), true),
            ("lambda", &format!("{lambda}:"), false),
            ("lambda", "arn:aws:lambda:", false),
            ("lambda", "arn:aws-cn:lambda:cn-north-1:123456789012:function:alarms", false),
            ("sqs", "arn:aws:sqs:us-east-1:123456789012:alarms", true),
            ("sqs", "arn:aws:sqs:us-east-9:123456789012:alarms", false),
            ("sqs", "arn:aws:sqs:us-east-1:1234:alarms", false),
            ("sms", "+15550100", true),
            ("sms", "+1555", false),
        ] {
            let subscription = Subscription { protocol: protocol.to_owned(), endpoint: endpoint.to_owned() };
            assert_eq!(subscription.check().is_ok(), good, "{protocol} {endpoint}");
        }
    }
}
