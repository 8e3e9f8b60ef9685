//! `CloudWatch` Logs: log groups.

mod log_group;
mod tags;

use payinfra_engine::{Kind, kind};

pub use log_group::{LogGroup, LogGroupOutputs};

use crate::Cx;

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<LogGroup>()];
