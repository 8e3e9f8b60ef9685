//! What AWS or somebody else changes, and what payinfra says and does then: the table in `tests/README.md`.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod changes;
mod databases;
mod groups;
mod logs;
mod tags;

use std::collections::BTreeSet;

use payinfra_tests::world::{CHANGES, Expected};
use payinfra_tests::{Bench, Outcome};
use serde_json::Value;

/// A workspace that is applied.
struct World {
    bench: Bench,
    workspace: &'static str,
    state: Value,
}

impl World {
    /// The workspace `workspace` of the example, with a change of its configuration.
    async fn with(workspace: &'static str, old: &str, new: &str) -> Self {
        let bench = Bench::new().await;
        let configuration = bench.configuration();
        assert!(configuration.contains(old), "the example has no `{old}`");
        bench.configure(&configuration.replace(old, new));
        let world = Self { bench, workspace, state: Value::Null };
        world.run(&["apply", "--yes"]).ok();
        let state = world.bench.state(workspace);
        Self { state, ..world }
    }

    async fn new(workspace: &'static str) -> Self {
        Self::with(workspace, "", "").await
    }

    /// Changes the configuration.
    #[track_caller]
    fn configure(&self, old: &str, new: &str) {
        let configuration = self.bench.configuration();
        assert!(configuration.contains(old), "the configuration has no `{old}`");
        self.bench.configure(&configuration.replace(old, new));
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        self.bench.run(&[arguments, &["--workspace", self.workspace]].concat())
    }

    /// The id of the resource at `address`.
    fn id(&self, address: &str) -> &str {
        self.state["resources"][address]["id"].as_str().unwrap_or_else(|| panic!("{address} is not in the state"))
    }

    /// The ARN of the resource at `address`.
    fn arn(&self, address: &str) -> &str {
        self.state["resources"][address]["outputs"]["arn"].as_str().unwrap()
    }

    /// The fields that drifted, by address; without a field, the resource no longer exists.
    #[track_caller]
    fn drift(&self) -> BTreeSet<(String, String)> {
        let outcome = self.run(&["drift", "--json"]).expect(2);
        let events = outcome.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let drift = events.into_iter().find(|event| event["event"] == "drift").unwrap();
        let mut found = BTreeSet::new();
        for resource in drift["resources"].as_array().unwrap() {
            let address = resource["address"].as_str().unwrap();
            let fields = resource["fields"].as_array().unwrap().iter().map(|field| field["path"].as_str().unwrap());
            let gone = (resource["gone"] == true).then_some("");
            found.extend(fields.chain(gone).map(|field| (address.to_owned(), field.to_owned())));
        }
        found
    }

    /// Checks that there is neither drift nor a plan, and that an apply changes nothing.
    #[track_caller]
    fn is_settled(&self) -> Outcome {
        self.run(&["drift"]).ok();
        let plan = self.run(&["plan", "--exit-code"]).ok();
        self.bench.aws.clear_calls();
        self.run(&["apply", "--yes"]).ok();
        assert_eq!(self.bench.mutations(), []);
        plan
    }

    /// Checks that there is a plan, with which the apply changes nothing but the state.
    #[track_caller]
    fn is_settled_after_apply(&self) {
        self.run(&["plan", "--exit-code"]).expect(2);
        self.bench.aws.clear_calls();
        self.run(&["apply", "--yes"]).ok();
        assert_eq!(self.bench.mutations(), []);
        self.is_settled();
    }

    #[track_caller]
    fn destroy(&self) {
        self.run(&["destroy", "--yes", "--accept-loss"]).ok();
    }
}

/// All changes that need no test of their own, one after the other on one workspace.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_change_is_left_alone_or_named_and_reverted() {
    let world = World::new("migration").await;
    for change in CHANGES.iter().filter(|change| matches!(change.expected, Expected::Nothing)) {
        changes::make(&world, change.name).await;
    }
    world.is_settled();
    let mut expected = BTreeSet::new();
    for change in CHANGES {
        if let Expected::Drift(fields) = change.expected {
            changes::make(&world, change.name).await;
            expected.extend(fields.iter().map(|(address, field)| ((*address).to_owned(), (*field).to_owned())));
        }
    }
    assert_eq!(world.drift(), expected);
    world.run(&["plan", "--exit-code"]).expect(2);
    world.run(&["apply", "--yes"]).ok();
    world.is_settled();
    let service = changes::service(&world).await;
    assert_eq!(service.desired_count(), 7, "auto scaling's number of tasks is kept");
    assert_eq!(changes::version(&world, "us-east-1").await, changes::UPGRADED, "the database is not downgraded");
    world.destroy();
}

/// Each row of the table has a function of its name.
#[test]
fn every_row_is_shown() {
    let sources = [
        include_str!("changes.rs"),
        include_str!("databases.rs"),
        include_str!("groups.rs"),
        include_str!("logs.rs"),
        include_str!("tags.rs"),
    ];
    for change in CHANGES {
        let is_shown = sources.iter().any(|source| source.contains(&format!("async fn {}(", change.name)));
        assert!(is_shown, "no function {}", change.name);
    }
}
