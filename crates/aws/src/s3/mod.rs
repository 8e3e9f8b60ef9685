//! S3: buckets.

mod bucket;
mod tags;

use payinfra_engine::{Kind, kind};

pub use bucket::{Bucket, BucketOutputs, Encryption, LifecycleRule, Logging, Replication, ReplicationRule, Transition};

use crate::Cx;

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Bucket>()];
