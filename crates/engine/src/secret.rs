//! Secrets inside JSON: what is kept of them, and what is taken out of messages.
//!
//! A secret is written `{"$secret": value}` in memory. What leaves the process has `{"$hash": digest}` instead, by which
//! a change is noticed. The digest is an HMAC whose key is the lineage of the state, so that no table made for one
//! deployment serves for another, and equal secrets of two deployments do not look equal. It cannot keep a guess from
//! being checked: whoever plans has the state and nothing beside it, so that whatever a plan can compute from a value, a
//! reader of the state can compute from a guess. A value that can be guessed does not become a secret by this; it
//! belongs into Secrets Manager, of which a state knows only the ARN.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::error::{Error, Result};
use crate::resolve::pointers;

/// The forms of a secret: its value, its digest, and what it will be made of.
const SECRET: &str = "$secret";
const FORMS: [&str; 3] = [SECRET, "$hash", "$pending"];

/// What a percent-encoded text does not have as it is (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What stands for a secret in messages.
const SHOWN: &str = "(secret)";
/// Shorter values are left in messages, which would become unreadable without them.
const SHORT: usize = 4;

/// Whether `value` is a secret in one of its forms.
#[must_use]
pub fn is_secret(value: &Value) -> bool {
    let form = |members: &Map<String, Value>| FORMS.iter().any(|form| members.contains_key(*form));
    value.as_object().is_some_and(|members| members.len() == 1 && form(members))
}

/// Whether there is a secret in `value`.
#[must_use]
pub fn has_secret(value: &Value) -> bool {
    is_secret(value)
        || match value {
            Value::Array(values) => values.iter().any(has_secret),
            Value::Object(members) => members.values().any(has_secret),
            _ => false,
        }
}

