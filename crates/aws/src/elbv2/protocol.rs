//! The protocols of listeners, targets and health checks.

use aws_sdk_elasticloadbalancingv2::types::ProtocolEnum;
use payinfra_engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A protocol of application load balancers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP, unencrypted.
    Http,
    /// HTTP over TLS.
    Https,
    /// Another one, by AWS's name; only returned by reads.
    #[serde(untagged)]
    Other(String),
}

impl Protocol {
    pub(super) fn sdk(&self) -> Result<ProtocolEnum> {
        match self {
            Self::Http => Ok(ProtocolEnum::Http),
            Self::Https => Ok(ProtocolEnum::Https),
            Self::Other(name) => Err(Error::invalid(format!("the protocol `{name}` can be read, but not set"))),
        }
    }

    pub(super) fn from_sdk(protocol: Option<&ProtocolEnum>) -> Self {
        match protocol {
            Some(ProtocolEnum::Http) => Self::Http,
            Some(ProtocolEnum::Https) => Self::Https,
            other => Self::Other(other.map(|it| it.as_str().to_owned()).unwrap_or_default()),
        }
    }
}
