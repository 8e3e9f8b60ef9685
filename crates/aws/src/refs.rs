//! References in calls to AWS, where all of them are resolved.

use std::collections::BTreeSet;

use payinfra_engine::{Ref, Result};

/// The targets of a set of references, in AWS's form.
pub(crate) fn known<T: Clone + Into<String>>(refs: &BTreeSet<Ref<T>>) -> Result<Vec<String>> {
    refs.iter().map(|it| Ok(it.known()?.clone().into())).collect()
}

/// A response of AWS, as a set of references.
pub(crate) fn answered<T: Ord>(them: Option<Vec<T>>) -> BTreeSet<Ref<T>> {
    them.unwrap_or_default().into_iter().map(Ref::Known).collect()
}
