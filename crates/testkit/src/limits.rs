//! AWS's rate limits in the simulated cloud: token buckets (AWS-FACTS §3.1).

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use payinfra_engine::{Lane, Region, WIDTH};

use crate::faults::Operation;

/// A rate limit: a burst, and calls per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    /// Whether each operation of each kind has a bucket of its own; otherwise the whole class of the service shares one.
    pub(crate) own: bool,
    pub(crate) burst: f64,
    pub(crate) rate: f64,
}

/// The limits of a kind (AWS-FACTS §3.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) create: Limit,
    /// Updates and deletes.
    pub(crate) change: Limit,
    pub(crate) read: Limit,
    /// Whether all calls of the service that have no bucket of their own share one.
    pub(crate) one: bool,
    /// Whether one call reads many.
    pub(crate) batch: bool,
}

/// The service of a kind.
pub(crate) fn service(kind: &str) -> &str {
    kind.split_once('.').map_or(kind, |(service, _)| service)
}

/// The bucket of an operation: its name, burst and rate.
pub(crate) fn bucket(limits: &Limits, region: &Region, kind: &str, operation: Operation) -> (String, Limit) {
    let (limit, class) = match operation {
        Operation::Create => (limits.create, "change"),
        Operation::Read | Operation::Recover | Operation::Absent | Operation::Find => (limits.read, "read"),
        _ => (limits.change, "change"),
    };
    let service = service(kind);
    let name = match (limit.own, limits.one) {
        (true, _) if class == "read" => format!("{region}/{kind} read"),
        (true, _) => format!("{region}/{kind} {operation:?}"),
        (false, true) => format!("{region}/{service}"),
        (false, false) => format!("{region}/{service} {class}"),
    };
    (name, limit)
}

/// The lane of a kind: what its creates share a bucket with.
pub(crate) fn lane(limits: &Limits, region: &Region, kind: &str) -> Lane {
    let (name, limit) = bucket(limits, region, kind, Operation::Create);
    let burst = Duration::from_secs_f64(limit.burst).as_secs();
    let width = usize::try_from(burst).ok().and_then(NonZeroUsize::new).unwrap_or(WIDTH);
    Lane { name, width: width.max(WIDTH) }
}

/// Token buckets that serve in the order of arrival, by name.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    /// The time in seconds at which each would be full.
    full: HashMap<String, f64>,
}

impl Buckets {
    /// When, after `now`, the last of `tokens` is granted by the bucket `name`.
    pub(crate) fn take(&mut self, name: String, limit: Limit, tokens: usize, now: Duration) -> Duration {
        let now = now.as_secs_f64();
        let full = self.full.entry(name).or_default();
        let tokens = f64::from(u32::try_from(tokens).unwrap_or(u32::MAX));
        *full = full.max(now) + tokens / limit.rate;
        Duration::from_secs_f64((*full - limit.burst / limit.rate - now).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_burst_and_then_its_rate() {
        let (mut buckets, limit) = (Buckets::default(), Limit { own: true, burst: 4.0, rate: 2.0 });
        let mut take = |tokens, at| buckets.take("b".to_owned(), limit, tokens, Duration::from_secs(at)).as_millis();
        assert_eq!((take(4, 0), take(1, 0), take(3, 0)), (0, 500, 2_000));
        assert_eq!((take(1, 2), take(4, 100), take(2, 100)), (500, 0, 1_000));
    }
}
