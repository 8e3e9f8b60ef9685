//! IAM: roles.

mod role;
mod tags;

use payinfra_engine::{Kind, kind};

pub use role::{Role, RoleOutputs};

use crate::Cx;

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Role>()];
