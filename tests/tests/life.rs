//! The life of the migration stack on an emulated AWS: plan, apply, no changes, destroy, nothing left.

#![expect(clippy::unwrap_used, reason = "a test")]

use payinfra_localstack::Call;
use payinfra_tests::{Bench, Inventory};

/// M-01, M-02, X-06: the three workspaces exist side by side, independently, and each leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn m01_m02_x06_three_workspaces_live_side_by_side_and_leave_nothing() {
    let bench = Bench::new().await;
    let empty = bench.inventory().await;
    let mut before = vec![empty];
    for workspace in ["legacy", "migration", "production"] {
        bench.run(&["plan", "--workspace", workspace, "--exit-code"]).expect(2);
        bench.run(&["apply", "--workspace", workspace, "--yes"]).expect(0);
        bench.run(&["plan", "--workspace", workspace, "--exit-code"]).expect(0);
        bench.run(&["drift", "--workspace", workspace]).expect(0);
        let now = bench.inventory().await;
        let last = before.last().unwrap();
        assert_eq!(last.beyond(&now), Vec::<&str>::new(), "{workspace} deleted resources of another workspace");
        if workspace == "legacy" {
            assert_eq!(grown(last, &now, "us-east-2 ec2.vpc "), 0, "M-02: legacy stays in the primary region");
            assert_eq!(grown(last, &now, "us-east-2 kms."), 0, "M-02: legacy stays in the primary region");
        } else {
            assert_eq!(grown(last, &now, "us-east-2 ec2.vpc "), 1, "M-02: {workspace} is in both regions");
        }
        before.push(now);
    }
    protection_holds(&bench);
    for workspace in ["production", "migration", "legacy"] {
        before.pop();
        bench.run(&["destroy", "--workspace", workspace, "--yes", "--accept-loss"]).expect(0);
        let now = bench.inventory().await;
        let last = before.last().unwrap();
        assert_eq!(now.beyond(last), Vec::<&str>::new(), "{workspace} left resources behind");
        assert_eq!(last.beyond(&now), Vec::<&str>::new(), "{workspace} deleted resources of another workspace");
    }
}

fn grown(before: &Inventory, after: &Inventory, part: &str) -> usize {
    after.count(part) - before.count(part)
}

/// M-28: `production` rejects the deletion of protected resources, and shows how to allow it. Leaves protection
/// disabled.
fn protection_holds(bench: &Bench) {
    let refused = bench.run(&["destroy", "--workspace", "production", "--yes", "--accept-loss"]).expect(1);
    assert!(refused.stderr.contains("protect = false"), "{}", refused.stderr);
    assert!(refused.stderr.contains("s3.bucket"), "{}", refused.stderr);
    let configuration = bench.configuration();
    let mut file: toml::Table = configuration.parse().unwrap();
    let production = file["workspaces"]["production"].as_table_mut().unwrap();
    production.insert("protect".to_owned(), false.into());
    // A snapshot would remain.
    production.insert("final_snapshot".to_owned(), false.into());
    bench.configure(&file.to_string());
}

/// the second apply makes no changes, and says so; outputs are stored, and written to a file.
#[tokio::test(flavor = "multi_thread")]
async fn x09_a_second_apply_makes_no_mutating_call() {
    let bench = Bench::new().await;
    let first = bench.run(&["apply", "--workspace", "migration", "--yes"]).expect(0);
    let outputs = bench.outputs("migration");
    assert!(outputs.as_object().unwrap().len() > 5, "{outputs}");
    let written = std::fs::read_to_string(bench.file("cfn-outputs/flat-outputs.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written, outputs);
    for (name, value) in written.as_object().unwrap() {
        assert!(value.is_string(), "{name} is not a string");
    }
    assert!(first.stdout.contains("outputs are in cfn-outputs/flat-outputs.json"), "{}", first.stdout);
    let result = first.stdout.lines().last().unwrap();
    assert!(result.starts_with("Done in "), "the result is not the last line, but {result:?}");
    bench.aws.clear_calls();
    bench.run(&["apply", "--workspace", "migration", "--yes"]).expect(0);
    // Every apply publishes the phase (M-27), which changes no resource.
    let changes = |call: &Call| call.mutating && call.action != "PutMetricData";
    let mutating: Vec<_> = bench.aws.calls().into_iter().filter(changes).collect();
    assert!(mutating.is_empty(), "{mutating:#?}");
}

/// objects of others in the buckets are deleted with them, including all versions.
#[tokio::test(flavor = "multi_thread")]
async fn x06_destroy_empties_buckets_that_others_filled() {
    let bench = Bench::new().await;
    let before = bench.inventory().await;
    bench.run(&["apply", "--workspace", "migration", "--yes"]).expect(0);
    for region in ["us-east-1", "us-east-2"] {
        let s3 = bench.s3(region);
        let mut filled = 0;
        for bucket in s3.list_buckets().send().await.unwrap().buckets() {
            let name = bucket.name().unwrap();
            if name.starts_with("payinfra-state") || !name.contains(region) {
                continue;
            }
            for body in ["one", "two"] {
                let put = s3.put_object().bucket(name).key("left/behind").body(body.as_bytes().to_vec().into());
                put.send().await.unwrap();
            }
            s3.delete_object().bucket(name).key("left/behind").send().await.unwrap();
            s3.put_object().bucket(name).key("kept").body(b"x".to_vec().into()).send().await.unwrap();
            filled += 1;
        }
        assert!(filled >= 2, "no buckets of {region} to fill");
    }
    bench.run(&["destroy", "--workspace", "migration", "--yes", "--accept-loss"]).expect(0);
    assert_eq!(bench.inventory().await, before);
}

/// M-02, M-03: a workspace that moves from `legacy` to `migration` keeps all resources and creates only new ones.
#[tokio::test(flavor = "multi_thread")]
async fn m02_moving_to_the_next_phase_creates_only_what_is_new() {
    let bench = Bench::new().await;
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).expect(0);
    let legacy = bench.inventory().await;
    let mut file: toml::Table = bench.configuration().parse().unwrap();
    let workspace = file["workspaces"]["legacy"].as_table_mut().unwrap();
    workspace.insert("phase".to_owned(), "migration".into());
    workspace.remove("regions");
    workspace.remove("weights");
    bench.configure(&file.to_string());
    let plan = bench.run(&["plan", "--workspace", "legacy", "--exit-code", "--json"]).expect(2);
    // The phase is in the environment of the service's tasks, so it changes the task definition.
    let replaced: Vec<_> =
        plan.stdout.split("\"address\":\"").skip(1).filter(|step| step.contains("\"action\":\"replace")).collect();
    assert!(replaced.iter().all(|step| step.starts_with("us-east-1/ecs.task-definition/")), "{replaced:?}");
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).expect(0);
    let migration = bench.inventory().await;
    let gone = legacy.beyond(&migration).into_iter().filter(|line| !line.contains(" ecs.task-definition "));
    assert_eq!(gone.collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(migration.count("us-east-2 ec2.vpc ") > legacy.count("us-east-2 ec2.vpc "));
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).expect(0);
}
