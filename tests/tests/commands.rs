//! Every command that changes AWS holds the lock, passes the guard, and respects protection and ownership.
//!
//! [`ROWS`] classifies every command. The tests verify it, and `docs/commands.md` is generated from it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs};

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch};
use payinfra_localstack::{Call, Match, When};
use payinfra_tests::{Bench, Outcome, caught};
use serde_json::json;

/// What a command changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changes {
    Nothing,
    Resources,
    State,
    Lock,
    Home,
}

struct Row {
    command: &'static str,
    changes: Changes,
    lock: &'static str,
    guard: &'static str,
    protection: &'static str,
    ownership: &'static str,
}

const fn looks(command: &'static str) -> Row {
    Row { command, changes: Changes::Nothing, lock: "–", guard: "–", protection: "–", ownership: "–" }
}

const HELD: &str = "acquired before the first change, held to the end";
const EVERY: &str = "checked before every mutating request";
const SAVE: &str = "checked before the state is written; the write is conditional on the version it replaces";
const ONLY_STATE: &str = "changes nothing in AWS";

/// Every command, sorted.
const ROWS: &[Row] = &[
    Row {
        command: "adopt",
        changes: Changes::State,
        lock: HELD,
        guard: SAVE,
        protection: "undeclared resources that keep data are recorded as protected",
        ownership: "only resources with the given lineage; asks for confirmation",
    },
    Row {
        command: "apply",
        changes: Changes::Resources,
        lock: HELD,
        guard: EVERY,
        protection: "refuses to delete protected resources; lists data loss and asks for the workspace's name, or \
                     requires `--accept-loss`",
        ownership: "lineage checked before every update and delete; existing resources are never taken over without \
                    an import",
    },
    Row {
        command: "bootstrap",
        changes: Changes::Home,
        lock: "none: it creates the lock table; every step is idempotent",
        guard: "none, for the same reason",
        protection: "deletes nothing",
        ownership: "changes only resources with its own tag; with `--adopt`, also existing ones",
    },
    looks("completions"),
    Row {
        command: "deploy",
        changes: Changes::Resources,
        lock: "each change acquires it before its first request and holds it to its end; the waits between them do not hold it",
        guard: EVERY,
        protection: "changes weights of listeners and aliases, task definitions, numbers of tasks, and functions; deletes only \
                     task definitions that no service uses, and versions that no alias uses",
        ownership: "only resources in the state; a deployment that another run has taken over stops",
    },
    Row {
        command: "destroy",
        changes: Changes::Resources,
        lock: HELD,
        guard: EVERY,
        protection: "refuses to delete protected resources; lists data loss and asks for the workspace's name, or \
                     requires `--accept-loss`",
        ownership: "lineage checked before every delete",
    },
    looks("drift"),
    Row {
        command: "failover",
        changes: Changes::Resources,
        lock: "acquired before the writers change, and again before the traffic does; an unplanned one continues without the \
               lock if the region with the state does not respond",
        guard: EVERY,
        protection: "changes the writers of global databases and the weights of records, and deletes nothing; an unplanned \
                     one says how much data may be lost",
        ownership: "only declared global databases and records in the state; a failover that another run has taken over \
                    stops",
    },
    looks("graph"),
    looks("history diff"),
    looks("history list"),
    looks("history show"),
    Row {
        command: "import",
        changes: Changes::State,
        lock: HELD,
        guard: SAVE,
        protection: ONLY_STATE,
        ownership: "refuses resources with the owner tags of another deployment",
    },
    looks("init"),
    looks("new"),
    looks("output"),
    looks("permissions"),
    Row {
        command: "phase",
        changes: Changes::Resources,
        lock: "with `--to`, acquired before the first change, held to the end",
        guard: EVERY,
        protection: "as for apply",
        ownership: "as for apply",
    },
    looks("plan"),
    Row {
        command: "rollback",
        changes: Changes::Resources,
        lock: HELD,
        guard: EVERY,
        protection: "refuses to delete what the configuration protects; lists data loss and asks for the workspace's name, \
                     or requires `--accept-loss`",
        ownership: "only to runs of the lineage of the state; lineage checked before every update and delete",
    },
    looks("schema"),
    looks("state history"),
    looks("state list"),
    Row {
        command: "state mv",
        changes: Changes::State,
        lock: HELD,
        guard: SAVE,
        protection: ONLY_STATE,
        ownership: "only records of the state",
    },
    looks("state pull"),
    Row {
        command: "state restore",
        changes: Changes::State,
        lock: HELD,
        guard: SAVE,
        protection: ONLY_STATE,
        ownership: "only a state of this stack, workspace and account; asks for confirmation",
    },
    Row {
        command: "state rm",
        changes: Changes::State,
        lock: HELD,
        guard: SAVE,
        protection: "changes nothing in AWS; `sweep --delete` still refuses protected resources afterwards",
        ownership: "only records of the state",
    },
    looks("state show"),
    Row {
        command: "sweep",
        changes: Changes::Resources,
        lock: "with `--delete`, acquired before the first change, held to the end",
        guard: EVERY,
        protection: "refuses to delete protected resources; lists data loss and asks for the workspace's name, or \
                     requires `--accept-loss`",
        ownership: "only resources with the lineage of the state; checked again before every delete",
    },
    Row {
        command: "traffic",
        changes: Changes::Resources,
        lock: "each step acquires it before its first change and holds it to its end; the waits between steps do not hold it",
        guard: EVERY,
        protection: "updates the weights of records, and deletes nothing",
        ownership: "only records in the state; a shift that another run has taken over stops",
    },
    Row {
        command: "unlock",
        changes: Changes::Lock,
        lock: "shows the holder, asks for confirmation, and releases its lock",
        guard: "the guard of a holder that is still alive rejects its further changes",
        protection: ONLY_STATE,
        ownership: "only the lock of the holder that was shown, by its nonce",
    },
    looks("validate"),
    looks("workspace list"),
    looks("workspace show"),
];

