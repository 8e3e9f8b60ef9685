//! Merges tables of the TOML parser, whose keys and values know their places.

use toml::de::{DeArray, DeTable, DeValue};

use crate::places::below;

/// The list that is not replaced but extended: what is sensitive for all workspaces is sensitive in each.
const SENSITIVE: &str = "sensitive";
/// Shared tables that a workspace replaces as a whole.
const REPLACED: &[&str] = &["remote_outputs.*"];

/// The table at `path`.
pub(super) fn at<'a, 'i>(table: &'a DeTable<'i>, path: &[&str]) -> Option<&'a DeTable<'i>> {
    path.iter().try_fold(table, |table, key| table.get(*key)?.get_ref().as_table())
}

/// The tables merged key by key; values of `own` take precedence over those of `shared`. Tables at the paths `replaced`
/// are not merged.
pub(super) fn merged<'i>(own: &DeTable<'i>, shared: &DeTable<'i>, replaced: &[&str]) -> DeTable<'i> {
    let mut merged = merge(own, shared, "", &[REPLACED, replaced].concat());
    let lists = [own, shared].map(|table| table.get(SENSITIVE).and_then(|list| list.get_ref().as_array()));
    if let (Some(own), Some(shared)) = (lists[0], lists[1])
        && let Some(list) = merged.get_mut(SENSITIVE)
    {
        let both: DeArray<'i> = own.iter().chain(shared.iter()).cloned().collect();
        *list.get_mut() = DeValue::Array(both);
    }
    merged
}

fn merge<'i>(own: &DeTable<'i>, shared: &DeTable<'i>, path: &str, replaced: &[&str]) -> DeTable<'i> {
    let mut merged = own.clone();
    for (key, value) in shared {
        let Some(winner) = merged.get_mut(key.get_ref().as_ref()) else {
            merged.insert(key.clone(), value.clone());
            continue;
        };
        let path = below(path, key.get_ref());
        if !replaced.iter().any(|pattern| is_match(pattern, &path))
            && let (DeValue::Table(one), DeValue::Table(other)) = (winner.get_ref(), value.get_ref())
        {
            let table = merge(one, other, &path, replaced);
            *winner.get_mut() = DeValue::Table(table);
        }
    }
    merged
}

/// Whether `path` is `pattern`, in which `*` stands for any key.
fn is_match(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut keys) = (pattern.split('.'), path.split('.'));
    loop {
        match (patterns.next(), keys.next()) {
            (None, None) => return true,
            (Some(pattern), Some(key)) if pattern == "*" || pattern == key => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use toml::Spanned;

    use super::*;

    fn merged_text(own: &str, shared: &str) -> Option<String> {
        let (own, shared) = (DeTable::parse(own).ok()?, DeTable::parse(shared).ok()?);
        let merged = merged(own.get_ref(), shared.get_ref(), &["whole"]);
        let table: toml::Table =
            serde::Deserialize::deserialize(toml::Deserializer::from(Spanned::new(0..0, merged))).ok()?;
        Some(table.to_string())
    }

    #[test]
    fn tables_are_merged_and_lists_replaced() {
        let own = "a = 1\nlist = [1]\nsensitive = [\"a\"]\n[t]\nx = 1\n[t.u]\ny = 1\n[whole]\nx = 1\n[remote_outputs.r]\nx = 1";
        let shared = "a = 2\nb = 2\nlist = [2, 2]\nsensitive = [\"b\"]\n[t]\nx = 2\nz = 2\n[t.u]\nw = 2\n[whole]\ny = 2\n\
                      [remote_outputs.r]\ny = 2\n[remote_outputs.s]\ny = 2";
        let expected = "a = 1\nb = 2\nlist = [1]\nsensitive = [\"a\", \"b\"]\n\n[remote_outputs.r]\nx = 1\n\n\
                        [remote_outputs.s]\ny = 2\n\n[t]\nx = 1\nz = 2\n\n[t.u]\nw = 2\ny = 1\n\n[whole]\nx = 1\n";
        assert_eq!(merged_text(own, shared).as_deref(), Some(expected));
    }
}
