//! A rate limit: a token bucket with a fair queue.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A token bucket that refills over time.
#[derive(Debug)]
pub(super) struct Bucket {
    burst: f64,
    /// Tokens per second.
    rate: f64,
    /// Held by the first caller in the queue until it has its token; this lock is fair.
    turn: tokio::sync::Mutex<()>,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    tokens: f64,
    /// The fraction of the rate that AWS currently allows.
    share: f64,
    /// The time for which `tokens` is valid.
    at: Instant,
    shrunk: Option<Instant>,
}

/// The minimum fraction of the rate.
const LEAST: f64 = 1.0 / 16.0;

impl Bucket {
    /// A full bucket.
    pub(super) fn new(burst: f64, rate: f64) -> Self {
        // With less than one token, no call would ever pass.
        let burst = burst.max(1.0);
        let level = Level { tokens: burst, share: 1.0, at: Instant::now(), shrunk: None };
        Self { burst, rate, turn: tokio::sync::Mutex::default(), level: Mutex::new(level) }
    }

    /// Tokens per second.
    #[cfg(test)]
    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    fn level(&self) -> MutexGuard<'_, Level> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let new = (now - level.at).as_secs_f64() * self.rate * level.share;
        level.tokens = (level.tokens + new).min(self.burst);
        level.at = now;
        level
    }

    /// Waits for a token; returns the time when it was granted. Cancelling while queued does not affect other callers.
    pub(super) async fn take(&self) -> Instant {
        let _turn = self.turn.lock().await;
        loop {
            let wait = {
                let mut level = self.level();
                if level.tokens >= 1.0 {
                    level.tokens -= 1.0;
                    return level.at;
                }
                (1.0 - level.tokens) / (self.rate * level.share)
            };
            // Rounded up, because a sleep that ends too early would have to be repeated.
            tokio::time::sleep(Duration::from_secs_f64(wait) + Duration::from_millis(1)).await;
        }
    }

    /// Records that AWS throttled a call that was granted at `granted`. Calls from before the last reduction are
    /// ignored.
    pub(super) fn shrink(&self, granted: Instant) {
        let mut level = self.level();
        if level.shrunk.is_none_or(|shrunk| granted > shrunk) {
            level.share = (level.share / 2.0).max(LEAST);
            level.tokens = level.tokens.min(0.0);
            level.shrunk = Some(level.at);
        }
    }

    /// Records that AWS accepted a call: the fraction grows by a tenth per second of use.
    pub(super) fn recover(&self) {
        let mut level = self.level();
        if level.share < 1.0 {
            level.share = (level.share + 0.1 / (self.rate * level.share).max(1.0)).min(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    async fn seconds(bucket: &Bucket, calls: usize) -> u64 {
        let begun = Instant::now();
        for _ in 0..calls {
            bucket.take().await;
        }
        begun.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn gives_a_burst_and_then_the_rate() {
        let bucket = Bucket::new(10.0, 2.0);
        assert_eq!(seconds(&bucket, 10).await, 0);
        assert_eq!(seconds(&bucket, 20).await, 10);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(seconds(&bucket, 10).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn serves_in_order_of_arrival() {
        let bucket = Bucket::new(1.0, 1.0);
        let served = Mutex::new(Vec::new());
        join_all((0..5).map(|number| {
            let (bucket, served) = (&bucket, &served);
            async move {
                bucket.take().await;
                served.lock().unwrap_or_else(PoisonError::into_inner).push(number);
            }
        }))
        .await;
        assert_eq!(served.into_inner().unwrap_or_default(), [0, 1, 2, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_takes_no_token() {
        let bucket = Bucket::new(1.0, 0.1);
        bucket.take().await;
        assert!(tokio::time::timeout(Duration::from_secs(5), bucket.take()).await.is_err());
        assert_eq!(seconds(&bucket, 1).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn shrinks_once_for_one_surge_and_recovers() {
        let bucket = Bucket::new(10.0, 10.0);
        let (first, second) = (bucket.take().await, bucket.take().await);
        tokio::time::advance(Duration::from_millis(10)).await;
        bucket.shrink(first);
        bucket.shrink(second);
        assert_eq!(seconds(&bucket, 50).await, 10, "half the rate");
        for _ in 0..100 {
            bucket.recover();
        }
        assert_eq!(seconds(&bucket, 50).await, 5, "the whole rate");
    }

    #[tokio::test(start_paused = true)]
    async fn never_stops() {
        let bucket = Bucket::new(1.0, 1.0);
        for _ in 0..20 {
            let granted = bucket.take().await;
            tokio::time::advance(Duration::from_millis(1)).await;
            bucket.shrink(granted);
        }
        assert_eq!(seconds(&bucket, 1).await, 16);
    }
}
