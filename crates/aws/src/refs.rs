//! References where AWS is called: all of them are known by then.

use std::collections::BTreeSet;

use payinfra_engine::{Ref, Result};

/// What the references of a set refer to, as AWS takes it.
pub(crate) fn known<T: Clone + Into<String>>(refs: &BTreeSet<Ref<T>>) -> Result<Vec<String>> {
    refs.iter().map(|it| Ok(it.known()?.clone().into())).collect()
}

/// What AWS answers, as a set of references.
pub(crate) fn answered<T: Ord>(them: Option<Vec<T>>) -> BTreeSet<Ref<T>> {
    them.unwrap_or_default().into_iter().map(Ref::Known).collect()
}
