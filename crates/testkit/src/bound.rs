//! How fast an apply of a shape can be at all, and how fast ten workers are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use payinfra_engine::{Expected, Result};
use serde_json::Value;

use crate::climate::{self, Climate, STORE};
use crate::faults::Operation;
use crate::limits::{Buckets, Limit, Limits, bucket, service};
use crate::models::model;
use crate::shape::Shape;

/// Whether the resources are created or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// All are created.
    Create,
    /// All are deleted.
    Destroy,
}

/// How fast an apply can be at all.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The longest chain of waits and calls: of each resource, the intent, the call, the id, AWS's time, and one read.
    pub chain: Duration,
    /// The busiest token bucket: when its first call can be made, how long it takes to drain, and what has to follow its last
    /// call.
    pub drain: Duration,
    /// The name of that bucket.
    pub bucket: String,
}

impl Bound {
    /// The larger of both.
    #[must_use]
    pub fn least(&self) -> Duration {
        self.chain.max(self.drain)
    }
}

/// The times of one resource.
struct Times {
    limits: Limits,
    answer: Duration,
    /// From the start until the call.
    lead: Duration,
    /// From the call until dependents that need it to exist may start.
    exists: Duration,
    /// From the call until all others may start.
    done: Duration,
}

/// What has to come after what, and for how long.
struct Chart {
    times: Vec<Times>,
    /// Those that wait for each, with the time from its call to theirs.
    next: Vec<Vec<(usize, Duration)>>,
    /// An order in which each comes after those that it waits for.
    order: Vec<usize>,
    direction: Direction,
}

impl Chart {
    /// The chart for the engine, or for workers that write no journal.
    fn new(shape: &Shape, climate: Climate, direction: Direction, journal: bool) -> Result<Self> {
        let mut times = Vec::new();
        let store = if journal { STORE } else { Duration::ZERO };
        for (index, piece) in shape.pieces.iter().enumerate() {
            let Some(model) = model(piece.kind) else { continue };
            let address = shape.address(index)?;
            let Expected { create, delete } = climate.lasts(&address, model.kind.expected(&Value::Null));
            let answer = climate::answer(service(piece.kind));
            let shown = climate.invisible(&address).max(answer + store);
            times.push(match direction {
                Direction::Create => Times {
                    limits: model.limits,
                    answer,
                    lead: store,
                    exists: shown + answer,
                    done: shown.max(create) + answer,
                },
                Direction::Destroy => Times {
                    limits: model.limits,
                    answer,
                    // The read before a delete, which shows whose it is.
                    lead: store.max(answer),
                    exists: Duration::ZERO,
                    done: delete.max(answer) + answer,
                },
            });
        }
        let mut next = vec![Vec::new(); times.len()];
        for (index, piece) in shape.pieces.iter().enumerate() {
            for (on, early) in
                piece.parents.iter().map(|on| (*on, false)).chain(piece.early.iter().map(|on| (*on, true)))
            {
                let (one, other) = (&times[on], &times[index]);
                match direction {
                    Direction::Create => {
                        let until = if early && journal { one.exists } else { one.done };
                        let unknown = climate::unknown(shape.pieces[on].kind, piece.kind);
                        let known = (unknown + one.answer / 2).saturating_sub(other.answer / 2);
                        next[on].push((index, (until + other.lead).max(known)));
                    }
                    Direction::Destroy => next[index].push((on, other.done + one.lead)),
                }
            }
        }
        let mut order: Vec<usize> = (0..times.len()).collect();
        if direction == Direction::Destroy {
            order.reverse();
        }
        Ok(Self { times, next, order, direction })
    }

    /// The earliest time of each call.
    fn heads(&self) -> Vec<Duration> {
        let mut heads: Vec<Duration> = self.times.iter().map(|times| times.lead).collect();
        for index in &self.order {
            for (next, after) in &self.next[*index] {
                heads[*next] = heads[*next].max(heads[*index] + *after);
            }
        }
        heads
    }

    /// The time from each call until the end.
    fn tails(&self) -> Vec<Duration> {
        let mut tails: Vec<Duration> = self.times.iter().map(|times| times.done).collect();
        for index in self.order.iter().rev() {
            for (next, after) in &self.next[*index] {
                tails[*index] = tails[*index].max(*after + tails[*next]);
            }
        }
        tails
    }

    fn operation(&self) -> Operation {
        match self.direction {
            Direction::Create => Operation::Create,
            Direction::Destroy => Operation::Delete,
        }
    }
}

