//! What happened, where the state could no longer be written: kept beside the configuration, taken up by the next run.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use payinfra_engine::{Class, Error, Result, State};

use crate::disk::{self, Readers};

/// The file for one workspace.
#[derive(Clone, Debug)]
pub(crate) struct Rescue {
    path: PathBuf,
}

impl Rescue {
    /// In the folder of the configuration.
    pub(crate) fn new(folder: &Path, stack: &str, workspace: &str) -> Self {
        Self { path: folder.join(format!(".payinfra-rescue-{stack}-{workspace}.json")) }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps `state`.
    pub(crate) fn keep(&self, state: &State) -> Result<()> {
        disk::write(&self.path, &state.bytes()?, Readers::Owner)
    }

    /// The state that was kept, if it goes on where `stored` ends.
    ///
    /// # Errors
    /// If somebody else has gone on since: then nobody but a person can say which is right.
    pub(crate) fn find(&self, stored: Option<&State>) -> Result<Option<State>> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::failed(format!("{} cannot be read: {error}", self.path.display()))),
        };
        let kept = payinfra_state::migrate(&bytes)?;
        let goes_on = stored.is_none_or(|stored| {
            stored.lineage == kept.lineage && stored.serial <= kept.serial && stored.revision < kept.revision
        });
        if goes_on {
            return Ok(Some(kept));
        }
        let message = format!(
            "{} was kept when the state could not be written, and the state has changed since",
            self.path.display()
        );
        Err(Error::new(Class::Stale, message).hint(
            "move the file away, run `payinfra apply`, and see with `payinfra sweep` whether anything in it was lost",
        ))
    }

    /// Removes it: the state has it now.
    pub(crate) fn done(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::failed(format!("{} cannot be removed: {error}", self.path.display())))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(serial: u64, revision: u64) -> State {
        let mut state = State::new("stack", "workspace", "1");
        "one".clone_into(&mut state.lineage);
        (state.serial, state.revision) = (serial, revision);
        state
    }

    #[test]
    fn goes_on_only_where_the_state_ended() -> Result<()> {
        let folder = tempfile::tempdir().map_err(|error| Error::failed(error.to_string()))?;
        let rescue = Rescue::new(folder.path(), "stack", "workspace");
        assert_eq!(rescue.find(None)?, None);
        rescue.keep(&state(3, 30))?;
        assert_eq!(rescue.find(None)?, Some(state(3, 30)));
        assert_eq!(rescue.find(Some(&state(3, 29)))?, Some(state(3, 30)));
        for newer in [state(3, 30), state(4, 31), state(4, 20)] {
            assert!(rescue.find(Some(&newer)).is_err_and(|error| error.is(Class::Stale)));
        }
        rescue.done()?;
        assert_eq!(rescue.find(None)?, None);
        rescue.done()
    }
}
