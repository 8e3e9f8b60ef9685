//! Exit codes.

use crate::failure::Failure;

/// The result of a command.
pub(crate) type Outcome = Result<Exit, Failure>;

/// How a command ended, if it did not fail with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success.
    Done,
    /// Something failed, and the failure has been shown.
    Failed,
    /// There are changes, drift or orphans.
    Differs,
}

impl Exit {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Differs => 2,
        }
    }
}
