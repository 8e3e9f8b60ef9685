//! Removes secrets from texts, in every encoding that AWS or the SDK may repeat them in.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// The characters that percent-encoding escapes (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What replaces a secret in messages.
const SHOWN: &str = "(secret)";
/// Shorter values are not removed from messages, which would become unreadable.
const SHORT: usize = 4;

/// `text` without `secrets`: as they are, escaped for JSON, XML or Rust, percent-encoded, in base64, and with or
/// without surrounding white space.
#[must_use]
pub fn without(text: &str, secrets: &[String]) -> String {
    let mut forms: Vec<String> = secrets.iter().flat_map(|secret| forms(secret)).collect();
    forms.retain(|form| form.len() >= SHORT);
    // Replace the longest first, because one secret may contain another.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), SHOWN))
}

/// The encodings of `secret`.
pub(crate) fn forms(secret: &str) -> Vec<String> {
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
    fn base64_is_padded() {
        assert_eq!(
            ["", "f", "fo", "foo", "foob"].map(|it| base64(it.as_bytes())),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
    }
}
