//! Files that variables name. A stack does no I/O, so they are read with the configuration, by whoever reads that.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use payinfra_engine::GRAPH_BYTES;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Problem, Problems};

/// The maximum size of a file that a variable names.
pub const FILE_BYTES: u64 = GRAPH_BYTES;

/// Opens a file that a variable names: a path relative to the folder of the configuration.
pub type Open<'a> = &'a dyn Fn(&Path) -> io::Result<Box<dyn Read>>;

/// The contents of the files that variables name, by variable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(pub(crate) BTreeMap<String, Arc<[u8]>>);

/// Finds no files, for configurations that are not on a disk.
///
/// # Errors
/// Always.
pub(crate) fn none(_: &Path) -> io::Result<Box<dyn Read>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this configuration has no folder"))
}

/// Reads the files that the `variables` in `table` name.
pub(crate) fn read(table: &DeTable<'_>, variables: &[&str], open: Open<'_>, problems: &mut Problems) -> Files {
    let mut files = BTreeMap::new();
    for variable in variables {
        let Some(value) = at(table, variable) else { continue };
        let Some(path) = value.get_ref().as_str() else { continue };
        let content = content(path, open)
            .map_err(|(why, hint)| Problem::new(format!("`{variable}`: {path} {why}"), value.span()).hint(hint));
        files.extend(problems.take(content).map(|content| ((*variable).to_owned(), content)));
    }
    Files(files)
}

/// The value of the variable at `path`, such as `package` or `drift_detector.package`.
fn at<'a, 'b>(table: &'a DeTable<'b>, path: &str) -> Option<&'a Spanned<DeValue<'b>>> {
    match path.split_once('.') {
        None => table.get(path),
        Some((first, rest)) => at(table.get(first)?.get_ref().as_table()?, rest),
    }
}

/// The content of the file at `path`, or why there is none and what to do.
fn content(path: &str, open: Open<'_>) -> Result<Arc<[u8]>, (String, &'static str)> {
    let relative = "paths are relative to the folder of the configuration";
    let unreadable = |error: io::Error| (format!("cannot be read: {error}"), relative);
    let mut bytes = Vec::new();
    open(Path::new(path)).and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size <= FILE_BYTES) {
        return Ok(bytes.into());
    }
    Err((format!("is larger than {} MB", FILE_BYTES / 1_000_000), "split it into several workspaces"))
}
