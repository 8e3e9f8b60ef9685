//! Two deployments of one configuration exist side by side: whatever one of them does, and wherever it is killed, it
//! sends no mutating request for resources of the other.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints what it found")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::process::Stdio;
use std::time::Duration;

use payinfra_engine::State;
use payinfra_localstack::{Call, Match, When};
use payinfra_tests::Bench;
use payinfra_tests::content::{is_chosen_by_aws, of_state, pulled};

const WORKSPACE: &str = "legacy";
/// The time limit for a run to reach its kill point, or its end.
const PATIENCE: Duration = Duration::from_mins(4);
/// The changes at which a command is killed, the first time, the second, and so on; then it is run to its end.
const DEATHS: [u64; 4] = [2, 12, 40, 25];

/// A deployment that must stay unchanged, in an account where another one is active.
struct Neighbour {
    bench: Bench,
    state: State,
    contents: BTreeMap<(String, String), String>,
}

/// Whether a request refers to the watched deployment.
fn is_about(call: &Call) -> bool {
    // The names are the same in both configurations. A create with an existing name only checks whether it is free, and
    // a policy may contain names. States and histories contain the results.
    let by_name = call.action.starts_with("Create");
    call.action != "PutObject" && call.mentions.iter().any(|id| !by_name || is_chosen_by_aws(id))
}

/// All ids in a state: an id is only meaningful in its region and for its kind.
fn known(state: &State) -> BTreeSet<(String, String, String)> {
    let records = state.resources.iter().filter_map(|(address, record)| Some((address, record.id.clone()?)));
    records.map(|(address, id)| (address.region.to_string(), address.kind.to_string(), id)).collect()
}

impl Neighbour {
    /// Applies the usual configuration, and from then on watches for its ids.
    async fn settle() -> Self {
        let bench = Bench::new().await.lease(Duration::from_secs(2));
        bench.configure(&bench.configuration().replace("nat = \"per-zone\"", "nat = \"single\""));
        bench.run(&["apply", "--workspace", WORKSPACE, "--yes"]).ok();
        let state = pulled(&bench, WORKSPACE);
        let contents = of_state(&bench, &state).await;
        let ids = state.resources.values().filter_map(|record| record.id.clone()).filter(|id| id.len() >= 8);
        bench.aws.watch(ids);
        Self { bench, state, contents }
    }

    /// Runs a command, killed several times, and finally to its end; returns its exit code.
    async fn killed(&self, args: &[&str]) -> Option<i32> {
        for (index, nth) in DEATHS.into_iter().enumerate() {
            let when = if index % 2 == 0 { When::After } else { When::Before };
            if let Some(code) = self.killed_at(args, nth, when).await {
                return code;
            }
        }
        let outcome = self.bench.run(&self.bench.consenting(args));
        println!("{args:?} ends with {:?}: {}", outcome.code, outcome.stderr);
        outcome.code
    }

    /// Kills a command at its `nth` change; `Some` if it ended before.
    async fn killed_at(&self, args: &[&str], nth: u64, when: When) -> Option<Option<i32>> {
        let matches = Match { mutating: Some(true), ..Match::any().nth(nth) };
        let mut hold = self.bench.aws.hold(matches, when);
        let mut command = tokio::process::Command::from(self.bench.command(&self.bench.consenting(args)));
        let said = self.bench.file("stderr");
        command.stdout(Stdio::null()).stderr(Stdio::from(File::create(&said).unwrap()));
        let mut child = command.spawn().unwrap();
        let met = async {
            tokio::select! {
                waiting = hold.next() => Err(waiting.unwrap()),
                status = child.wait() => Ok(status.unwrap().code()),
            }
        };
        let ended = tokio::time::timeout(PATIENCE, met).await.unwrap();
        match ended {
            Ok(code) => {
                println!("{args:?} ends with {code:?}: {}", fs::read_to_string(said).unwrap());
                Some(code)
            }
            Err(waiting) => {
                child.kill().await.unwrap();
                waiting.reset();
                None
            }
        }
    }

