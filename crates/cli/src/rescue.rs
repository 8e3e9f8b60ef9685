//! The rescue file: a copy of the state beside the configuration, for when the state cannot be written to its store.
//! The next run recovers it.
//!
//! A recovered state records the digest of the file. Writing that state is the commit point: before it, the next run
//! recovers the file again; after it, the file only has to be deleted.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use payinfra_engine::{Class, Error, Result, State};
use sha2::{Digest, Sha256};

use crate::disk::{self, Readers};

/// The largest file that is read, in bytes; far larger than any real state.
const LARGEST: u64 = 64 << 20;

/// The rescue file of one workspace.
#[derive(Clone, Debug)]
pub(crate) struct Rescue {
    path: PathBuf,
}

/// How the rescue file relates to the stored state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// There is no file.
    Nothing,
    /// The file is newer. The state from it already records the file's digest.
    Newer(Box<State>),
    /// The stored state has everything that is in the file, which can be deleted.
    Spent,
}

impl Rescue {
    /// The rescue file in the folder of the configuration.
    pub(crate) fn new(folder: &Path, stack: &str, workspace: &str) -> Self {
        Self { path: folder.join(format!(".payinfra-rescue-{stack}-{workspace}.json")) }
    }

    /// The path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Saves `state`.
    pub(crate) fn keep(&self, state: &State) -> Result<()> {
        disk::write(&self.path, &state.bytes()?, Readers::Owner)
    }

    /// The saved state, if it continues from `stored`.
    ///
    /// # Errors
    /// If the file was not written by this user, belongs to another deployment, or records resources that are missing
    /// from a stored state that has changed since.
    pub(crate) fn find(&self, stored: Option<&State>) -> Result<Found> {
        let Some(bytes) = disk::read_regular(&self.path, LARGEST)? else { return Ok(Found::Nothing) };
        let digest = Sha256::digest(&bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let mut kept = payinfra_state::migrate(&bytes)?;
        if let Some(stored) = stored {
            if stored.rescue.as_ref() == Some(&digest) {
                return Ok(Found::Spent);
            }
            if (&stored.lineage, &stored.account) != (&kept.lineage, &kept.account) {
                let message = format!("{} and the state belong to different deployments", self.path.display());
                return Err(
                    Error::invalid(message).hint("check where the file came from, and move it out of this folder")
                );
            }
            let same = (&stored.resources, &stored.outputs) == (&kept.resources, &kept.outputs);
            let newer = (kept.serial, kept.revision) > (stored.serial, stored.revision) && kept.epoch >= stored.epoch;
            if same || !newer {
                return self.superseded(stored, &kept);
            }
        }
        kept.rescue = Some(digest);
        Ok(Found::Newer(Box::new(kept)))
    }

    /// Checks that the stored state, which another run has changed since, records all ids in the file.
    fn superseded(&self, stored: &State, kept: &State) -> Result<Found> {
        let known = ids(stored);
        let unknown: Vec<_> = ids(kept).difference(&known).map(|(address, id)| format!("{address} ({id})")).collect();
        if unknown.is_empty() {
            return Ok(Found::Spent);
        }
        let message = format!(
            "{} was saved when the state could not be written; the state has changed since and does not contain {}",
            self.path.display(),
            unknown.join(", ")
        );
        Err(Error::new(Class::Stale, message).hint(
            "move the file out of this folder, run `payinfra apply`, and check for orphaned resources with `payinfra sweep`",
        ))
    }

    /// Deletes the file; its contents are in the state.
    pub(crate) fn done(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::failed(format!("{} cannot be removed: {error}", self.path.display())))
            }
            _ => Ok(()),
        }
    }
}

/// All ids in a state, each with its address.
fn ids(state: &State) -> BTreeSet<(String, String)> {
    let ids = state.resources.iter().flat_map(|(address, record)| {
        let deposed = record.deposed.iter().map(|deposed| &deposed.id);
        record.id.iter().chain(deposed).map(move |id| (address.to_string(), id.clone()))
    });
    ids.collect()
}

#[cfg(test)]
mod tests {
    use payinfra_engine::Record;

    use super::*;

    fn state(serial: u64, revision: u64, epoch: u64, id: &str) -> Result<State> {
        let mut state = State::new("stack", "workspace", "1");
        "one".clone_into(&mut state.lineage);
        (state.serial, state.revision, state.epoch) = (serial, revision, epoch);
        state.resources.insert("r/a.b/c".parse()?, Record { id: Some(id.to_owned()), ..Record::default() });
        Ok(state)
    }

