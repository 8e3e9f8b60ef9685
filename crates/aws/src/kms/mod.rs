//! KMS: keys and their names.

mod alias;
mod key;
mod tags;

use payinfra_engine::{Kind, kind};

pub use alias::Alias;
pub use key::{Key, KeyOutputs};

use crate::Cx;

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Alias>(), kind::<Key>()];
