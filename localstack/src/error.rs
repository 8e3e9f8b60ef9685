//! What can go wrong while the emulated AWS is started or asked.

use std::path::PathBuf;

use thiserror::Error;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the emulated AWS could not be started or asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable Python interpreter was found.
    #[error(
        "no Python 3.11 or newer with the venv module was found (tried {tried}); \
         install one, or name it in PAYINFRA_PYTHON"
    )]
    Python {
        /// The interpreters that were tried, with what was wrong with each.
        tried: String,
    },
    /// There is no place to install the emulators into.
    #[error("no cache directory: set XDG_CACHE_HOME or HOME")]
    NoCache,
    /// The emulators could not be installed.
    #[error("installing the emulators failed ({step}):\n{output}")]
    Install {
        /// What was being done.
        step: &'static str,
        /// What the installer said last.
        output: String,
    },
    /// An emulator did not start.
    #[error("{emulator} did not start: {reason}; PAYINFRA_LOCAL_LOG=FILE keeps what it says")]
    Backend {
        /// The emulator.
        emulator: &'static str,
        /// What happened instead.
        reason: String,
    },
    /// The profile `external` needs to know where.
    #[error("the profile `external` needs AWS_ENDPOINT_URL, such as http://127.0.0.1:4566, not {0:?}")]
    External(Option<String>),
    /// The gateway's port is taken.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port; 0 for any.
        port: u16,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The gateway does not answer, or not as a gateway does.
    #[error("the emulated AWS at {endpoint} does not answer: {reason}")]
    Control {
        /// Where it was asked.
        endpoint: String,
        /// What went wrong.
        reason: String,
    },
    /// A file could not be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err` after an operation on a file.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
