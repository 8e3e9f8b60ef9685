//! Tasks that continue when the client disconnects.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The maximum number of payments in progress.
const AT_ONCE: u32 = 256;

/// Tasks that are independent of connections, up to a maximum number.
#[derive(Clone, Debug)]
pub(crate) struct Works(Arc<Semaphore>);

impl Works {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE as usize)))
    }

    /// Starts `work`, if the maximum is not reached. Dropping the result does not stop it.
    pub(crate) fn start<F>(&self, work: F) -> Option<JoinHandle<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let place = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(tokio::spawn(async move {
            let done = work.await;
            drop(place);
            done
        }))
    }

    /// Waits, at most for `limit`, until all tasks have ended; returns whether they have.
    pub(crate) async fn finished(&self, limit: Duration) -> bool {
        timeout(limit, self.0.acquire_many(AT_ONCE)).await.is_ok()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_goes_on_without_its_client_and_is_waited_for() {
        let works = Works::new();
        let (go, gone) = oneshot::channel::<()>();
        let (done, was_done) = oneshot::channel();
        drop(works.start(async move {
            gone.await.unwrap();
            done.send(7).unwrap();
        }));
        assert!(!works.finished(Duration::from_secs(5)).await, "it is not done yet");
        go.send(()).unwrap();
        assert!(works.finished(Duration::from_secs(5)).await);
        assert_eq!(was_done.await, Ok(7));
    }

    #[tokio::test]
    async fn what_has_no_place_is_not_started() {
        let works = Works::new();
        let busy: Vec<_> = (0..AT_ONCE).map(|_| works.start(std::future::pending::<()>()).unwrap()).collect();
        assert!(works.start(async {}).is_none());
        busy[0].abort();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(works.start(async {}).is_some());
    }
}
