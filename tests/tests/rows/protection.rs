//! Protection against accidental data loss.

use std::collections::BTreeSet;

use payinfra_tests::Bench;
use serde_json::Value;

const PLAN: [&str; 3] = ["plan", "--workspace", "production"];
const APPLY: [&str; 4] = ["apply", "--workspace", "production", "--yes"];
const DESTROY: [&str; 5] = ["destroy", "--workspace", "production", "--yes", "--accept-loss"];

/// The kinds whose data cannot be restored.
const KEPT: [&str; 6] =
    ["dynamodb.table", "kms.key", "rds.cluster", "rds.global-cluster", "s3.bucket", "secretsmanager.password"];

/// Sets a variable of the workspace production.
fn set(bench: &Bench, variable: &str, value: impl Into<toml::Value>) {
    let mut file: toml::Table = bench.configuration().parse().unwrap();
    let production = file["workspaces"]["production"].as_table_mut().unwrap();
    production.insert(variable.to_owned(), value.into());
    bench.configure(&file.to_string());
}

/// M-28: all resources that keep data are protected in `production`. A plan that would delete or replace one fails
/// before any call, with its address and how to allow it; without protection, the same plan is applied.
#[tokio::test(flavor = "multi_thread")]
async fn m28_production_keeps_what_keeps_data_until_protection_is_off() {
    let bench = Bench::new().await;
    bench.run(&APPLY).ok();
    let state = bench.state("production");
    let of = |protected: bool| {
        let records = state["resources"].as_object().unwrap().iter();
        let records = records.filter(|(_, record)| (record["protect"] == Value::Bool(true)) == protected);
        records.map(|(address, _)| address.split('/').nth(1).unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let kept: BTreeSet<String> = KEPT.map(str::to_owned).into();
    assert!(of(true).is_superset(&kept), "{:?}", of(true));
    // Only the databases' second instances may be deleted.
    let both: Vec<_> = of(false).intersection(&of(true)).cloned().collect();
    assert_eq!(both, ["rds.cluster-instance"], "all resources of a kind or none");

    bench.aws.clear_calls();
    let refused = bench.run(&DESTROY).expect(1);
    for told in KEPT.iter().copied().chain(["protect = false"]) {
        assert!(refused.stderr.contains(told), "`{told}` is not in:\n{}", refused.stderr);
    }
    // Another suffix changes all names, so buckets would be replaced.
    let before = bench.configuration();
    set(&bench, "suffix", "demo2");
    let refused = bench.run(&APPLY).expect(1);
    for told in ["s3.bucket", "protect = false"] {
        assert!(refused.stderr.contains(told), "`{told}` is not in:\n{}", refused.stderr);
    }
    assert!(bench.mutations().is_empty(), "{:#?}", bench.mutations());
    bench.configure(&before);
    bench.run(&[&PLAN[..], &["--exit-code"]].concat()).ok();

    // Resources that are no longer declared stay protected if the state says so, so this setting must be recorded in
    // the state.
    set(&bench, "protect", false);
    set(&bench, "final_snapshot", false);
    bench.run(&APPLY).ok();
    set(&bench, "phase", "legacy");
    set(&bench, "weights", toml::Table::from_iter([("us-east-1".to_owned(), 100.into())]));
    bench.run(&[&APPLY[..], &["--accept-loss"]].concat()).ok();
    bench.run(&DESTROY).ok();
    let state = bench.state("production");
    assert_eq!(state["resources"], serde_json::json!({}));
}