    /// Checks that no request changed any of it, and that every field is unchanged.
    async fn is_unharmed(&self, by: &str) {
        let calls = self.bench.aws.calls();
        let changes = calls.iter().filter(|call| call.mutating).count();
        let about: Vec<_> = calls.iter().filter(|call| call.mutating && is_about(call)).collect();
        assert!(about.is_empty(), "{by}: these are about the other deployment: {about:#?}");
        println!("{by}: {} calls, {changes} of them changes, none about the other deployment", calls.len());
        assert_eq!(of_state(&self.bench, &self.state).await, self.contents, "{by}");
        let (theirs, ours) = (known(&self.state), known(&pulled(&self.bench, WORKSPACE)));
        assert_eq!(theirs.intersection(&ours).collect::<Vec<_>>(), Vec::<&_>::new(), "{by}: in both states");
        self.bench.aws.clear_calls();
    }

    /// Applies, sweeps and destroys the current configuration as a separate deployment. Without `--new-deployment` the
    /// apply is rejected, and the error shows the command that adopts the existing resources.
    async fn another_lives(&self, name: &str) -> Vec<Option<i32>> {
        self.bench.aws.clear_calls();
        let refused = self.bench.run(&["apply", "--workspace", WORKSPACE, "--yes"]).expect(1);
        let adopt = format!("`payinfra adopt --lineage {}`", self.state.lineage);
        assert!(refused.stderr.contains(&adopt), "{}", refused.stderr);
        self.is_unharmed(&format!("{name}, refused")).await;
        let mut codes = Vec::new();
        for args in [&["apply", "--new-deployment"][..], &["sweep", "--delete"], &["destroy"]] {
            codes.push(self.killed(&[args, &["--workspace", WORKSPACE]].concat()).await);
            self.is_unharmed(&format!("{name}, {}", args[0])).await;
        }
        codes
    }

    /// The first deployment is unchanged.
    fn is_as_declared(&self, configuration: &str) {
        self.bench.configure(configuration);
        self.bench.run(&["plan", "--workspace", WORKSPACE, "--exit-code"]).ok();
    }
}

/// Another suffix, with its own state bucket: a deployment that succeeds beside the first.
#[tokio::test(flavor = "multi_thread")]
async fn another_suffix_lives_beside_the_first() {
    let first = Neighbour::settle().await;
    let configuration = first.bench.configuration();
    let state = "[state]\nbucket = \"payinfra-state-of-another\"\ntable = \"payinfra-locks-of-another\"\n";
    let other = configuration.replacen("[state]\n", state, 1).replace("suffix = \"demo1\"", "suffix = \"demo2\"");
    first.bench.configure(&other);
    first.bench.run(&["bootstrap"]).ok();
    assert_eq!(first.another_lives("another suffix").await, [Some(0); 3]);
    first.is_as_declared(&configuration);
}

/// A state in a folder beside the state in S3, with the same names: named resources cannot be created twice, so the
/// second apply fails, and the resources that it created are deleted again.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_in_a_folder_beside_the_one_in_s3_takes_nothing_of_it() {
    let first = Neighbour::settle().await;
    let configuration = first.bench.configuration();
    first.bench.configure(&configuration.replacen("[state]\n", "[state]\npath = \".beside\"\n", 1));
    let codes = first.another_lives("a state in a folder").await;
    assert_eq!(codes, [Some(1), Some(0), Some(0)]);
    first.is_as_declared(&configuration);
}

/// A lost state: its resources use the names, and none of them is touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_takes_nothing_of_what_it_knew() {
    let first = Neighbour::settle().await;
    let s3 = first.bench.s3("us-east-1");
    let (bucket, key) = ("payinfra-state-123456789012", "migration/legacy/state.json");
    s3.delete_object().bucket(bucket).key(key).send().await.unwrap();
    let codes = first.another_lives("a lost state").await;
    assert_eq!(codes[0], Some(1), "{codes:?}");
    // With its state, it is unchanged.
    let bytes = first.state.bytes().unwrap();
    s3.put_object().bucket(bucket).key(key).body(bytes.into()).send().await.unwrap();
    first.bench.run(&["plan", "--workspace", WORKSPACE, "--exit-code"]).ok();
}
