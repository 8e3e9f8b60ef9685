//! What a record keeps of a declaration besides its arguments.

use std::collections::BTreeSet;

use crate::address::Address;
use crate::graph::Declared;
use crate::state::Record;

impl Record {
    /// Records what is declared besides the arguments, and the dependencies.
    pub(crate) fn declare(&mut self, node: &Declared, depends: BTreeSet<Address>) {
        self.depends = depends;
        self.protect = node.protect;
        self.final_snapshot = node.final_snapshot;
        self.operational.clone_from(&node.operational);
        self.role_of.clone_from(&node.role_of);
        self.handover.clone_from(&node.handover);
    }

    /// Whether the resource has ever existed: one whose replacement was interrupted may have no id, but still what it replaces.
    #[must_use]
    pub fn has_existed(&self) -> bool {
        self.id.is_some() || !self.deposed.is_empty()
    }

    /// Whether [`Plan`](crate::Plan)s of later runs would be the same if `node` were recorded again.
    #[must_use]
    pub fn reflects(&self, node: &Declared) -> bool {
        self.protect == node.protect
            && (&self.operational, &self.role_of) == (&node.operational, &node.role_of)
            && self.handover == node.handover
    }
}
