//! Authentication with API keys: one or two keys are valid, and the service knows only their hashes.

use std::sync::{PoisonError, RwLock};

use aws_sdk_secretsmanager::Client;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The maximum number of valid keys: the new one, and the old one until all callers have changed.
const MOST: usize = 2;

type Hash = [u8; 32];

/// The authentication of callers.
#[derive(Debug)]
pub enum Access {
    /// None: access is unauthenticated.
    Anyone,
    /// API keys.
    Keys(Keys),
}

/// The SHA-256 hashes of the valid keys. Keys are long and random, so a plain hash is sufficient.
#[derive(Debug)]
pub struct Keys {
    hashes: RwLock<Vec<Hash>>,
    source: Option<(Client, String)>,
}

/// An error in the hashes of API keys. It contains none of them.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeysError {
    /// The document has the wrong format.
    #[error(r#"the API keys are not of the form {{"sha256": ["...", "..."]}}, with one or two hashes of 64 hexadecimal digits"#)]
    Form,
    /// Secrets Manager returned an error.
    #[error("the secret with the API keys cannot be read: {0}")]
    Unreadable(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    sha256: Vec<String>,
}

impl Access {
    /// Whether a request with this key is authenticated.
    pub(crate) fn admits(&self, key: Option<&[u8]>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Keys(keys) => key.is_some_and(|key| keys.admit(key)),
        }
    }
}

impl Keys {
    /// Parses a document with hashes.
    ///
    /// # Errors
    /// If the format is wrong.
    pub fn parse(document: &str) -> Result<Self, KeysError> {
        Ok(Self { hashes: RwLock::new(parse(document)?), source: None })
    }

    /// Reads the hashes from a secret, which is read again every minute.
    ///
    /// # Errors
    /// If the secret cannot be read, or its format is wrong.
    pub async fn read(client: Client, secret: &str) -> Result<Self, KeysError> {
        let hashes = read(&client, secret).await?;
        Ok(Self { hashes: RwLock::new(hashes), source: Some((client, secret.to_owned())) })
    }

    /// Reads the secret again, if there is one. If that fails, the previous keys remain valid.
    pub(crate) async fn refresh(&self) {
        let Some((client, secret)) = &self.source else { return };
        match read(client, secret).await {
            Ok(hashes) => *self.hashes.write().unwrap_or_else(PoisonError::into_inner) = hashes,
            Err(error) => tracing::error!(%error, "cannot read the API keys; the previous ones remain valid"),
        }
    }

    /// Compares all hashes completely, so that the duration reveals nothing.
    fn admit(&self, key: &[u8]) -> bool {
        let given: Hash = Sha256::digest(key).into();
        let hashes = self.hashes.read().unwrap_or_else(PoisonError::into_inner);
        hashes.iter().fold(subtle::Choice::from(0), |found, hash| found | hash.ct_eq(&given)).into()
    }
}

async fn read(client: &Client, secret: &str) -> Result<Vec<Hash>, KeysError> {
    let answer = client.get_secret_value().secret_id(secret).send().await;
    let answer = answer.map_err(|error| KeysError::Unreadable(payment_aws::fault("GetSecretValue", &error).message))?;
    parse(answer.secret_string().unwrap_or_default())
}

fn parse(document: &str) -> Result<Vec<Hash>, KeysError> {
    let document: Document = serde_json::from_str(document).map_err(|_| KeysError::Form)?;
    if document.sha256.is_empty() || document.sha256.len() > MOST {
        return Err(KeysError::Form);
    }
    document.sha256.iter().map(|text| hash(text).ok_or(KeysError::Form)).collect()
}

fn hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use serde_json::json;

    use super::*;

    fn hex(key: &str) -> String {
        Sha256::digest(key).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    #[test]
    fn one_of_two_keys_opens_and_nothing_else_does() {
        let keys = Keys::parse(&json!({ "sha256": [hex("old"), hex("new")] }).to_string()).unwrap();
        let access = Access::Keys(keys);
        for (key, admitted) in [("old", true), ("new", true), ("ne", false), ("", false), (&hex("new")[..], false)] {
            assert_eq!(access.admits(Some(key.as_bytes())), admitted, "{key}");
        }
        assert!(!access.admits(None));
        assert!(Access::Anyone.admits(None));
    }

    #[test]
    fn what_is_no_list_of_hashes_is_refused_and_not_shown() {
        let one = hex("key");
        for wrong in [
            String::new(),
            "{}".to_owned(),
            json!({ "sha256": [] }).to_string(),
            json!({ "sha256": [one, one, one] }).to_string(),
            json!({ "sha256": ["key"] }).to_string(),
            json!({ "sha256": [&one[1..]] }).to_string(),
            json!({ "sha256": [format!("+{}", &one[1..])] }).to_string(),
            json!({ "keys": ["key"] }).to_string(),
        ] {
            assert_eq!(Keys::parse(&wrong).map(drop), Err(KeysError::Form), "{wrong}");
        }
    }
}
