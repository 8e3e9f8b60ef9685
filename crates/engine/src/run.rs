//! What an apply works with.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::watch;

use crate::cloud::Cloud;
use crate::event::Observer;
use crate::journal::Journal;
use crate::store::Lease;

/// What an apply works with.
pub struct Run<'a> {
    /// The cloud.
    pub cloud: Arc<dyn Cloud>,
    /// The current state; its writer runs as a separate task.
    pub journal: &'a Journal,
    /// The lock; nothing is changed after it is lost.
    pub lease: &'a dyn Lease,
    /// Gets the events.
    pub observer: &'a dyn Observer,
    /// Becomes true at Ctrl-C: no new task is started.
    pub cancel: watch::Receiver<bool>,
    /// Whether the state may record less than was done, as after an older one was restored. If so, every create first
    /// looks for an existing resource.
    pub uncertain: bool,
    /// The limit for calls in flight that change resources, for each [`Lane`](crate::Lane); `None` for the lane's own.
    /// Resources that are only waited for do not count.
    pub width: Option<NonZeroUsize>,
}
