//! The kinds of a cloud by name.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::pointer::{ID, Pointer};
use crate::resource::Facts;
use crate::schema::Schemas;

/// All kinds of a cloud.
#[derive(Clone, Default)]
pub struct Catalog(BTreeMap<&'static str, &'static dyn Facts>);

impl Catalog {
    /// A catalog of `kinds`.
    pub fn new(kinds: impl IntoIterator<Item = &'static dyn Facts>) -> Self {
        Self(kinds.into_iter().map(|kind| (kind.spec().kind, kind)).collect())
    }

    /// The kinds, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static dyn Facts)> {
        self.0.iter().map(|(name, kind)| (*name, *kind))
    }

    /// The kind `name`.
    ///
    /// # Errors
    /// If there is no such kind; the hint has the most similar names.
    pub fn kind(&self, name: &str) -> Result<&'static dyn Facts> {
        self.0.get(name).copied().ok_or_else(|| {
            let mut near: Vec<_> = self.0.keys().map(|kind| (strsim::damerau_levenshtein(name, kind), *kind)).collect();
            near.sort_unstable();
            let near: Vec<_> = near.iter().take(3).map(|(_, kind)| format!("`{kind}`")).collect();
            Error::invalid(format!("unknown kind `{name}`")).hint(format!("similar kinds: {}", near.join(", ")))
        })
    }

    /// The JSON schemas of the kind `name`.
    ///
    /// # Errors
    /// If there is no such kind.
    pub fn schemas(&self, name: &str) -> Result<Schemas> {
        Ok(self.kind(name)?.schemas())
    }

    /// Checks that the kind that `pointer` leads to has the output.
    pub(crate) fn has_output(&self, pointer: &Pointer) -> Result<()> {
        let kind = self.kind(&pointer.address.kind)?;
        let is_lookup = kind.spec().lookup;
        if pointer.output == ID && !is_lookup {
            return Ok(());
        }
        let outputs = kind.schemas().outputs;
        let outputs = outputs.get("properties").and_then(|outputs| outputs.as_object());
        let mut names: Vec<_> = outputs.into_iter().flat_map(|outputs| outputs.keys().map(String::as_str)).collect();
        let name = pointer.output.split('/').next().unwrap_or_default();
        if names.contains(&name) {
            return Ok(());
        }
        if !is_lookup {
            names.insert(0, ID);
        }
        Err(Error::invalid(format!("`{pointer}`: `{}` has no output `{name}`", pointer.address.kind))
            .hint(format!("its outputs: {}", names.join(", "))))
    }
}
