//! A DNS name in normalized form.

use std::fmt;

use payinfra_engine::Ref;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// A DNS name: in lower case, without a trailing dot and without Route 53's escapes (AWS-FACTS §1.9).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct DnsName(String);

impl DnsName {
    /// Normalizes a name of a user or of AWS.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(unescaped(text.strip_suffix('.').unwrap_or(text)).to_lowercase())
    }

    /// The same value as a DNS name: for outputs of other services.
    #[must_use]
    pub fn of(text: Ref<String>) -> Ref<Self> {
        match text {
            Ref::Known(text) => Ref::Known(Self::new(&text)),
            Ref::Pointer { pointer } => Ref::Pointer { pointer },
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a certificate for this name covers `other`: a `*` matches exactly one label.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let parent = |name: &Self| name.0.split_once('.').map(|(_, parent)| parent.to_owned());
        self == other || self.0.strip_prefix("*.").is_some_and(|own| parent(other).is_some_and(|parent| parent == own))
    }
}

/// `\052` is Route 53's escape for `*`.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let octal = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            plain.push(char::from(byte));
            plain.push_str(&part[3..]);
        } else {
            plain.push('\\');
            plain.push_str(part);
        }
    }
    plain
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> Self {
        name.0
    }
}

impl<'de> Deserialize<'de> for DnsName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_form() {
        for text in ["*.Example.com", "*.example.com.", "\\052.example.com."] {
            assert_eq!(DnsName::new(text).as_str(), "*.example.com");
        }
        assert_eq!(DnsName::new("a\\9b.example.com").as_str(), "a\\9b.example.com");
    }

    #[test]
    fn a_wildcard_covers_one_part() {
        for (own, other, covers) in [
            ("example.com", "example.com", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("example.com", "a.example.com", false),
        ] {
            assert_eq!(DnsName::new(own).covers(&DnsName::new(other)), covers, "{own} {other}");
        }
    }
}
