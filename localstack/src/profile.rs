//! The emulator for each service.

use serde::{Deserialize, Serialize};

use crate::backend::Backend;

/// A choice of emulators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// moto and `MiniStack`, each for the services that it emulates correctly.
    #[value(help = "moto and MiniStack, each for the services it emulates correctly")]
    #[default]
    Default,
    /// `LocalStack`'s community edition for the services it supports, and the default emulators for the rest.
    #[value(help = "LocalStack (community) for the services it supports, the default emulators for the rest")]
    Localstack,
    /// The endpoint in `AWS_ENDPOINT_URL`.
    #[value(help = "the endpoint in AWS_ENDPOINT_URL")]
    External,
}

impl std::fmt::Display for Profile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Default => "default",
            Self::Localstack => "localstack",
            Self::External => "external",
        })
    }
}

/// The signing names of services that moto emulates; `MiniStack` emulates all others.
const MOTO: &[&str] = &[
    "acm",
    "application-autoscaling",
    "ec2",
    "ecs",
    "elasticloadbalancing",
    "iam",
    "monitoring",
    "rds",
    "route53",
    "sts",
    "wafv2",
];

/// The signing names of services that `LocalStack` emulates in its profile. Its EC2 is an older moto without
/// `ModifySecurityGroupRules` and with incomplete transit gateways, so EC2 stays with the newer one. Route 53 stays
/// with ACM, which looks for its validation records there.
const LOCALSTACK: &[&str] = &["iam", "kms", "logs", "s3", "sns", "ssm", "sts"];

impl Profile {
    /// The emulators to start.
    pub(crate) fn backends(self) -> &'static [Backend] {
        match self {
            Self::Default => &[Backend::Ministack, Backend::Moto],
            Self::Localstack => &[Backend::Localstack, Backend::Ministack, Backend::Moto],
            Self::External => &[],
        }
    }

    /// The emulator for a service, or `None` for the external endpoint.
    pub(crate) fn backend(self, service: &str) -> Option<Backend> {
        match self {
            Self::External => None,
            Self::Localstack if LOCALSTACK.contains(&service) => Some(Backend::Localstack),
            Self::Localstack | Self::Default if MOTO.contains(&service) => Some(Backend::Moto),
            Self::Localstack | Self::Default => Some(Backend::Ministack),
        }
    }
}
