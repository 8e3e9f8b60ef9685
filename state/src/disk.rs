//! Files that are written atomically, are private to their owner, and are never accessed through a symbolic link.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use payinfra_engine::{Class, Error, Result};
use rustix::fs::{Mode, OFlags};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Only the owner: for files with state.
    Owner,
    /// Whoever the umask allows: for files that others read.
    All,
}

impl Readers {
    fn mode(self) -> Mode {
        match self {
            Self::Owner => Mode::RUSR | Mode::WUSR,
            Self::All => Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH,
        }
    }
}

/// The suffix of a temporary file. A crash can leave one; its name starts with a dot.
const UNFINISHED: &str = ".new";

/// Writes `bytes` to `path`, atomically and durably, by renaming a new file. Missing folders are created for their
/// owner alone. If `path` is a symbolic link, the link is replaced, and its target is not changed.
///
/// # Errors
/// If the folder or the file cannot be written.
pub fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<()> {
    let name = path.file_name().ok_or_else(|| Error::invalid(format!("{} is not a file", path.display())))?;
    let folder = folder_of(path);
    let beside = folder.join(format!(".{}.{}{UNFINISHED}", name.to_string_lossy(), uuid::Uuid::new_v4()));
    let written = || -> io::Result<()> {
        make_folder(folder)?;
        // O_EXCL: fails if a file or link with the name exists.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(&beside, flags, readers.mode())?);
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        // The rename is durable only after the folder is synced.
        File::open(folder)?.sync_all()
    };
    written().map_err(|error| {
        // It may not exist, or may already have been renamed.
        let _ = fs::remove_file(&beside);
        failed(path, "written")(error)
    })
}

/// Deletes temporary files that crashes left beside `path`. Call it only if nobody else can be writing `path`.
pub(crate) fn clean(path: &Path) {
    let Some(begin) = path.file_name().map(|name| format!(".{}.", name.to_string_lossy())) else { return };
    let Ok(entries) = fs::read_dir(folder_of(path)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&begin) && name.ends_with(UNFINISHED) {
            // A file that cannot be deleted does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The contents of the file at `path`, at most `max` bytes; `None` if there is no file.
///
/// For files whose contents are trusted: it must be a regular file (no link, FIFO, folder or device), owned by the
/// current user and not writable by others. The checks use the descriptor that is read.
///
/// # Errors
/// If the file fails a check, or cannot be read.
pub fn read_regular(path: &Path, max: u64) -> Result<Option<Vec<u8>>> {
    let Some(file) = open_regular(path)? else { return Ok(None) };
    let about = file.metadata().map_err(failed(path, "read"))?;
    let refused = |why: String, hint: &str| Err(Error::invalid(format!("{} {why}", path.display())).hint(hint));
    let user = rustix::process::geteuid().as_raw();
    if about.uid() != user {
        let why = format!("belongs to the user with id {}, not to the current user ({user})", about.uid());
        return refused(why, "check where the file came from; move it out of this folder if you did not create it");
    }
    if about.mode() & 0o022 != 0 {
        let why = format!("is writable by other users (mode {:03o})", about.mode() & 0o777);
        return refused(why, "check its contents, then run `chmod go-w` on it");
    }
    let too_large = |size: u64| {
        let why = format!("is too large: {size} bytes, the maximum is {max}");
        refused(why, "check where the file came from; move it out of this folder if you did not create it")
    };
    if about.len() > max {
        return too_large(about.len());
    }
    let mut bytes = Vec::new();
    // The file may grow while it is read.
    let read = file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed(path, "read"))?;
    let read = u64::try_from(read).unwrap_or(u64::MAX);
    if read > max { too_large(read) } else { Ok(Some(bytes)) }
}

/// The contents of the regular file at `path`, whoever owns it; `None` if there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let Some(mut file) = open_regular(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed(path, "read"))?;
    Ok(Some(bytes))
}

/// Opens a regular file for reading. Does not block on a FIFO.
fn open_regular(path: &Path) -> Result<Option<File>> {
    let irregular = || {
        let message = format!("{} is not a regular file", path.display());
        Error::invalid(message)
            .hint("links, folders and devices are not followed or read; replace it with a regular file")
    };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        // A symbolic link, and a socket.
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::MLINK | rustix::io::Errno::NXIO) => return Err(irregular()),
        Err(error) => return Err(failed(path, "read")(error.into())),
    };
    let about = file.metadata().map_err(failed(path, "read"))?;
    if about.is_file() { Ok(Some(file)) } else { Err(irregular()) }
}

