//! Only confirmed changes are made: saved plans are derived again, and data loss has to be accepted.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::Duration;

use payinfra_localstack::{Fault, Match, Rule, When};
use payinfra_tests::{Bench, Outcome};
use serde_json::{Value, json};

const PLAN: [&str; 5] = ["plan", "--workspace", "legacy", "--out", "saved.json"];
const SAVED: [&str; 5] = ["apply", "--workspace", "legacy", "--yes", "saved.json"];

/// The plan file with `value` for the member `name` of the step at `address`.
fn forge(bench: &Bench, address: &str, name: &str, value: Value) {
    let mut plan: Value = serde_json::from_slice(&fs::read(bench.file("saved.json")).unwrap()).unwrap();
    plan["steps"][address][name] = value;
    fs::write(bench.file("saved.json"), plan.to_string()).unwrap();
}

/// A file that differs from the derived plan is rejected with the difference, and so is a file that others could have
/// written. The unchanged plan is applied, after a confirmation.
#[tokio::test(flavor = "multi_thread")]
async fn a_saved_plan_is_applied_only_as_it_is_derived_again() {
    let bench = Bench::new().await;
    let vpc = "us-east-1/ec2.vpc/main";
    bench.run(&PLAN).ok();
    let sound = fs::read(bench.file("saved.json")).unwrap();
    assert_eq!(fs::metadata(bench.file("saved.json")).unwrap().permissions().mode() & 0o777, 0o600);
    forge(&bench, vpc, "action", json!("keep"));
    let refused = bench.run(&SAVED).expect(1);
    for told in [vpc, "saved action = \"keep\"", "action = \"create\""] {
        assert!(refused.stderr.contains(told), "{told}: {}", refused.stderr);
    }
    fs::write(bench.file("saved.json"), &sound).unwrap();
    fs::set_permissions(bench.file("saved.json"), fs::Permissions::from_mode(0o666)).unwrap();
    assert!(bench.run(&SAVED).expect(1).stderr.contains("is writable by other users"));
    fs::rename(bench.file("saved.json"), bench.file("elsewhere.json")).unwrap();
    symlink(bench.file("elsewhere.json"), bench.file("saved.json")).unwrap();
    assert!(bench.run(&SAVED).expect(1).stderr.contains("is not a regular file"));
    fs::remove_file(bench.file("saved.json")).unwrap();
    fs::create_dir(bench.file("saved.json")).unwrap();
    assert!(bench.run(&SAVED).expect(1).stderr.contains("is not a regular file"));
    fs::remove_dir(bench.file("saved.json")).unwrap();
    fs::File::create(bench.file("saved.json")).unwrap().set_len(1 << 30).unwrap();
    assert!(bench.run(&SAVED).expect(1).stderr.contains("is too large"));
    assert!(bench.mutations().is_empty(), "{:#?}", bench.mutations());

    fs::write(bench.file("saved.json"), &sound).unwrap();
    fs::set_permissions(bench.file("saved.json"), fs::Permissions::from_mode(0o600)).unwrap();
    let asked = bench.run(&["apply", "--workspace", "legacy", "saved.json"]).expect(1);
    assert!(asked.stdout.contains("Plan:") && asked.stderr.contains("needs a terminal"), "{asked:?}");
    bench.run(&SAVED).ok();
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
    assert!(bench.run(&SAVED).expect(1).stderr.contains("it was created from serial 0"));
}

/// `--yes` does not accept data loss; it has to be accepted explicitly.
#[tokio::test(flavor = "multi_thread")]
async fn a_destroy_that_loses_data_has_to_be_agreed_to() {
    let bench = Bench::new().await;
    bench.run(&["apply", "--workspace", "migration", "--yes"]).ok();
    bench.aws.clear_calls();
    let destroy = ["destroy", "--workspace", "migration", "--yes"];
    let refused = bench.run(&destroy).expect(1);
    assert!(refused.stdout.starts_with("This destroys data:"), "it comes first: {}", refused.stdout);
    assert!(refused.stderr.contains("--accept-loss="), "{}", refused.stderr);
    let one = [&destroy[..], &["--accept-loss=us-east-1/ec2.vpc/main"]].concat();
    assert!(bench.run(&one).expect(1).stderr.contains("--accept-loss="), "accepting another address is not enough");
    assert!(bench.mutations().is_empty(), "{:#?}", bench.mutations());
    bench.run(&[&destroy[..], &["--accept-loss"]].concat()).ok();
}

