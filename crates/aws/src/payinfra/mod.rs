//! payinfra itself: what its other workspaces and stacks give away.

mod outputs;

use payinfra_engine::{Kind, lookup};

pub use outputs::{RemoteOutputs, RemoteOutputsFound};

use crate::Cx;

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[lookup::<RemoteOutputs>()];
