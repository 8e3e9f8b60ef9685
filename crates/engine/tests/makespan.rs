//! The duration of an apply: the critical path, and little more.

#![expect(clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use payinfra_engine::{Cloud, Graph, Ref, Region, Report, Result, State, Tags, longest};
use payinfra_testkit::{Bench, End, FakeCloud, Operation, Token, history};

/// Calls, writes of the state and polling intervals per link of the critical path.
const LINK: Duration = Duration::from_millis(700);

async fn done(bench: &Bench, graph: &Graph) -> Report {
    match bench.apply(graph).await {
        End::Done(_, report) if report.is_complete() => report,
        end => panic!("{end:?}"),
    }
}

/// The critical path of an apply of `graph`, and the duration of the apply.
async fn measured(bench: &Bench, graph: &Graph) -> Result<(Duration, Duration)> {
    let plan = bench.plan(graph).await?;
    let cloud: Arc<dyn Cloud> = Arc::new(FakeCloud::new(&bench.world));
    let state = bench.store.state()?.unwrap_or_else(|| State::new("stack", "test", "account"));
    let chain = longest(&cloud, &plan, &state)?;
    let begun = bench.world.elapsed();
    done(bench, graph).await;
    Ok((chain, bench.world.elapsed().saturating_sub(begun)))
}

/// For random graphs, apply and destroy take at most 5 % longer than the critical path, plus the calls.
#[test]
fn random_graphs_take_as_long_as_their_longest_chain() -> Result<()> {
    for seed in 0..40 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let (sketch, _) = history(seed, 40, 0)?;
            let (graph, bench) = (sketch.graph()?, Bench::new());
            for graph in [&graph, &Bench::nothing()] {
                let (chain, took) = measured(&bench, graph).await?;
                assert!(took >= chain, "seed {seed}: {took:?} for a chain of {chain:?}");
                // A critical path has at most one link per five seconds, and a few short ones.
                let links = u32::try_from(chain.as_secs() / 5).expect("a number") + 12;
                assert!(took <= chain + chain / 20 + LINK * links, "seed {seed}: {took:?} for a chain of {chain:?}");
            }
            Ok::<_, payinfra_engine::Error>(())
        })?;
    }
    Ok(())
}

fn chain(length: usize, width: usize) -> Result<Graph> {
    let mut graph = Bench::nothing();
    for column in 0..width {
        let mut parents: BTreeSet<Ref<String>> = BTreeSet::new();
        for row in 0..length {
            let args = Token { size: 1, zone: "a".into(), days: None, parents, tags: Tags::new() };
            let node = graph.add(&Region::new("east"), &format!("n{column}-{row}"), args)?;
            parents = BTreeSet::from([node.id.into()]);
        }
    }
    Ok(graph)
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_long_waits_costs_hardly_more_than_the_waits() -> Result<()> {
    let (bench, graph) = (Bench::new(), chain(10, 8)?);
    let (chain, took) = measured(&bench, &graph).await?;
    assert_eq!(chain, Duration::from_mins(10));
    assert!(took < chain + chain / 20, "{took:?}");
    // Eight wait at a time: separately, each of the eighty would read sixty times.
    let reads = bench.world.count(Operation::Read, "fake.token");
    assert!(reads < 10 * 90, "{reads} reads");
    let (chain, took) = measured(&bench, &Bench::nothing()).await?;
    assert_eq!(chain, Duration::from_secs(200));
    assert!(took < chain + chain / 15, "{took:?}");
    Ok(())
}
