//! Calls that a test holds, to kill, disconnect or inspect at an exact moment.

use tokio::sync::{mpsc, oneshot};

use crate::record::Call;

pub(crate) type HoldSender = mpsc::UnboundedSender<Held>;

/// The calls that a rule of [`Emulator::hold`](crate::Emulator::hold) holds, one at a time.
#[derive(Debug)]
pub struct Hold {
    receiver: mpsc::UnboundedReceiver<Held>,
}

impl Hold {
    pub(crate) fn new() -> (HoldSender, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self { receiver })
    }

    /// Waits for the next call that the rule holds; `None` when the emulated AWS has stopped.
    pub async fn next(&mut self) -> Option<Held> {
        self.receiver.recv().await
    }
}

/// A held call. Dropping this releases it.
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

    /// Releases the call.
    pub fn release(self) {
        // If the emulated AWS has stopped, nobody receives this.
        let _stopped = self.verdict.send(true);
    }

    /// Resets the call's connection.
    pub fn reset(self) {
        let _stopped = self.verdict.send(false);
    }
}
