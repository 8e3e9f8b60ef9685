//! A lost state is not a first apply: there is always a way back, and no orphan and no second platform on it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use payinfra_tests::{Bench, Outcome};

const BUCKET: &str = "payinfra-state-123456789012";
const KEY: &str = "migration/legacy/state.json";
const APPLY: [&str; 4] = ["apply", "--workspace", "legacy", "--yes"];
const DESTROY: [&str; 5] = ["destroy", "--workspace", "legacy", "--yes", "--accept-loss"];
const PLAN: [&str; 4] = ["plan", "--workspace", "legacy", "--exit-code"];
const DRIFT: [&str; 3] = ["drift", "--workspace", "legacy"];

async fn delete_state(bench: &Bench) {
    bench.s3("us-east-1").delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
}

/// The first command between backquotes in the refusal that begins with `begin`, run.
fn way_back(bench: &Bench, refused: &Outcome, begin: &str) -> Outcome {
    let command = refused.stderr.split('`').find(|part| part.starts_with(begin));
    let command = command.unwrap_or_else(|| panic!("no `{begin}` in {}", refused.stderr));
    let args: Vec<_> = command.split(' ').skip(1).chain(["--workspace", "legacy", "--yes"]).collect();
    bench.run(&args)
}

/// Every command stops and names the ways; each of them leads back to the same resources.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_state_comes_back_by_version_by_history_and_by_lineage() {
    let bench = Bench::new().await;
    let empty = bench.inventory().await;
    bench.run(&APPLY).ok();
    let (account, sound) = (bench.inventory().await, bench.state("legacy"));
    for begin in ["payinfra state restore --version", "payinfra state restore --history", "payinfra adopt --lineage"] {
        delete_state(&bench).await;
        bench.aws.clear_calls();
        let mut refused = None;
        for args in [&PLAN[..], &APPLY, &DESTROY, &DRIFT] {
            refused = Some(bench.run(args).expect(1));
        }
        assert!(bench.mutations().is_empty(), "{:#?}", bench.mutations());
        way_back(&bench, &refused.unwrap(), begin).ok();
        let restored = bench.state("legacy");
        assert_eq!(restored["lineage"], sound["lineage"], "{begin}");
        for (address, record) in sound["resources"].as_object().unwrap() {
            assert_eq!(restored["resources"][address]["id"], record["id"], "{begin}: {address}");
        }
        bench.run(&APPLY).ok();
        assert_eq!(bench.inventory().await, account, "{begin}: nothing twice");
    }
    bench.run(&DESTROY).ok();
    assert_eq!(bench.inventory().await, empty);
    assert!(bench.run(&DRIFT).expect(1).stderr.contains("is destroyed"));
}

/// A state from before a run knows what the history knows, and creates nothing twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_rolled_back_takes_up_what_the_history_knows() {
    let bench = Bench::new().await;
    let empty = bench.inventory().await;
    assert!(bench.run(&DRIFT).expect(1).stderr.contains("has not been applied"));
    bench.configure(&bench.configuration().replace("nat = \"per-zone\"", "nat = \"single\""));
    bench.run(&APPLY).ok();
    let before = bench.state("legacy");
    bench.configure(&bench.configuration().replace("nat = \"single\"", "nat = \"per-zone\""));
    bench.run(&APPLY).ok();
    let account = bench.inventory().await;
    let s3 = bench.s3("us-east-1");
    s3.put_object().bucket(BUCKET).key(KEY).body(before.to_string().into_bytes().into()).send().await.unwrap();
    let told = bench.run(&APPLY).ok();
    assert!(told.stderr.contains("older than the history"), "{}", told.stderr);
    assert_eq!(bench.inventory().await, account);
    bench.run(&DESTROY).ok();
    assert_eq!(bench.inventory().await, empty);
}