const HEAD: &str = "# What each command changes, and its safeguards

The safeguards of each command: the lock of the workspace, the guard that checks whether the lock is still held, the
protection of resources that keep data, and the check of ownership before a change. `–` marks a command that changes
neither resources, nor the state, nor the lock.

Until a command holds the lock, the client rejects every mutating request. The only exception is `PutMetricData`: an apply
publishes metrics even if there are no changes.

Generated and verified by `UPDATE_DOCS=1 cargo test --workspace --test commands`; do not edit.

| command | lock | guard | protection | ownership |
| --- | --- | --- | --- | --- |
";

const WORKSPACE: [&str; 2] = ["--workspace", "legacy"];
const BUCKET: &str = "payinfra-state-123456789012";
const KEY: &str = "migration/legacy/state.json";
const TOPIC: &str = "us-east-1/sns.topic/alarms";
const TABLE: &str = "us-east-1/dynamodb.table/payments";

/// A new command fails here until it is classified. `UPDATE_DOCS=1` writes the table.
#[test]
fn every_command_is_classified_and_listed() {
    let classified: Vec<_> = ROWS.iter().map(|row| row.command).collect();
    let mut commands = payinfra::commands();
    commands.sort();
    assert_eq!(commands, classified, "classify the command in ROWS");
    let mut text = HEAD.to_owned();
    for Row { command, lock, guard, protection, ownership, .. } in ROWS {
        text.extend(["| `", command, "` | ", lock, " | ", guard, " | ", protection, " | ", ownership, " |\n"]);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &text).unwrap();
    }
    let current = fs::read_to_string(&file).unwrap_or_default();
    assert!(current == text, "out of date: run `UPDATE_DOCS=1 cargo test --workspace --test commands`");
}

/// The commands that change `what`.
fn changing(what: &[Changes]) -> Vec<&'static str> {
    ROWS.iter().filter(|row| what.contains(&row.changes)).map(|row| row.command).collect()
}

/// In an order in which each finds what it needs.
const ORDER: [&str; 13] = [
    "apply",
    "rollback",
    "traffic",
    "deploy",
    "phase",
    "failover",
    "state rm",
    "import",
    "state mv",
    "state restore",
    "adopt",
    "sweep",
    "destroy",
];
const RETENTION: &str = "flow_log_retention_days = 90";

