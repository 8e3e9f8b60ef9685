//! Pointers to outputs.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::address::Address;
use crate::error::{Error, Result};

/// The output that every resource has.
pub const ID: &str = "id";

/// A pointer to an output of another resource, written `address#output` or `address#output/0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer {
    /// The address of the other resource.
    pub address: Address,
    /// The output: `id` or a member of the kind's outputs, with an optional path into it.
    pub output: String,
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.address, self.output)
    }
}

impl std::str::FromStr for Pointer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (address, output) = text
            .split_once('#')
            .ok_or_else(|| Error::invalid(format!("`{text}` is not a reference")).hint("write ADDRESS#OUTPUT"))?;
        Ok(Self { address: address.parse()?, output: output.to_owned() })
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
