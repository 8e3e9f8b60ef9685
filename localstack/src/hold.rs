//! Calls that wait for a test's word: the exact moment at which to kill, cut or look.

use tokio::sync::{mpsc, oneshot};

use crate::record::Call;

pub(crate) type HoldSender = mpsc::UnboundedSender<Held>;

/// The calls that a rule of [`Emulator::hold`](crate::Emulator::hold) stops, one after the other.
#[derive(Debug)]
pub struct Hold {
    receiver: mpsc::UnboundedReceiver<Held>,
}

impl Hold {
    pub(crate) fn new() -> (HoldSender, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self { receiver })
    }

    /// Waits for the next call that the rule stops; `None` when the emulated AWS has been stopped.
    pub async fn next(&mut self) -> Option<Held> {
        self.receiver.recv().await
    }
}

/// A call that waits. Dropping this lets it pass.
#[derive(Debug)]
pub struct Held {
    /// The call.
    pub call: Call,
    verdict: oneshot::Sender<bool>,
}

impl Held {
    pub(crate) fn new(call: Call) -> (Self, oneshot::Receiver<bool>) {
        let (verdict, receiver) = oneshot::channel();
        (Self { call, verdict }, receiver)
    }

    /// Lets the call pass.
    pub fn release(self) {
        // Nobody waits if the emulated AWS has been stopped.
        let _stopped = self.verdict.send(true);
    }

    /// Resets the call's connection.
    pub fn reset(self) {
        let _stopped = self.verdict.send(false);
    }
}
