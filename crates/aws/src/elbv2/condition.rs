//! The conditions of listener rules.

use std::collections::BTreeSet;

use aws_sdk_elasticloadbalancingv2::types::{
    self as sdk, HostHeaderConditionConfig, HttpHeaderConditionConfig, HttpRequestMethodConditionConfig,
    PathPatternConditionConfig, SourceIpConditionConfig,
};
use payinfra_engine::{Error, Result, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A condition: one of its values must match. `*` stands for any characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A header with this name; often a token that only a proxy in front knows.
    Header(String, BTreeSet<Secret<String>>),
    /// The host; case-insensitive.
    Host(BTreeSet<String>),
    /// The method: `GET`; no wildcards.
    Method(BTreeSet<String>),
    /// The path; case-sensitive.
    Path(BTreeSet<String>),
    /// The source address, as CIDR blocks.
    SourceIp(BTreeSet<String>),
    /// A condition that was configured outside payinfra; only returned by reads.
    Other(String),
}

impl Condition {
    pub(super) fn sdk(&self) -> Result<sdk::RuleCondition> {
        let list = |values: &BTreeSet<String>| Some(values.iter().cloned().collect::<Vec<_>>());
        let condition = sdk::RuleCondition::builder();
        Ok(match self {
            Self::Header(name, values) => {
                let values = values.iter().map(|value| value.expose().cloned()).collect::<Result<_>>()?;
                let config = HttpHeaderConditionConfig::builder().http_header_name(name).set_values(Some(values));
                condition.field("http-header").http_header_config(config.build())
            }
            Self::Host(values) => {
                let config = HostHeaderConditionConfig::builder().set_values(list(values));
                condition.field("host-header").host_header_config(config.build())
            }
            Self::Method(values) => {
                let config = HttpRequestMethodConditionConfig::builder().set_values(list(values));
                condition.field("http-request-method").http_request_method_config(config.build())
            }
            Self::Path(values) => {
                let config = PathPatternConditionConfig::builder().set_values(list(values));
                condition.field("path-pattern").path_pattern_config(config.build())
            }
            Self::SourceIp(values) => {
                let config = SourceIpConditionConfig::builder().set_values(list(values));
                condition.field("source-ip").source_ip_config(config.build())
            }
            Self::Other(field) => {
                return Err(Error::invalid(format!("a condition on `{field}` can be read, but not created")));
            }
        }
        .build())
    }

    /// For host and path, AWS also returns the values in the condition itself.
    pub(super) fn from_sdk(condition: &sdk::RuleCondition) -> Self {
        let set = |values: &[String]| values.iter().cloned().collect::<BTreeSet<_>>();
        let field = condition.field().unwrap_or_default();
        if let Some(config) = condition.http_header_config() {
            let values = config.values().iter().cloned().map(Secret::new).collect();
            return Self::Header(config.http_header_name().unwrap_or_default().to_owned(), values);
        }
        match field {
            "host-header" => {
                let values = condition.host_header_config().map_or(condition.values(), |config| config.values());
                Self::Host(set(values))
            }
            "http-request-method" if let Some(config) = condition.http_request_method_config() => {
                Self::Method(set(config.values()))
            }
            "path-pattern" => {
                let values = condition.path_pattern_config().map_or(condition.values(), |config| config.values());
                Self::Path(set(values))
            }
            "source-ip" if let Some(config) = condition.source_ip_config() => Self::SourceIp(set(config.values())),
            other => Self::Other(other.to_owned()),
        }
    }
}
