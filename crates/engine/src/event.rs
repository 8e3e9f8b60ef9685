//! What happens during an apply, for those who watch: the terminal, a log, a test.

use serde::Serialize;

use crate::address::Address;
use crate::error::Error;
use crate::plan::Action;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Work on a resource has begun.
    Started {
        /// Which.
        address: Address,
        /// What is done with it.
        action: Action,
        /// How long it usually takes, in seconds.
        expected: f64,
    },
    /// It exists, and has an id; it may not be ready yet.
    Exists {
        /// Which.
        address: Address,
        /// Its id.
        id: String,
    },
    /// It is being waited for.
    Waiting {
        /// Which.
        address: Address,
        /// For what: `ready`, `gone`.
        until: &'static str,
    },
    /// Work on it is done.
    Done {
        /// Which.
        address: Address,
        /// What was done with it.
        action: Action,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// Work on it failed.
    Failed {
        /// Which.
        address: Address,
        /// What went wrong.
        error: String,
    },
    /// It was not begun, because something that it depends on failed.
    Skipped {
        /// Which.
        address: Address,
        /// What failed.
        because: Address,
    },
}

/// Somebody who watches.
pub trait Observer: Send + Sync {
    /// Takes note of `event`; must not block.
    fn notice(&self, event: &Event);
}

/// Nobody watches.
impl Observer for () {
    fn notice(&self, _: &Event) {}
}

/// What an apply did.
#[derive(Debug, Default)]
pub struct Report {
    /// What was done, in the order in which it ended.
    pub done: Vec<(Address, Action)>,
    /// What failed.
    pub failed: Vec<(Address, Error)>,
    /// What was not begun because of a failure (given here), or of Ctrl-C.
    pub skipped: Vec<(Address, Option<Address>)>,
    /// Whether it was stopped by Ctrl-C.
    pub cancelled: bool,
}

impl Report {
    /// Whether everything that was planned was done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty() && !self.cancelled
    }
}
