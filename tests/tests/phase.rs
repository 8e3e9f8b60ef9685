//! Phases inside one workspace (M-03): forwards and backwards, without a moment in which traffic has no target.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use payinfra_localstack::Call;
use payinfra_tests::{Bench, example};

const LIVE: [&str; 2] = ["--workspace", "live"];

/// The example, whose workspace `live` may lose its data.
async fn bench() -> Bench {
    let free = "[workspaces.live]\nprotect = false\nfinal_snapshot = false\n";
    Bench::with(&example().replace("[workspaces.live]\n", free)).await
}

fn phase<'a>(to: &'a str) -> Vec<&'a str> {
    [&["phase", "--to", to, "--yes"][..], &LIVE].concat()
}

/// The index of the last successful call of `action` in `region`.
fn last(calls: &[Call], action: &str, region: &str) -> usize {
    let found = calls.iter().rposition(|call| (&*call.action, &*call.region) == (action, region));
    found.unwrap_or_else(|| panic!("no {action} in {region}"))
}

/// M-03: from `legacy` to `production` and back, in one workspace. The way back deletes only what the way there created,
/// and the configuration follows.
#[tokio::test(flavor = "multi_thread")]
async fn m03_a_workspace_moves_through_all_phases_and_back() {
    let bench = bench().await;
    bench.run(&[&["apply", "--yes"][..], &LIVE].concat()).expect(0);
    let legacy = bench.inventory().await;
    let written = bench.configuration();
    let shown = bench.run(&[&["phase"][..], &LIVE].concat()).expect(0).stdout;
    assert!(shown.contains("● legacy") && shown.contains("○ migration") && shown.contains("○ production"), "{shown}");

    let planned = bench.run(&[&["phase", "--to", "migration", "--plan"][..], &LIVE].concat()).expect(0).stdout;
    assert!(planned.contains("us-east-2/ecs.service/service"), "{planned}");
    assert_eq!(bench.inventory().await, legacy, "a plan changes nothing");
    assert_eq!(bench.configuration(), written);

    for to in ["migration", "production", "migration"] {
        bench.run(&phase(to)).expect(0);
        let moved = written.replace(
            "[workspaces.live]\nprotect = false\nfinal_snapshot = false\nphase = \"legacy\"",
            &format!("[workspaces.live]\nprotect = false\nfinal_snapshot = false\nphase = \"{to}\""),
        );
        assert_eq!(bench.configuration(), moved, "only the phase is written");
        bench.run(&[&["plan", "--exit-code"][..], &LIVE].concat()).expect(0);
    }

    // The data that only the second region has is listed, and has to be accepted.
    let refused = bench.run(&phase("legacy")).expect(1).stderr;
    assert!(refused.contains("us-east-2/s3.bucket/audit-trail"), "{refused}");
    bench.aws.clear_calls();
    bench.run(&[phase("legacy"), vec!["--accept-loss"]].concat()).expect(0);
    let calls = bench.aws.calls();
    // The weight of the first record, then the second record, and only then what served it.
    let records: Vec<usize> =
        (0..calls.len()).filter(|index| calls[*index].action == "ChangeResourceRecordSets").collect();
    assert!(records.len() >= 2, "{records:?}");
    for (action, region) in
        [("DeleteService", "us-east-2"), ("DeleteLoadBalancer", "us-east-2"), ("DeleteHealthCheck", "us-east-1")]
    {
        assert!(*records.last().unwrap() < last(&calls, action, region), "{action}");
    }
    bench.run(&[&["plan", "--exit-code"][..], &LIVE].concat()).expect(0);
    assert_eq!(bench.configuration(), written);
    let gone =
        legacy.beyond(&bench.inventory().await).into_iter().filter(|line| !line.contains(" ecs.task-definition "));
    assert_eq!(gone.collect::<Vec<_>>(), Vec::<&str>::new());
}

/// M-03: mistakes are found before anything changes.
#[tokio::test(flavor = "multi_thread")]
async fn m03_an_impossible_move_changes_nothing() {
    let bench = bench().await;
    let refused = |args: &[&str], told: &[&str]| {
        let outcome = bench.run(&[args, &LIVE].concat()).expect(1);
        for told in told {
            assert!(outcome.stderr.contains(told), "{told}: {}", outcome.stderr);
        }
    };
    refused(&["phase", "--to", "future", "--yes"], &["no phase `future`", "legacy, migration, production"]);
    refused(&["phase", "--to", "migration", "--yes"], &["nothing is deployed", "payinfra apply"]);
    let file = bench.file("payinfra.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    // Root may write to any file.
    if fs::OpenOptions::new().append(true).open(&file).is_err() {
        refused(&["phase", "--to", "migration", "--yes"], &["cannot be written", "--no-write"]);
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let weights = "phase = \"legacy\"\nenvironment = \"live\"\nweights = { us-east-1 = 90, us-east-2 = 10 }";
    bench.configure(
        &bench
            .configuration()
            .replace("phase = \"legacy\"\nenvironment = \"live\"", &weights.replace("legacy", "migration")),
    );
    refused(&["phase", "--to", "legacy", "--yes"], &["us-east-2 has a weight", "remove `weights`"]);
    bench.configure("stack = \"graph\"\n[workspaces.live]\nenvironment = \"live\"\nfile = \"graph.json\"\n");
    refused(&["phase", "--to", "migration"], &["graph"]);
    assert_eq!(bench.mutations(), []);
}
