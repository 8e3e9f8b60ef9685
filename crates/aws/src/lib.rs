//! AWS for the payinfra engine: one folder per service, one file per kind of resource.

mod census;
mod cidr;
mod client;
mod clock;
mod cloud;
mod error;
mod gate;
mod limit;
mod package;
mod permissions;
mod policy;
mod refs;
mod tagged;

pub mod acm;
pub mod apigateway;
pub mod apigatewayv2;
pub mod application_autoscaling;
pub mod cloudtrail;
pub mod cloudwatch;
pub mod dynamodb;
pub mod ec2;
pub mod ecs;
pub mod elbv2;
pub mod eventbridge;
pub mod iam;
pub mod kms;
pub mod lambda;
pub mod logs;
pub mod payinfra;
pub mod probe;
pub mod rds;
pub mod route53;
pub mod s3;
pub mod secretsmanager;
mod size;
pub mod sns;
pub mod ssm;
pub mod wafv2;

pub use client::{Access, Cx, Identity};
pub use cloud::{Aws, KINDS, catalog};
pub use package::CodeSha256;
pub use payinfra_sdk::{Explain, Need};
pub use permissions::{Extent, Permissions, USE_KEY, opens, permissions, reads, statements};
pub use policy::{Effect, Policy, Statement};
