//! Which emulator answers for which service.

use serde::{Deserialize, Serialize};

use crate::backend::Backend;

/// A choice of emulators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// moto and `MiniStack`, each for the services that it was measured to be right for.
    #[value(help = "moto and MiniStack, each for the services that it is right for")]
    #[default]
    Default,
    /// `LocalStack`'s community edition for what it has, and the default for the rest.
    #[value(help = "LocalStack (community) for what it has, as default for the rest")]
    Localstack,
    /// Any endpoint that `AWS_ENDPOINT_URL` names.
    #[value(help = "the endpoint that AWS_ENDPOINT_URL names")]
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

/// By signing name: the services that moto answers for. All others are `MiniStack`'s.
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

/// By signing name: the services that `LocalStack` answers for in its profile. Its EC2 is moto as well, but a version that
/// lacks `ModifySecurityGroupRules` and half of transit gateways, so EC2 stays with the newer one; Route 53 stays where
/// ACM is, which looks for its validation records there.
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

    /// The emulator that answers for a service, or `None` if it is not one of ours.
    pub(crate) fn backend(self, service: &str) -> Option<Backend> {
        match self {
            Self::External => None,
            Self::Localstack if LOCALSTACK.contains(&service) => Some(Backend::Localstack),
            Self::Localstack | Self::Default if MOTO.contains(&service) => Some(Backend::Moto),
            Self::Localstack | Self::Default => Some(Backend::Ministack),
        }
    }
}