/// Opens a file for locking, and creates it if it is missing.
pub(crate) fn open_lock(path: &Path) -> Result<File> {
    let opened = || -> io::Result<File> {
        make_folder(folder_of(path))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::open(path, flags, Readers::Owner.mode())?))
    };
    opened().map_err(failed(path, "opened"))
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The error that `path` cannot be read, written and so on.
pub(crate) fn failed(path: &Path, what: &str) -> impl Fn(io::Error) -> Error {
    move |error| {
        let class = match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Class::Denied,
            _ => Class::Failed,
        };
        Error::new(class, format!("{} cannot be {what}: {error}", path.display())).source(error)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_replaces_what_was_there_and_has_its_own_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/for/plan");
        write(&path, b"first", Readers::All).unwrap();
        write(&path, b"second", Readers::Owner).unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"second".to_vec(), 0o600));
        assert_eq!(names(path.parent().unwrap()), ["plan"]);
        for made in ["made", "made/for"] {
            assert_eq!(mode(&folder.path().join(made)), 0o700, "{made}");
        }
        let outputs = folder.path().join("outputs.json");
        write(&outputs, b"{}", Readers::All).unwrap();
        assert_eq!(mode(&outputs) & 0o111, 0);
        assert_eq!(mode(&outputs) & 0o600, 0o600);
    }

    #[test]
    fn a_link_is_replaced_and_what_it_points_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "theirs").unwrap();
        symlink(&target, &link).unwrap();
        write(&link, b"ours", Readers::Owner).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"theirs");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
        assert_eq!(fs::read(&link).unwrap(), b"ours");
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("in-it"), "").unwrap();
        let error = write(&path, b"bytes", Readers::Owner).unwrap_err();
        assert!(error.message().contains("taken cannot be written"), "{error}");
        assert_eq!(names(folder.path()), ["taken"]);
        assert!(write(Path::new("/"), b"", Readers::Owner).unwrap_err().is(Class::Invalid));
    }

    #[test]
    fn what_a_crash_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        for name in [".state.json.1234.new", ".state.json.bak", ".lock.json.1.new", "state.json"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        clean(&path);
        assert_eq!(names(folder.path()), [".lock.json.1.new", ".state.json.bak", "state.json"]);
    }

    #[test]
    fn only_a_regular_file_of_ours_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "12345").unwrap();
        fs::set_permissions(at("file"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read_regular(&at("missing"), 5).unwrap(), None);
        assert_eq!(read_regular(&at("file"), 5).unwrap().unwrap(), b"12345");
        assert_eq!(read(&at("file")).unwrap().unwrap(), b"12345");

        symlink(at("file"), at("link")).unwrap();
        symlink(at("missing"), at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for name in ["link", "dangling", "folder", "fifo", "socket"] {
            for error in [read_regular(&at(name), 5).unwrap_err(), read(&at(name)).unwrap_err()] {
                assert!(error.message().contains(&format!("{name} is not a regular file")), "{error}");
                assert!(error.is(Class::Invalid) && error.get_hint().is_some(), "{error}");
            }
        }
        assert!(read_regular(Path::new("/dev/zero"), 5).unwrap_err().is(Class::Invalid));

        for (bits, says) in [(0o620, "mode 620"), (0o602, "mode 602")] {
            fs::set_permissions(at("file"), fs::Permissions::from_mode(bits)).unwrap();
            let error = read_regular(&at("file"), 5).unwrap_err();
            assert!(error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn a_large_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        // A sparse file: it takes no space on disk, but would in memory.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = read_regular(&path, 1 << 20).unwrap_err();
        assert!(error.message().contains("1099511627776 bytes, the maximum is 1048576"), "{error}");
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        // A regular file that belongs to root or, if root runs the test, to another user.
        let root = rustix::process::geteuid().is_root();
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join("theirs");
        let path = if root {
            fs::write(&theirs, "").unwrap();
            std::os::unix::fs::chown(&theirs, Some(12345), None).unwrap();
            &theirs
        } else {
            Path::new("/etc/hosts")
        };
        let error = read_regular(path, 1 << 20).unwrap_err();
        assert!(error.message().contains("belongs to the user with id"), "{error}");
    }
}