    fn folder() -> Result<tempfile::TempDir> {
        tempfile::tempdir().map_err(|error| Error::failed(error.to_string()))
    }

    fn newer(found: Found) -> Option<State> {
        if let Found::Newer(state) = found { Some(*state) } else { None }
    }

    #[test]
    fn goes_on_only_where_the_state_ended() -> Result<()> {
        let folder = folder()?;
        let rescue = Rescue::new(folder.path(), "stack", "workspace");
        assert_eq!(rescue.find(None)?, Found::Nothing);
        rescue.keep(&state(3, 30, 5, "new")?)?;
        for before in [None, Some(state(3, 29, 5, "old")?), Some(state(2, 29, 4, "old")?)] {
            let taken = newer(rescue.find(before.as_ref())?).map(|state| state.resources);
            assert_eq!(taken, Some(state(3, 30, 5, "new")?.resources), "{before:?}");
        }
        for other in [state(3, 30, 5, "old")?, state(4, 20, 6, "old")?, state(3, 29, 6, "old")?] {
            let error = rescue.find(Some(&other)).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("r/a.b/c (new)"), "{error}");
        }
        for knows in [state(3, 30, 5, "new")?, state(4, 31, 6, "new")?] {
            assert_eq!(rescue.find(Some(&knows))?, Found::Spent, "the file is obsolete");
        }
        let foreign = State { lineage: "two".to_owned(), ..state(1, 1, 1, "old")? };
        assert!(rescue.find(Some(&foreign)).is_err_and(|error| error.is(Class::Invalid)));
        rescue.done()?;
        assert_eq!(rescue.find(None)?, Found::Nothing);
        rescue.done()
    }

    /// The run that recovers the file is killed after each of its steps; the next run always continues correctly.
    #[test]
    fn a_take_up_that_is_killed_at_any_moment_is_taken_up_again_or_over() -> Result<()> {
        let folder = folder()?;
        let rescue = Rescue::new(folder.path(), "stack", "workspace");
        let stored = state(2, 29, 4, "old")?;
        rescue.keep(&state(3, 30, 4, "new")?)?;
        let taken = newer(rescue.find(Some(&stored))?).ok_or_else(|| Error::failed("it is not taken"))?;
        // Killed before the first write: nothing is stored yet.
        assert_eq!(newer(rescue.find(Some(&stored))?), Some(taken.clone()));
        // Killed after the first write, and after any later one, whatever has become of the resources.
        let mut first = taken;
        (first.serial, first.revision, first.epoch) = (4, 31, 5);
        assert_eq!(rescue.find(Some(&first))?, Found::Spent);
        let mut later = first.clone();
        later.resources.clear();
        later.revision = 99;
        assert_eq!(rescue.find(Some(&later))?, Found::Spent);
        // Stopped after the first write, because the state could not be written again: another file.
        let mut again = first.clone();
        again.revision = 40;
        again.resources.insert("r/a.b/d".parse()?, Record { id: Some("more".to_owned()), ..Record::default() });
        rescue.keep(&again)?;
        assert_eq!(newer(rescue.find(Some(&first))?).map(|state| state.resources), Some(again.resources));
        // Killed after the removal.
        rescue.done()?;
        assert_eq!(rescue.find(Some(&first))?, Found::Nothing);
        Ok(())
    }

    #[test]
    fn only_a_file_that_nobody_else_can_write_is_taken() -> Result<()> {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let failed = |error: std::io::Error| Error::failed(error.to_string());
        let folder = folder()?;
        let rescue = Rescue::new(folder.path(), "stack", "workspace");
        rescue.keep(&state(3, 30, 5, "new")?)?;
        fs::set_permissions(rescue.path(), fs::Permissions::from_mode(0o622)).map_err(failed)?;
        assert!(rescue.find(None).is_err(), "others can write it");
        fs::set_permissions(rescue.path(), fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(rescue.path(), &elsewhere).map_err(failed)?;
        symlink(&elsewhere, rescue.path()).map_err(failed)?;
        assert!(rescue.find(None).is_err(), "a link");
        rescue.done()?;
        fs::create_dir(rescue.path()).map_err(failed)?;
        assert!(rescue.find(None).is_err(), "a folder");
        Ok(())
    }
}