/// What is kept of `value` in the deployment of `lineage`.
fn digest(value: &Value, lineage: &str) -> String {
    // An HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(lineage.as_bytes()) else { return String::new() };
    mac.update(value.to_string().as_bytes());
    mac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `value` without its secrets: each leaves its digest, or what it refers to if it is not known yet.
pub(crate) fn redact(value: &Value, lineage: &str) -> Value {
    match value {
        Value::Array(values) => values.iter().map(|value| redact(value, lineage)).collect(),
        Value::Object(members) => match members.get(SECRET) {
            Some(secret) => match &pointers(secret)[..] {
                [] => json!({ "$hash": digest(secret, lineage) }),
                pointers => {
                    let parts: Vec<_> = pointers.iter().map(|pointer| json!({ "$ref": pointer })).collect();
                    json!({ "$pending": parts })
                }
            },
            None => members.iter().map(|(name, value)| (name.clone(), redact(value, lineage))).collect(),
        },
        other => other.clone(),
    }
}

/// `value` with everything secret that is secret in `like`.
pub(crate) fn marked(value: &Value, like: &Value) -> Value {
    match (value, like) {
        (Value::Null, _) => Value::Null,
        (value, like) if is_secret(like) && is_secret(value) => value.clone(),
        (value, like) if is_secret(like) => json!({ SECRET: value }),
        (Value::Object(members), Value::Object(likes)) => members
            .iter()
            .map(|(name, value)| (name.clone(), likes.get(name).map_or_else(|| value.clone(), |it| marked(value, it))))
            .collect(),
        // Sets have no places: what is there more is like the last one.
        (Value::Array(values), Value::Array(likes)) => values
            .iter()
            .enumerate()
            .map(|(index, value)| {
                likes.get(index).or(likes.last()).map_or_else(|| value.clone(), |it| marked(value, it))
            })
            .collect(),
        _ => value.clone(),
    }
}

/// `value` with the digest of everything that is secret in it or in `like`.
pub(crate) fn redacted_like(value: &Value, like: &Value, lineage: &str) -> Value {
    redact(&marked(value, like), lineage)
}

/// Whether `found` is what `own` says. Of the secrets of `own` only the digests may be known, in the deployment of
/// `lineage`; `found` is as AWS returns it.
///
/// # Errors
/// If one of them cannot be written as JSON.
pub fn is_same<T: Serialize>(own: &T, found: &T, lineage: &str) -> Result<bool> {
    let json =
        |value| serde_json::to_value(value).map_err(|error| Error::failed(format!("arguments are not JSON: {error}")));
    let (own, found) = (json(own)?, json(found)?);
    Ok(redacted_like(&found, &own, lineage) == redact(&own, lineage))
}

/// Whether `recorded` shows something that is secret in `declared`.
pub(crate) fn discloses(recorded: &Value, declared: &Value) -> bool {
    match (recorded, declared) {
        (Value::Null, _) => false,
        (recorded, declared) if is_secret(declared) => !is_secret(recorded),
        (Value::Object(recorded), Value::Object(declared)) => {
            recorded.iter().any(|(name, value)| declared.get(name).is_some_and(|declared| discloses(value, declared)))
        }
        (Value::Array(recorded), Value::Array(declared)) => {
            recorded.iter().zip(declared).any(|(recorded, declared)| discloses(recorded, declared))
        }
        _ => false,
    }
}

/// `error` without the secrets of `values`, in whatever form AWS or the SDK repeat them. What is also there in the clear
/// stays.
pub(crate) fn concealed(error: Error, values: &[&Value]) -> Error {
    let (mut secrets, mut clear) = (Vec::new(), Vec::new());
    for value in values {
        sort(value, false, &mut secrets, &mut clear);
    }
    secrets.retain(|secret| !clear.iter().any(|clear| clear.contains(secret.as_str())));
    error.without(&secrets)
}

fn sort(value: &Value, is_in_secret: bool, secrets: &mut Vec<String>, clear: &mut Vec<String>) {
    match value {
        Value::String(text) if is_in_secret => secrets.push(text.clone()),
        Value::String(text) => clear.push(text.clone()),
        Value::Array(values) => {
            for value in values {
                sort(value, is_in_secret, secrets, clear);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                sort(value, is_in_secret || name == SECRET, secrets, clear);
            }
        }
        _ => {}
    }
}

/// `text` without `secrets`: as they are, and escaped for JSON, for XML and by Rust, percent-encoded, in base64, with
/// white space at their ends or without.
#[must_use]
pub fn without(text: &str, secrets: &[String]) -> String {
    let mut forms: Vec<String> = secrets.iter().flat_map(|secret| forms(secret)).collect();
    forms.retain(|form| form.len() >= SHORT);
    // What contains another one goes first.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), SHOWN))
}

fn forms(secret: &str) -> Vec<String> {
    let json = |text: &str| {
        let quoted = Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let ascii = |text: &str| text.chars().flat_map(char::escape_default).collect::<String>();
    let xml = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let base64 = base64(secret.as_bytes());
    let mut forms = vec![
        secret.to_owned(),
        secret.trim().to_owned(),
        json(secret),
        json(&json(secret)),
        secret.escape_debug().to_string(),
        ascii(secret),
        secret.as_bytes().escape_ascii().to_string(),
        xml.replace('"', "&quot;").replace('\'', "&apos;"),
        xml.replace('"', "&quot;").replace('\'', "&#39;"),
        xml,
        percent(secret),
        percent(secret).replace("%20", "+"),
        percent(secret).to_lowercase(),
        base64.replace('+', "-").replace('/', "_"),
        base64.trim_end_matches('=').to_owned(),
        base64,
    ];
    forms.dedup();
    forms
}

fn percent(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_leaves_only_a_keyed_digest() {
        let value = json!({ "password": { "$secret": "hunter2" } });
        let redacted = redact(&value, "lineage");
        assert!(!redacted.to_string().contains("hunter2"));
        assert_eq!(redacted, redact(&value, "lineage"));
        assert_ne!(redacted, redact(&value, "another lineage"));
        assert_ne!(redacted, redact(&json!({ "password": { "$secret": "hunter3" } }), "lineage"));
    }

    #[test]
    fn a_secret_that_is_not_known_yet_leaves_what_it_refers_to() {
        let value =
            json!({ "$secret": { "$text": ["postgres://hunter2@", { "$ref": "r/rds.cluster/main#endpoint" }] } });
        let redacted = redact(&value, "lineage");
        assert_eq!(redacted, json!({ "$pending": [{ "$ref": "r/rds.cluster/main#endpoint" }] }));
        assert_eq!(pointers(&redacted).len(), 1);
    }

    /// As an interrupted create is found again by what the state has of it.
    #[test]
    fn what_was_recorded_is_compared_by_its_digests() -> Result<()> {
        let recorded = redact(&json!({ "name": "a", "password": { "$secret": "hunter2" } }), "lineage");
        for (name, password, same) in [("a", "hunter2", true), ("a", "hunter3", false), ("b", "hunter2", false)] {
            let found = json!({ "name": name, "password": { "$secret": password } });
            assert_eq!(is_same(&recorded, &found, "lineage")?, same, "{name} {password}");
            // Where AWS returns it as any other value.
            assert_eq!(is_same(&recorded, &json!({ "name": name, "password": password }), "lineage")?, same);
        }
        Ok(())
    }

    #[test]
    fn what_aws_returns_is_secret_where_the_declaration_is() {
        let like = json!({ "a": { "$hash": "0" }, "b": "plain", "list": [{ "c": { "$secret": 1 } }] });
        let returned = json!({ "a": "x", "b": "y", "list": [{ "c": 2 }, { "c": 3 }], "gone": null });
        let expected = json!({
            "a": { "$secret": "x" }, "b": "y", "list": [{ "c": { "$secret": 2 } }, { "c": { "$secret": 3 } }], "gone": null
        });
        assert_eq!(marked(&returned, &like), expected);
        assert_eq!(marked(&expected, &like), expected);
        assert!(discloses(&returned, &like) && !discloses(&expected, &like) && !discloses(&like, &like));
    }

    #[test]
    fn messages_lose_secrets_in_every_form() {
        assert_eq!(
            ["", "f", "fo", "foo", "foob"].map(|it| base64(it.as_bytes())),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
        let secret = "p\"ä s\n<w>&1/";
        let message = |text: String| {
            let args = json!({ "name": "clear", "value": { "$secret": secret }, "also": { "$secret": "clear" } });
            concealed(Error::failed(text).hint(format!("see {secret}")), &[&args])
        };
        for form in forms(secret) {
            let error = message(format!("clear: <{form}> is wrong"));
            assert_eq!(error.message(), "clear: <(secret)> is wrong", "{form}");
            assert_eq!(error.get_hint(), Some("see (secret)"));
        }
    }
}