/// The calls of a bucket: the earliest time of each, and the time from it until the end.
type Calls = Vec<(Duration, Duration)>;

/// How fast the engine can create or delete `shape` at all.
///
/// # Errors
/// If a resource has no valid address, which would be a bug.
pub fn bound(shape: &Shape, climate: Climate, direction: Direction) -> Result<Bound> {
    let chart = Chart::new(shape, climate, direction, true)?;
    let (heads, tails) = (chart.heads(), chart.tails());
    // The state is loaded, and its first entry and checkpoint are written before the first call; the last entry follows.
    let around = STORE * 4;
    let chain = heads.iter().zip(&tails).map(|(head, tail)| *head + *tail).max().unwrap_or_default() + around;
    let mut buckets = BTreeMap::<String, (Limit, Calls)>::new();
    for (index, piece) in shape.pieces.iter().enumerate() {
        let Times { limits, answer, done, lead, .. } = &chart.times[index];
        let mut call = |operation, head, tail| {
            let (name, limit) = bucket(limits, &piece.region, piece.kind, operation);
            buckets.entry(name).or_insert_with(|| (limit, Vec::new())).1.push((head, tail));
        };
        call(chart.operation(), heads[index], tails[index]);
        if !limits.batch {
            call(Operation::Read, (heads[index] + *done).saturating_sub(*answer), *answer);
            if direction == Direction::Destroy {
                call(Operation::Read, heads[index].saturating_sub(*lead), *answer + tails[index]);
            }
        }
    }
    let drained = buckets.into_iter().map(|(name, (limit, calls))| (drained(limit, &calls), name));
    let (drain, bucket) = drained.max().unwrap_or_default();
    let drain = if drain.is_zero() { drain } else { drain + around };
    Ok(Bound { chain, drain, bucket })
}

/// The largest bound of the calls that can begin only after some time, and are followed by at least some time.
fn drained(limit: Limit, calls: &Calls) -> Duration {
    let quantiles = |mut values: Vec<Duration>| {
        values.sort();
        let step = (values.len() / 32).max(1);
        let mut chosen: Vec<Duration> = values.iter().step_by(step).copied().collect();
        chosen.dedup();
        chosen
    };
    let heads = quantiles(calls.iter().map(|(head, _)| *head).collect());
    let tails = quantiles(calls.iter().map(|(_, tail)| *tail).collect());
    let mut most = Duration::ZERO;
    for head in &heads {
        for tail in &tails {
            let count = calls.iter().filter(|(h, t)| h >= head && t >= tail).count();
            let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            if count > limit.burst {
                let drain = Duration::from_secs_f64((count - limit.burst) / limit.rate);
                most = most.max(*head + drain + *tail);
            }
        }
    }
    most
}

/// How long ten workers take, each of which works on one resource from its start until it is ready, as Terraform's do. They
/// know when it is ready, write no state, and wait for AWS's limits as the engine does.
///
/// # Errors
/// If a resource has no valid address, which would be a bug.
pub fn ten_workers(shape: &Shape, climate: Climate, direction: Direction) -> Result<Duration> {
    let chart = Chart::new(shape, climate, direction, false)?;
    let mut waits = vec![0_usize; chart.times.len()];
    chart.next.iter().flatten().for_each(|(next, _)| waits[*next] += 1);
    let mut ready: BinaryHeap<Reverse<usize>> =
        (0..waits.len()).filter(|index| waits[*index] == 0).map(Reverse).collect();
    let (mut buckets, mut busy, mut now) = (Buckets::default(), BinaryHeap::new(), Duration::ZERO);
    let mut earliest = vec![Duration::ZERO; chart.times.len()];
    loop {
        while busy.len() < 10
            && let Some(Reverse(index)) = ready.pop()
        {
            let (times, piece) = (&chart.times[index], &shape.pieces[index]);
            let (name, limit) = bucket(&times.limits, &piece.region, piece.kind, chart.operation());
            let call = (now + times.lead + buckets.take(name, limit, 1, now)).max(earliest[index]);
            for (next, after) in &chart.next[index] {
                earliest[*next] = earliest[*next].max(call + *after);
            }
            busy.push(Reverse((call + times.done, index)));
        }
        let Some(Reverse((then, index))) = busy.pop() else { return Ok(now) };
        now = then;
        for (next, _) in &chart.next[index] {
            waits[*next] -= 1;
            if waits[*next] == 0 {
                ready.push(Reverse(*next));
            }
        }
    }
}
