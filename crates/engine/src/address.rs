//! Addresses of resources: `region/kind/name`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// An AWS region such as `us-east-1`, or `global` for kinds that exist once per account.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

impl Region {
    /// The region of kinds that exist once per account, such as IAM roles.
    pub const GLOBAL: &'static str = "global";

    /// A region by its name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The pseudo-region of account-wide kinds.
    #[must_use]
    pub fn global() -> Self {
        Self::new(Self::GLOBAL)
    }

    /// The name, such as `us-east-1`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The address of a resource, stable for its life: `us-east-1/ec2.subnet/private-a`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The region, or `global`.
    pub region: Region,
    /// The kind, such as `ec2.subnet`.
    pub kind: Arc<str>,
    /// The name within region and kind.
    pub name: Arc<str>,
}

impl Address {
    /// An address from its three parts.
    ///
    /// # Errors
    /// If a part is empty or contains a character with a meaning in addresses (`/`, `#`, white space).
    pub fn new(region: &Region, kind: &str, name: &str) -> Result<Self> {
        for (what, part) in [("region", region.as_str()), ("kind", kind), ("name", name)] {
            if part.is_empty() || part.contains(|c: char| c == '/' || c == '#' || c.is_whitespace()) {
                return Err(Error::invalid(format!("`{part}` is not a valid {what} in an address"))
                    .hint("use letters, digits, `.`, `-` and `_`"));
            }
        }
        Ok(Self { region: region.clone(), kind: kind.into(), name: name.into() })
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split('/').collect::<Vec<_>>()[..] {
            [region, kind, name] => Self::new(&Region::new(region), kind, name),
            _ => Err(Error::invalid(format!("`{text}` is not an address"))
                .hint("an address has the form REGION/KIND/NAME; see `payinfra state list`")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.region, self.kind, self.name)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::new(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() -> Result<()> {
        let text = "us-east-1/ec2.subnet/private-a";
        assert_eq!(text.parse::<Address>()?.to_string(), text);
        Ok(())
    }

    #[test]
    fn refuses_what_is_not_an_address() {
        for text in ["", "a/b", "a/b/c/d", "a//c", "us-east-1/ec2.vpc/a b", "us-east-1/ec2.vpc/a#id"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