/// Prepares what `command` needs and gives its line.
async fn prepared(bench: &Bench, command: &str) -> Vec<String> {
    let topic = || format!("arn:aws:sns:us-east-1:123456789012:{}", "payment-alarms-legacy-demo1");
    let words: Vec<String> = match command {
        "rollback" => {
            let configuration = bench.configuration();
            bench.configure(&configuration.replace(RETENTION, "flow_log_retention_days = 30"));
            bench.run(&["apply", "--yes", "-w", "legacy"]).ok();
            bench.configure(&configuration);
            vec!["--yes".to_owned()]
        }
        "state rm" => vec![TOPIC.to_owned()],
        "import" => {
            if bench.state("legacy")["resources"].get(TOPIC).is_some() {
                bench.run(&["state", "rm", TOPIC, "-w", "legacy"]).ok();
            }
            vec![TOPIC.to_owned(), topic()]
        }
        "state mv" => vec!["us-east-1/ec2.vpc/main".to_owned(), "us-east-1/ec2.vpc/other".to_owned()],
        "state restore" => {
            let versions =
                bench.s3("us-east-1").list_object_versions().bucket(BUCKET).prefix(KEY).send().await.unwrap();
            let version = versions.versions().iter().find(|version| version.is_latest() == Some(true)).unwrap();
            ["--version", version.version_id().unwrap(), "--yes"].map(str::to_owned).to_vec()
        }
        "adopt" => {
            let lineage = bench.state("legacy")["lineage"].as_str().unwrap().to_owned();
            bench.s3("us-east-1").delete_object().bucket(BUCKET).key(KEY).send().await.unwrap();
            vec!["--lineage".to_owned(), lineage, "--yes".to_owned()]
        }
        "sweep" => {
            let state = bench.state("legacy");
            orphan(bench, state["lineage"].as_str().unwrap()).await;
            ["--delete", "--yes"].map(str::to_owned).to_vec()
        }
        "apply" => vec!["--yes".to_owned()],
        "phase" => ["--to", "migration", "--yes"].map(str::to_owned).to_vec(),
        // After a phase, there are two regions; the first attempt may have been interrupted.
        "failover" if bench.state("legacy").pointer("/operations/failover").is_some() => {
            ["--resume", "--yes"].map(str::to_owned).to_vec()
        }
        "failover" => ["--to", "us-east-2", "--keep-traffic", "--yes"].map(str::to_owned).to_vec(),
        "traffic" => {
            shifting(bench).await;
            ["--abort", "--yes"].map(str::to_owned).to_vec()
        }
        "deploy" if bench.state("legacy").pointer("/operations/deploy").is_some() => {
            ["--resume", "--yes"].map(str::to_owned).to_vec()
        }
        "deploy" => ["--image", "payments:2", "--every", "0s", "--bake", "0s", "--yes"].map(str::to_owned).to_vec(),
        "destroy" => ["--yes", "--accept-loss"].map(str::to_owned).to_vec(),
        other => panic!("{other} needs a line"),
    };
    command.split(' ').map(str::to_owned).chain(words).chain(WORKSPACE.map(str::to_owned)).collect()
}

/// An unfinished shift of traffic in the state, whose record has the wrong weight in Route 53.
async fn shifting(bench: &Bench) {
    let mut state = bench.state("legacy");
    let weights = json!({ "us-east-1": 100 });
    state["operations"]["traffic"] = json!({
        "who": "somebody", "since": "2026-01-01T00:00:00Z", "run": "an earlier one", "from": weights, "to": weights,
        "step": 10, "every_millis": 0, "gates": [], "samples": 1, "gate_timeout_millis": 0,
    });
    let put = bench.s3("us-east-1").put_object().bucket(BUCKET).key(KEY).body(state.to_string().into_bytes().into());
    put.send().await.unwrap();
    let route53 = aws_sdk_route53::Client::new(&bench.sdk("us-east-1"));
    let zones = route53.list_hosted_zones().send().await.unwrap();
    let zone = zones.hosted_zones()[0].id();
    let records = route53.list_resource_record_sets().hosted_zone_id(zone).send().await.unwrap();
    let mut record = records.resource_record_sets.into_iter().find(|record| record.weight.is_some()).unwrap();
    record.weight = Some(50);
    let change = Change::builder().action(ChangeAction::Upsert).resource_record_set(record).build().unwrap();
    let batch = ChangeBatch::builder().changes(change).build().unwrap();
    route53.change_resource_record_sets().hosted_zone_id(zone).change_batch(batch).send().await.unwrap();
}

