//! How a command ends.

use crate::failure::Failure;

/// What every command returns.
pub(crate) type Outcome = Result<Exit, Failure>;

/// An end that is no failure of the command itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is done, or as it should be.
    Done,
    /// Something was tried and did not succeed; it has been shown.
    Failed,
    /// There are changes, or drift, and the caller asked.
    Differs,
}

impl Exit {
    /// The code for the shell.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Differs => 2,
        }
    }
}
