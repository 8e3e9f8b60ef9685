//! Secrets in JSON: their stored form, and their removal from messages.
//!
//! A secret is written `{"$secret": value}` in memory. What leaves the process has `{"$hash": digest}` instead, which
//! is enough to detect a change. The digest is an HMAC with the lineage of the state as its key, so no precomputed
//! table works for more than one deployment, and equal secrets of two deployments have different digests. It does not
//! protect against guessing: the key is in the state, so anyone who can read the state can check guesses. A value that
//! can be guessed belongs in Secrets Manager, so that the state has only its ARN.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::error::{Error, Result};
use crate::resolve::pointers;

pub use crate::mask::without;

/// The forms of a secret: its value, its digest, and what it will be made from.
const SECRET: &str = "$secret";
const HASH: &str = "$hash";
const FORMS: [&str; 3] = [SECRET, HASH, "$pending"];

/// What is shown instead of a secret.
pub const SHOWN: &str = "(secret)";

/// `value` without its secrets, whether in the clear or hashed.
#[must_use]
pub fn masked(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(masked).collect(),
        secret if is_secret(secret) => Value::String(SHOWN.to_owned()),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), masked(value))).collect(),
        other => other.clone(),
    }
}

/// Whether `value` is a secret in one of its forms.
#[must_use]
pub fn is_secret(value: &Value) -> bool {
    let form = |members: &Map<String, Value>| FORMS.iter().any(|form| members.contains_key(*form));
    value.as_object().is_some_and(|members| members.len() == 1 && form(members))
}

/// Whether `value` is the digest of a secret.
pub(crate) fn is_digest(value: &Value) -> bool {
    is_secret(value) && value.get(HASH).is_some()
}

/// The paths of the secrets in `value` whose values are not known.
pub(crate) fn without_value(value: &Value) -> Vec<String> {
    fn add(value: &Value, path: &mut Vec<String>, found: &mut Vec<String>) {
        match value {
            secret if is_secret(secret) => found.extend(secret.get(SECRET).is_none().then(|| path.join("."))),
            Value::Object(members) => members.iter().for_each(|(key, value)| {
                path.push(key.clone());
                add(value, path, found);
                path.pop();
            }),
            Value::Array(values) => values.iter().enumerate().for_each(|(index, value)| {
                path.push(index.to_string());
                add(value, path, found);
                path.pop();
            }),
            _ => {}
        }
    }
    let mut found = Vec::new();
    add(value, &mut Vec::new(), &mut found);
    found
}

/// Whether `value` contains a secret.
#[must_use]
pub fn has_secret(value: &Value) -> bool {
    is_secret(value)
        || match value {
            Value::Array(values) => values.iter().any(has_secret),
            Value::Object(members) => members.values().any(has_secret),
            _ => false,
        }
}

/// The stored form of `value` in the deployment of `lineage`.
fn digest(value: &Value, lineage: &str) -> String {
    // An HMAC accepts keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(lineage.as_bytes()) else { return String::new() };
    mac.update(value.to_string().as_bytes());
    mac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `value` with each secret replaced by its digest or, if it is not known yet, by what it refers to.
pub(crate) fn redact(value: &Value, lineage: &str) -> Value {
    match value {
        Value::Array(values) => values.iter().map(|value| redact(value, lineage)).collect(),
        Value::Object(members) => match members.get(SECRET) {
            Some(secret) => match &pointers(secret)[..] {
                [] => json!({ HASH: digest(secret, lineage) }),
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

/// `value` with everything marked secret that is secret in `like`.
pub(crate) fn marked(value: &Value, like: &Value) -> Value {
    match (value, like) {
        (Value::Null, _) => Value::Null,
        (value, like) if is_secret(like) && is_secret(value) => value.clone(),
        (value, like) if is_secret(like) => json!({ SECRET: value }),
        (Value::Object(members), Value::Object(likes)) => members
            .iter()
            .map(|(name, value)| (name.clone(), likes.get(name).map_or_else(|| value.clone(), |it| marked(value, it))))
            .collect(),
        // Positions in sets have no meaning: additional items are treated like the last one.
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

/// Whether `found`, as AWS returns it, equals `own`. Of the secrets in `own`, only the digests in the deployment of
/// `lineage` may be known.
///
/// # Errors
/// If one of them cannot be written as JSON.
pub fn is_same<T: Serialize>(own: &T, found: &T, lineage: &str) -> Result<bool> {
    let json = |value| {
        serde_json::to_value(value)
            .map_err(|error| Error::failed(format!("the arguments cannot be written as JSON: {error}")))
    };
    let (own, found) = (json(own)?, json(found)?);
    Ok(redacted_like(&found, &own, lineage) == redact(&own, lineage))
}

/// `value` with the digest of everything that is secret in it or in `like`.
pub(crate) fn redacted_like(value: &Value, like: &Value, lineage: &str) -> Value {
    redact(&marked(value, like), lineage)
}

/// Whether `recorded` has a value in the clear that is secret in `declared`.
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

/// `error` without the secrets in `values`, in any encoding that AWS or the SDK may repeat them in. Values that are
/// also present in the clear stay.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::forms;

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