/// A VPC of the workspace that its state does not know.
async fn orphan(bench: &Bench, lineage: &str) {
    let owner = [
        ("payinfra:stack", "migration"),
        ("payinfra:workspace", "legacy"),
        ("payinfra:address", "us-east-1/ec2.vpc/old"),
        ("payinfra:lineage", lineage),
    ];
    let tags = owner.map(|(key, value)| Tag::builder().key(key).value(value).build());
    let tags = TagSpecification::builder().resource_type(ResourceType::Vpc).set_tags(Some(tags.to_vec())).build();
    bench.ec2("us-east-1").create_vpc().cidr_block("10.9.0.0/16").tag_specifications(tags).send().await.unwrap();
}

fn strs(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}

fn is_lock(call: &Call) -> bool {
    call.service == "dynamodb" && call.action == "UpdateItem"
}

fn mutating(bench: &Bench) -> Vec<Call> {
    let mut calls: Vec<_> = bench.aws.calls().into_iter().filter(|call| call.mutating).collect();
    calls.sort_by_key(|call| call.sequence);
    calls
}

/// The lock is taken before the first change and given back after the last one; what only looks changes nothing at all.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_takes_the_lock_and_what_looks_changes_nothing() {
    let mut order = ORDER.to_vec();
    order.sort_unstable();
    assert_eq!(order, changing(&[Changes::Resources, Changes::State]), "ORDER has them all");
    let bench = Bench::new().await;
    for command in ORDER {
        if command == "sweep" {
            looking_changes_nothing(&bench);
        }
        let line = prepared(&bench, command).await;
        bench.aws.clear_calls();
        bench.run(&strs(&line)).ok();
        let calls = mutating(&bench);
        assert!(calls.len() > 2, "{command} changes something: {calls:#?}");
        assert!(is_lock(&calls[0]), "{command} changes something before it has the lock: {:#?}", calls[0]);
        assert!(is_lock(calls.last().unwrap()), "{command} changes something after the lock: {:#?}", calls.last());
    }
}

fn looking_changes_nothing(bench: &Bench) {
    for command in changing(&[Changes::Nothing, Changes::Lock, Changes::Home])
        .into_iter()
        .chain(["deploy", "failover", "phase", "sweep", "traffic"])
    {
        let words: &[&str] = match command {
            "completions" => &["bash"],
            "new" => &["another"],
            "state show" => &[TABLE],
            "history show" => &["1"],
            "history diff" => &["1", "2"],
            "init" | "unlock" => &["--yes"],
            _ => &[],
        };
        let line: Vec<_> = command.split(' ').chain(words.iter().copied()).chain(WORKSPACE).collect();
        bench.aws.clear_calls();
        let outcome = bench.run(&line);
        assert!(matches!(outcome.code, Some(0 | 2)), "{command}: {outcome:?}");
        assert!(mutating(bench).is_empty(), "{command}: {:#?}", mutating(bench));
    }
}

