//! Files that are there as a whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use payinfra_engine::{Error, Result};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner.
    Owner,
    /// Everybody that the user's mask allows.
    All,
}

/// Writes `bytes` to `path`, by way of a file beside it; makes the folder if it is missing.
pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<()> {
    let failed =
        |error: std::io::Error| Error::failed(format!("{} cannot be written: {error}", path.display())).source(error);
    let name = path.file_name().ok_or_else(|| Error::invalid(format!("{} is not a file", path.display())))?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let beside = folder.join(format!(".{}.{}", name.to_string_lossy(), uuid::Uuid::new_v4()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if readers == Readers::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    });
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        failed(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_file_for_its_owner_replaces_what_was_there() -> std::result::Result<(), Box<dyn std::error::Error>> {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("new/plan");
        write(&path, b"first", Readers::All)?;
        write(&path, b"second", Readers::Owner)?;
        assert_eq!(fs::read(&path)?, b"second");
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("new"))?.count(), 1);
        Ok(())
    }
}
