//! AWS for the payinfra engine: one folder per service, one file per kind of resource.

mod census;
mod client;
mod cloud;
mod error;
mod limit;
mod policy;

pub mod ec2;
pub mod iam;
pub mod kms;
pub mod logs;
pub mod s3;

pub use client::{Access, Cx, Identity};
pub use cloud::{Aws, KINDS};
pub use error::{Explain, Need};
pub use policy::{Effect, Policy, Statement};
