//! A state in a folder is only accessible to its owner, and never through symbolic links.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use payinfra_engine::{Class, KEPT, Lock, Store, entry_name};
use payinfra_state::{FileLock, FileStore};

use crate::bench::{fails, holder};

/// The files and folders under `folder`, with their modes.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            found.push((path.strip_prefix(folder).unwrap().display().to_string(), about.permissions().mode() & 0o777));
            if about.is_dir() {
                todo.push(path);
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn files_are_for_their_owner_and_nothing_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made");
    let store = FileStore::new(&path, "stack", "one");
    let version = store.save(b"first", None).await.unwrap();
    // The files that a kill during a write leaves.
    fs::write(path.join("stack/one/.state.json.0123.new"), "half").unwrap();
    store.save(b"second", Some(&version)).await.unwrap();
    store.keep("1.json", b"history").await.unwrap();
    store.append(1, b"entry").await.unwrap();
    let lease = FileLock::new(&path, "stack", "one").acquire(&holder("one"), 0).await.unwrap();
    lease.release().await.unwrap();
    let expected = [
        ("made", 0o700),
        ("made/stack", 0o700),
        ("made/stack/one", 0o700),
        ("made/stack/one/guard", 0o600),
        ("made/stack/one/history", 0o700),
        ("made/stack/one/history/1.json", 0o600),
        ("made/stack/one/journal", 0o700),
        ("made/stack/one/journal/0000000000000001.json", 0o600),
        ("made/stack/one/lock", 0o600),
        ("made/stack/one/lock.json", 0o600),
        ("made/stack/one/state.json", 0o600),
    ];
    assert_eq!(modes(folder.path()), expected.map(|(name, mode)| (name.to_owned(), mode)));
    assert!(store.versions().await.unwrap().is_empty());
    assert_eq!(store.load_version("1").await.unwrap(), None);
}

#[tokio::test]
async fn what_others_can_read_is_closed_with_the_next_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::new(folder.path(), "stack", "one");
    let version = store.save(b"first", None).await.unwrap();
    let path = folder.path().join("stack/one/state.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    store.save(b"second", Some(&version)).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn links_are_neither_read_nor_written() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("theirs");
    fs::write(&theirs, "theirs").unwrap();
    let at = folder.path().join("stack/one");
    fs::create_dir_all(&at).unwrap();
    let (store, lock) = (FileStore::new(folder.path(), "stack", "one"), FileLock::new(folder.path(), "stack", "one"));

    symlink(&theirs, at.join("state.json")).unwrap();
    for error in [fails(store.load().await, Class::Invalid), fails(store.save(b"ours", None).await, Class::Invalid)] {
        assert!(error.message().contains("state.json is not a regular file"), "{error}");
    }
    symlink(folder.path().join("created-through-a-link"), at.join("lock")).unwrap();
    let error = lock.acquire(&holder("one"), 0).await.err().unwrap();
    assert!(error.message().contains("lock cannot be opened"), "{error}");
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    assert!(!folder.path().join("created-through-a-link").exists());
}

#[tokio::test]
async fn only_old_entries_that_the_checkpoint_contains_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::new(folder.path(), "stack", "one");
    let minute = Duration::from_mins(1);
    for (revision, age) in [(1, KEPT + minute), (2, Duration::from_hours(23)), (3, KEPT + minute), (4, KEPT + minute)] {
        store.append(revision, b"entry").await.unwrap();
        let path = folder.path().join("stack/one/journal").join(entry_name(revision));
        fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }
    fs::write(folder.path().join("stack/one/journal/notes.txt"), "of somebody else").unwrap();
    store.prune(3).await.unwrap();
    assert_eq!(store.entries(0).await.unwrap(), [2, 4]);
    assert!(folder.path().join("stack/one/journal/notes.txt").exists());
}
