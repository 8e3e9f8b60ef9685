//! Errors of starting and controlling the emulated AWS.

use std::path::PathBuf;

use thiserror::Error;

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of starting or controlling the emulated AWS.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No suitable Python interpreter was found.
    #[error(
        "no Python 3.11 or newer with the venv module was found (tried {tried}); \
         install one, or set PAYINFRA_PYTHON"
    )]
    Python {
        /// The interpreters that were tried, with the reasons against each.
        tried: String,
    },
    /// There is no folder to install the emulators in.
    #[error("no cache directory: set XDG_CACHE_HOME or HOME")]
    NoCache,
    /// The emulators could not be installed.
    #[error("installing the emulators failed ({step}):\n{output}")]
    Install {
        /// The step that failed.
        step: &'static str,
        /// The last output of the installer.
        output: String,
    },
    /// An emulator did not start.
    #[error("{emulator} did not start: {reason}; set PAYINFRA_LOCAL_LOG=FILE to write its log to a file")]
    Backend {
        /// The emulator.
        emulator: &'static str,
        /// The reason.
        reason: String,
    },
    /// The profile `external` requires an endpoint.
    #[error("the profile `external` requires AWS_ENDPOINT_URL, such as http://127.0.0.1:4566, not {0:?}")]
    External(Option<String>),
    /// The gateway's port is in use.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port; 0 for any.
        port: u16,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The gateway does not respond, or responds unexpectedly.
    #[error("the emulated AWS at {endpoint} does not respond: {reason}")]
    Control {
        /// The endpoint.
        endpoint: String,
        /// The reason.
        reason: String,
    },
    /// A file operation failed.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
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
