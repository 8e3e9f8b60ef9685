//! payinfra itself: outputs of other workspaces and stacks.

mod outputs;

use payinfra_engine::{Kind, lookup};

pub use outputs::{RemoteOutputs, RemoteOutputsFound};

use crate::Cx;

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[lookup::<RemoteOutputs>()];