/// A command whose lock is taken away in the middle notices it, and sends no request any more that changes something.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_lock_is_lost_nothing_is_changed() {
    let bench = Bench::new().await;
    for command in ORDER {
        let line = prepared(&bench, command).await;
        let line = strs(&line);
        let is_state = changing(&[Changes::State]).contains(&command);
        bench.aws.clear_calls();
        // The request for the state under the lock, or the first change.
        let matches = if is_state {
            Match::action("s3", "GetObject")
        } else {
            let action = match command {
                "apply" | "phase" => "CreateVpc",
                "rollback" => "PutRetentionPolicy",
                "failover" => "SwitchoverGlobalCluster",
                "traffic" => "ChangeResourceRecordSets",
                "deploy" => "ModifyListener",
                _ => "Delete*",
            };
            Match { times: Some(1), ..Match::action("*", action) }
        };
        let mut hold = bench.aws.hold(matches, When::Before);
        let running = bench.start(&line);
        let waiting = loop {
            let next = caught(&mut hold).await;
            if mutating(&bench).iter().any(|call| is_lock(call) && call.status == Some(200)) {
                break next;
            }
            next.release();
        };
        bench.run(&["unlock", "--yes", "-w", "legacy"]).ok();
        is_noticed(&bench).await;
        bench.aws.clear_calls();
        waiting.release();
        drop(hold);
        let ended = Outcome::from(running.wait_with_output().unwrap()).expect(1);
        assert!(ended.stderr.contains("lock"), "{command}: {}", ended.stderr);
        let changed: Vec<_> = mutating(&bench).into_iter().filter(|call| !is_lock(call)).collect();
        assert!(changed.is_empty(), "{command}: {changed:#?}");
        // It is repeated, so that the next one finds what it needs.
        if command == "adopt" {
            bench.run(&line).ok();
        } else {
            bench.run(&strs(&prepared(&bench, command).await)).ok();
        }
    }
}

/// Waits until the holder's heartbeat was refused, and what it did at that moment has ended.
async fn is_noticed(bench: &Bench) {
    let begun = Instant::now();
    let refused = |call: &Call| is_lock(call) && call.status == Some(400);
    while !bench.aws.calls().iter().any(refused) {
        assert!(begun.elapsed() < Duration::from_mins(1), "the holder does not notice that it lost the lock");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut before = usize::MAX;
    while before != mutating(bench).len() {
        before = mutating(bench).len();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What is protected stays, whichever command would remove it; what keeps data goes only if its loss is agreed to.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_protected_or_keeps_data_is_removed_only_on_demand() {
    let bench = Bench::new().await;
    let throwaway = bench.configuration();
    let protected = throwaway.replace("protect = false", "protect = true");
    bench.configure(&protected);
    bench.run(&["apply", "--yes", "-w", "legacy"]).ok();
    let before = bench.inventory().await;
    let refuses = |line: &[&str], told: &str| {
        bench.aws.clear_calls();
        let refused = bench.run(line).expect(1);
        assert!(refused.stderr.contains(told) && refused.stderr.contains(TABLE), "{line:?}: {}", refused.stderr);
        assert!(mutating(&bench).is_empty(), "{line:?}: {:#?}", mutating(&bench));
        refused
    };
    refuses(&["destroy", "--yes", "--accept-loss", "-w", "legacy"], "protected");
    bench.run(&["state", "rm", TABLE, "-w", "legacy"]).ok();
    assert_eq!(bench.inventory().await, before, "it stays in AWS");
    let sweep = ["sweep", "--delete", "--yes", "-w", "legacy"];
    let agreed = [&sweep[..], &["--accept-loss"]].concat();
    refuses(&agreed, "protected");
    bench.configure(&throwaway);
    let asked = refuses(&sweep, "--accept-loss=");
    assert!(asked.stdout.contains("This destroys data:"), "{}", asked.stdout);
    bench.run(&agreed).ok();
    let table = |inventory: &payinfra_tests::Inventory| inventory.count("dynamodb.table");
    assert_eq!(table(&bench.inventory().await), table(&before) - 1);
    bench.run(&["destroy", "--yes", "--accept-loss", "-w", "legacy"]).ok();
}

/// The kinds of changes are told apart by what the rows say.
#[test]
fn what_changes_nothing_has_no_properties() {
    let commands: BTreeSet<_> = changing(&[Changes::Nothing]).into_iter().collect();
    for row in ROWS {
        let says = [row.lock, row.guard, row.protection, row.ownership];
        assert_eq!(says.iter().all(|text| *text == "–"), commands.contains(row.command), "{}", row.command);
    }
}
