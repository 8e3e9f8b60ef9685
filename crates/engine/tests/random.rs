//! Random graphs, random edits of them, random faults: the result converges, and nothing is lost.
//!
//! `PAYINFRA_SEED=17 cargo test -p payinfra-engine --test random` runs one seed alone, `PAYINFRA_SEEDS=100000` more.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use payinfra_engine::{Error, Result};
use payinfra_testkit::{Bench, Faults, Lags, history};

const SEEDS: u64 = 1000;

/// One seed: a graph, some edits, a destroy, in a world with faults, compared with a world without.
async fn live(seed: u64) -> Result<()> {
    let (mut sketch, edits) = history(seed, 7, 3)?;
    let (bench, model) = (Bench::new(), Bench::new());
    let lag = |factor: u64| Duration::from_millis(seed.wrapping_mul(factor) % 2400);
    if seed.is_multiple_of(3) {
        bench.world.set_lags(Lags { visible: lag(7), tags: lag(11), stale: lag(13) });
    }
    let mut edits = edits.iter();
    for round in 0_u64.. {
        let graph = sketch.graph()?;
        // Some edits come after the last apply was killed in the middle.
        let abandoned = seed.is_multiple_of(2) && round.is_multiple_of(2);
        bench.world.set_faults(Faults::mix(seed ^ (round << 32), 60, 15, 6));
        if abandoned {
            bench.apply(&graph).await;
        } else {
            bench.converge(&graph).await?;
            model.converge(&graph).await?;
            bench.verify(&graph, &model).await.map_err(|error| Error::failed(format!("round {round}: {error}")))?;
        }
        match edits.next() {
            Some(edit) => sketch = sketch.edited(edit),
            None => break,
        }
    }
    bench.world.set_faults(Faults::mix(!seed, 60, 15, 6));
    bench.converge(&Bench::nothing()).await?;
    model.converge(&Bench::nothing()).await?;
    bench.verify(&Bench::nothing(), &model).await.map_err(|error| Error::failed(format!("destroyed: {error}")))
}

#[test]
#[expect(clippy::print_stderr, clippy::expect_used, reason = "a failing seed is printed; a test")]
fn converges_whatever_goes_wrong() {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match given("PAYINFRA_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..given("PAYINFRA_SEEDS").unwrap_or(SEEDS),
    };
    let begun = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(BTreeSet::new());
    let work = || {
        while let Some(seed) = Some(next.fetch_add(1, Ordering::SeqCst)).filter(|seed| *seed < seeds.end) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            if let Err(error) = runtime.expect("a runtime").block_on(live(seed)) {
                eprintln!("PAYINFRA_SEED={seed}: {error}\n");
                failed.lock().expect("no panic").insert(seed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    eprintln!("{} seeds in {:?}", seeds.end - seeds.start, begun.elapsed());
    let failed = failed.into_inner().expect("no panic");
    assert!(failed.is_empty(), "these seeds fail: {failed:?}");
}
