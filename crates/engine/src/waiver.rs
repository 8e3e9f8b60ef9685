//! Waivers: where a rule does not apply to a graph, and why.
//!
//! The engine keeps them with the graph, and therefore in documents, saved plans and the history. It knows no rules:
//! whoever checks them leaves out what a waiver covers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::address::Address;
use crate::error::{Error, Result};

/// A rule that does not apply somewhere in a graph, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The name of the rule.
    pub rule: String,
    /// Where it does not apply.
    pub at: Scope,
    /// Why it does not apply there: one line of text.
    pub reason: String,
}

/// Where a waiver applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// At all resources of the graph; written as `everywhere`.
    Everywhere,
    /// At one resource; written as its address.
    Address(Address),
}

impl Scope {
    /// How [`Scope::Everywhere`] is written. It is not a valid address.
    pub const EVERYWHERE: &'static str = "everywhere";
}

impl Waiver {
    /// Whether it covers violations of `rule` by the resource at `address`.
    #[must_use]
    pub fn covers(&self, rule: &str, address: &Address) -> bool {
        let applies = match &self.at {
            Scope::Everywhere => true,
            Scope::Address(at) => at == address,
        };
        applies && self.rule == rule
    }

    /// Checks that it has a reason that can be shown on one line.
    pub(crate) fn check(&self) -> Result<()> {
        if self.reason.trim().is_empty() {
            return Err(Error::invalid(format!("{self} has no reason")).hint("say why the rule does not apply there"));
        }
        if self.reason.contains(char::is_control) {
            let message = format!("the reason of {self} has a line break or another control character");
            return Err(Error::invalid(message).hint("write it on one line"));
        }
        Ok(())
    }
}

/// As in messages: `the waiver of RULE at ADDRESS`.
impl fmt::Display for Waiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Scope::Everywhere => write!(f, "the waiver of `{}` everywhere", self.rule),
            Scope::Address(address) => write!(f, "the waiver of `{}` at {address}", self.rule),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere => f.write_str(Self::EVERYWHERE),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == Self::EVERYWHERE {
            return Ok(Self::Everywhere);
        }
        let neither =
            |_| serde::de::Error::custom(format!("`{text}` is neither an address nor `{}`", Self::EVERYWHERE));
        text.parse().map(Self::Address).map_err(neither)
    }
}