/// A key and a secret that were scheduled for deletion manually are restored: they are not replaced, and resources that
/// are encrypted with them do not change.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_scheduled_for_deletion_is_restored() {
    let bench = Bench::new().await;
    let apply = ["apply", "--workspace", "legacy", "--yes"];
    bench.run(&apply).ok();
    let (key, secret) = ("us-east-1/kms.key/database", "us-east-1/secretsmanager.password/database");
    let ids = [key, secret].map(|address| bench.id("legacy", address));
    let sdk = bench.sdk("us-east-1");
    let kms = aws_sdk_kms::Client::new(&sdk);
    kms.schedule_key_deletion().key_id(&ids[0]).pending_window_in_days(7).send().await.unwrap();
    let secrets = aws_sdk_secretsmanager::Client::new(&sdk);
    secrets.delete_secret().secret_id(&ids[1]).recovery_window_in_days(7).send().await.unwrap();

    let plan = bench.run(&["plan", "--workspace", "legacy", "--json"]).ok().stdout;
    let planned = plan.lines().find(|line| line.contains("\"to_restore\"")).unwrap();
    assert!(planned.contains("\"to_restore\":2"), "{planned}");
    bench.aws.clear_calls();
    bench.run(&apply).ok();
    let calls: Vec<_> = bench.mutations().into_iter().map(|call| call.action).collect();
    for expected in ["CancelKeyDeletion", "EnableKey", "RestoreSecret"] {
        assert!(calls.iter().any(|call| call == expected), "{expected}: {calls:?}");
    }
    assert!(calls.iter().all(|call| !call.starts_with("Create") && !call.starts_with("Delete")), "{calls:?}");
    assert_eq!([key, secret].map(|address| bench.id("legacy", address)), ids);
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
}

/// A destroy that Ctrl-C ended before AWS did anything: the next apply keeps all resources with their ids.
#[tokio::test(flavor = "multi_thread")]
async fn a_destroy_that_was_interrupted_before_aws_did_anything_removes_nothing() {
    let bench = Bench::new().await;
    let apply = ["apply", "--workspace", "legacy", "--yes"];
    bench.run(&apply).ok();
    let (before, ids) = (bench.inventory().await, ids(&bench));
    bench.aws.clear_calls();
    let lost = |service: &str, action: &str| Rule {
        matches: Match { mutating: Some(true), ..Match::action(service, action) },
        fault: Fault::Reset { when: When::Before },
    };
    // Writes of the state and the lock pass.
    let services = ["acm", "ec2", "ecs", "elasticloadbalancing", "events", "iam", "kms", "logs", "monitoring", "rds"];
    let more = ["application-autoscaling", "cloudtrail", "route53", "secretsmanager", "sns", "ssm", "wafv2"];
    let rules = services.iter().chain(&more).map(|service| lost(service, "*"));
    let data = [("s3", "Delete*"), ("s3", "PutBucket*"), ("dynamodb", "*Table"), ("dynamodb", "Update*Backups")];
    bench.aws.faults(rules.chain(data.map(|(service, action)| lost(service, action))));

    let destroy = bench.start(&["destroy", "--workspace", "legacy", "--yes", "--accept-loss"]);
    let begun = || !bench.mutations().is_empty();
    for _ in 0..600 {
        if begun() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(begun(), "no delete was started");
    for _ in 0..2 {
        let status = Command::new("kill").args(["-s", "INT", &destroy.id().to_string()]).status().unwrap();
        assert!(status.success());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_ne!(Outcome::from(destroy.wait_with_output().unwrap()).code, Some(0));
    bench.aws.clear_faults();
    assert_eq!(bench.inventory().await, before, "AWS changed nothing");

    bench.aws.clear_calls();
    bench.run(&apply).ok();
    assert!(bench.mutations().is_empty(), "{:#?}", bench.mutations());
    assert_eq!(self::ids(&bench), ids);
}

/// The ids in the state by address.
fn ids(bench: &Bench) -> BTreeMap<String, Value> {
    let state = bench.state("legacy");
    let resources = state["resources"].as_object().unwrap();
    resources.iter().map(|(address, record)| (address.clone(), record["id"].clone())).collect()
}
