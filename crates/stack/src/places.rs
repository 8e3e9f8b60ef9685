//! Where the variables of a workspace stand in the file.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The places of variables by path, such as `regions.0.cidr`; the empty path is the workspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    keys: BTreeMap<String, Range<usize>>,
    values: BTreeMap<String, Range<usize>>,
}

impl Places {
    /// The places in the variables `table` of the workspace whose name stands at `name`.
    pub(crate) fn of(table: &DeTable<'_>, name: &Range<usize>) -> Self {
        let mut places = Self::default();
        places.values.insert(String::new(), name.clone());
        places.table(table, "");
        places
    }

    fn table(&mut self, table: &DeTable<'_>, path: &str) {
        for (key, value) in table {
            let path = below(path, key.get_ref());
            self.keys.insert(path.clone(), key.span());
            self.value(value, path);
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, path: String) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, &path),
            DeValue::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.value(value, below(&path, &index.to_string()));
                }
            }
            _ => {}
        }
        self.values.insert(path, value.span());
    }

    /// The place of the value at `path`. If it is not set: of the section around it, or of the workspace's name.
    pub(crate) fn of_value(&self, mut path: &str) -> Range<usize> {
        loop {
            match self.values.get(path) {
                Some(place) => return place.clone(),
                None if path.is_empty() => return 0..0,
                None => path = path.rsplit_once('.').map_or("", |(section, _)| section),
            }
        }
    }

    /// The place of the key at `path`. If it is not set: as [`Places::of_value`].
    pub(crate) fn of_key(&self, path: &str) -> Range<usize> {
        self.keys.get(path).cloned().unwrap_or_else(|| self.of_value(path))
    }
}

/// The path of `key` in the table at `path`.
pub(crate) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
