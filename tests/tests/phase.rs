//! Phases inside one workspace (M-03): forwards and backwards, without a moment in which traffic has no target.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use payinfra_localstack::Call;
use payinfra_tests::{Bench, example, runbook};

const LIVE: [&str; 2] = ["--workspace", "live"];

/// The example, whose workspace `live` may lose its data.
async fn bench() -> Bench {
    let free = "[workspaces.live]\nprotect = false\nfinal_snapshot = false\n";
    Bench::with(&example().replace("[workspaces.live]\n", free)).await
}

fn phase(to: &str) -> Vec<&str> {
    [&["phase", "--to", to, "--yes"][..], &LIVE].concat()
}

/// The index of the last successful call of `action` in `region`.
fn last(calls: &[Call], action: &str, region: &str) -> usize {
    let found = calls.iter().rposition(|call| (&*call.action, &*call.region) == (action, region));
    found.unwrap_or_else(|| panic!("no {action} in {region}"))
}

/// M-03: the runbook's commands move one workspace from `legacy` to `production` and back. The way back deletes only what
/// the way there created, the configuration follows, and no change leaves traffic without a healthy target.
#[tokio::test(flavor = "multi_thread")]
async fn m03_the_runbook_moves_a_workspace_through_all_phases_and_back() {
    let bench = bench().await;
    let line = |phase: &str| format!("final_snapshot = false\nphase = \"{phase}\"");
    let written = bench.configuration();
    let mut first = None;
    let mut visited = Vec::new();
    for command in runbook(&["apply", "phase"]) {
        let to = command.iter().position(|word| *word == "--to").map(|index| command[index + 1]);
        let Some(to) = to else {
            bench.run(&bench.consenting(&command)).expect(0);
            first = Some(bench.inventory().await);
            bench.follow(&[]).await;
            let shown = bench.run(&[&["phase"][..], &LIVE].concat()).expect(0).stdout;
            assert!(shown.contains("● legacy") && shown.contains("○ migration"), "{shown}");
            continue;
        };
        if command.contains(&"--plan") {
            let (before, configuration) = (bench.inventory().await, bench.configuration());
            let planned = bench.run(&command).expect(0).stdout;
            assert!(planned.contains("us-east-2/ecs.service/service"), "{planned}");
            assert_eq!(bench.inventory().await, before, "a plan changes nothing");
            assert_eq!(bench.configuration(), configuration);
            continue;
        }
        if command.contains(&"--accept-loss") {
            // The data that only the second region has is listed, and has to be accepted.
            let refused = bench.run(&phase(to)).expect(1).stderr;
            assert!(refused.contains("us-east-2/s3.bucket/audit-trail"), "{refused}");
        }
        bench.aws.clear_calls();
        bench.run(&bench.consenting(&command)).expect(0);
        assert_eq!(bench.configuration(), written.replace(&line("legacy"), &line(to)), "only the phase is written");
        bench.run(&[&["plan", "--exit-code"][..], &LIVE].concat()).expect(0);
        visited.push(to);
    }
    assert_eq!(visited, ["migration", "production", "migration", "legacy"]);
    let calls = bench.aws.calls();
    // The second region's record is deleted before what served it: all of the region, and the ways to it.
    let records = last(&calls, "ChangeResourceRecordSets", "us-east-1");
    for (action, region) in [("DeleteService", "us-east-2"), ("DeleteHealthCheck", "us-east-1")] {
        assert!(records < last(&calls, action, region), "{action}");
    }
    let takes = |call: &&Call| {
        let verbs = ["Delete", "Deregister", "Disassociate", "Release", "Remove", "Revoke"];
        call.region == "us-east-2" && verbs.iter().any(|verb| call.action.starts_with(verb))
    };
    let early: Vec<_> = calls[..records].iter().filter(takes).map(|call| &call.action).collect();
    assert_eq!(early, Vec::<&String>::new(), "before the traffic has left");
    assert_eq!(bench.violations().await, Vec::<String>::new(), "every request ends at a healthy target");
    let (first, now) = (first.unwrap(), bench.inventory().await);
    let gone = first.beyond(&now).into_iter().filter(|line| !line.contains(" ecs.task-definition "));
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
