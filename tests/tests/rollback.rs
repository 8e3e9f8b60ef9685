//! A rollback returns to what an earlier successful run declared (M-04).

#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

use payinfra_localstack::{ACCOUNT_ID, Fault, Match, Rule};
use payinfra_tests::{Bench, Outcome};
use serde_json::{Value, json};

const CONFIGURATION: &str = r#"
stack = "graph"
[defaults]
project = "rollback"
suffix = "one"
file = "graph.json"
[workspaces.demo]
environment = "demo"
protect = false
"#;
const BUCKET: &str = "us-east-1/s3.bucket/reports";
const KEY: &str = "us-east-1/kms.key/main";
const PARAMETER: &str = "us-east-1/ssm.parameter/token";
const APPLY: [&str; 2] = ["apply", "--yes"];
const ROLLBACK: [&str; 3] = ["rollback", "--yes", "--accept-loss"];

/// What one version of the configuration declares.
#[derive(Clone, Copy)]
struct Version {
    description: &'static str,
    token: &'static str,
    bucket: bool,
}

const FIRST: Version = Version { description: "first", token: "one", bucket: false };
const SECOND: Version = Version { description: "second", token: "one", bucket: true };

/// Declares `version`: a key, a parameter with a secret value, and a bucket.
fn declare(bench: &Bench, version: Version) {
    let tags = json!({ "Environment": "demo", "Project": "rollback", "ManagedBy": "payinfra" });
    let named = |name: &str| format!("{name}-demo-one");
    let with_tags = |mut args: Value| {
        args["tags"] = tags.clone();
        args["tags"]["Name"] = json!(named("rollback"));
        json!({ "args": args })
    };
    let actions = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:PutKeyPolicy"];
    let account = format!("arn:aws:iam::{ACCOUNT_ID}:root");
    let policy = json!([{
        "sid": "Root", "effect": "Allow", "actions": actions, "resources": ["*"], "principals": { "AWS": [account] },
        "conditions": {},
    }]);
    let mut nodes = json!({
        KEY: with_tags(json!({
            "description": version.description, "policy": policy, "rotation": true, "deletion_window": 7,
        })),
        PARAMETER: with_tags(json!({
            "name": named("/rollback"), "description": "A token", "value": { "$secret": version.token },
        })),
    });
    if version.bucket {
        let name = named("rollback");
        let policy = json!([{
            "sid": "Tls", "effect": "Deny", "actions": ["s3:*"], "principals": { "*": ["*"] },
            "resources": [format!("arn:aws:s3:::{name}"), format!("arn:aws:s3:::{name}/*")],
            "conditions": { "Bool": { "aws:SecureTransport": ["false"] } },
        }]);
        let encryption = json!({ "key": { "$ref": format!("{KEY}#arn") }, "bucket_key": true });
        nodes[BUCKET] = with_tags(json!({
            "name": name, "versioning": true, "public_access_blocked": true, "lifecycle": {}, "ownership_enforced": true,
            "policy": policy, "encryption": encryption,
        }));
    }
    let document = json!({
        "format": 1, "stack": "graph", "workspace": "demo", "tags": tags, "nodes": nodes,
        "outputs": { "key": { "$text": [{ "$ref": format!("{KEY}#arn") }] } },
    });
    std::fs::write(bench.file("graph.json"), document.to_string()).unwrap();
}

async fn bench() -> Bench {
    // The state backend exists before there is a document.
    let bench = Bench::new().await;
    declare(&bench, FIRST);
    bench.configure(CONFIGURATION);
    bench
}

fn git(bench: &Bench, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.arg("-C").arg(bench.file("")).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments);
    let outcome = Outcome::from(git.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap());
    outcome.ok().stdout.trim().to_owned()
}

/// Commits the configuration, and returns the commit.
fn commit(bench: &Bench) -> String {
    git(bench, &["init", "--quiet"]);
    git(bench, &["add", "--all"]);
    git(bench, &["commit", "--quiet", "--message", "configuration"]);
    git(bench, &["rev-parse", "HEAD"])
}

/// The runs, newest first.
fn runs(bench: &Bench) -> Vec<Value> {
    serde_json::from_str(&bench.run(&["history", "--json"]).ok().stdout).unwrap()
}

/// A refused command changed nothing; its errors.
fn refused(bench: &Bench, arguments: &[&str]) -> Outcome {
    let before = bench.state("demo");
    bench.aws.clear_calls();
    let outcome = bench.run(arguments).expect(1);
    assert!(bench.mutations().is_empty(), "{arguments:?}: {:#?}", bench.mutations());
    assert_eq!(bench.state("demo"), before, "{arguments:?}");
    outcome
}

/// M-04: the plan is shown with what is lost first, needs the same consent as a destroy, and leaves nothing to do. A second
/// rollback returns to where the first one came from.
#[tokio::test(flavor = "multi_thread")]
async fn m04_a_rollback_returns_to_what_an_earlier_run_declared() {
    let bench = bench().await;
    let commit = commit(&bench);
    bench.run(&APPLY).ok();
    let (first, before) = (bench.state("demo"), bench.inventory().await);
    declare(&bench, SECOND);
    bench.run(&APPLY).ok();
    let after = bench.inventory().await;

    let shown = refused(&bench, &["rollback", "--yes"]);
    assert!(shown.stderr.contains(&format!("--accept-loss={BUCKET}")), "{}", shown.stderr);
    bench.aws.clear_calls();
    let shown = bench.run(&["rollback", "--plan"]).ok();
    assert!(shown.stdout.starts_with("Cannot be undone"), "{}", shown.stdout);
    assert!(shown.stdout.lines().nth(1).unwrap().contains(BUCKET), "{}", shown.stdout);
    assert!(shown.stdout.contains("description: second → first"), "{}", shown.stdout);
    assert!(bench.aws.calls().iter().all(|call| !call.mutating), "it takes no lock");

    let told = bench.run(&ROLLBACK).ok();
    assert!(told.stderr.contains("still declares something else"), "{}", told.stderr);
    assert!(told.stderr.contains(&format!("git checkout {commit} -- payinfra.toml")), "{}", told.stderr);
    assert_eq!(bench.inventory().await, before);
    assert_eq!(bench.state("demo")["outputs"], first["outputs"]);
    let again = bench.run(&["rollback", "--to", "1", "--plan"]).ok();
    assert!(again.stdout.contains("No changes. Infrastructure matches run 1."), "{}", again.stdout);
    bench.run(&["plan", "--exit-code"]).expect(2);

    let told = bench.run(&ROLLBACK).ok();
    assert!(!told.stderr.contains("still declares"), "{}", told.stderr);
    assert_eq!(bench.inventory().await, after);
    bench.run(&["plan", "--exit-code"]).ok();

    let runs = runs(&bench);
    let titles: Vec<_> =
        runs.iter().map(|run| (&run["serial"], &run["command"], &run["to"], &run["outcome"])).collect();
    let (complete, apply, rollback) = (&json!("complete"), &json!("apply"), &json!("rollback"));
    assert_eq!(
        titles,
        [
            (&json!(4), rollback, &json!(2), complete),
            (&json!(3), rollback, &json!(1), complete),
            (&json!(2), apply, &Value::Null, complete),
            (&json!(1), apply, &Value::Null, complete),
        ]
    );
    assert!(runs.iter().all(|run| run["commit"]["id"] == json!(commit)), "{runs:#?}");
    assert_eq!(runs[1]["summary"]["delete"], 1, "{runs:#?}");
    let shown = bench.run(&["history", "diff", "1", "2"]).ok().stdout;
    assert!(shown.contains(BUCKET) && shown.contains("1 added, 1 changed, 0 removed"), "{shown}");
    let shown = bench.run(&["history", "diff", "1", "2", "--json"]).ok().stdout;
    let difference: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&difference["from"], &difference["to"]), (&json!(1), &json!(2)));
    assert_eq!(difference["steps"][BUCKET]["action"], "create", "{difference:#}");
}

/// M-04: a secret is not stored, so its value comes from the configuration, as it is now or was in the commit of the run. If
/// both have another one, the error names the field before anything is changed.
#[tokio::test(flavor = "multi_thread")]
async fn m04_the_values_of_secrets_come_from_the_configuration() {
    let bench = bench().await;
    bench.run(&APPLY).ok();
    declare(&bench, Version { token: "two", ..FIRST });
    bench.run(&APPLY).ok();
    let shown = refused(&bench, &ROLLBACK);
    for told in [PARAMETER, "`value`", "digest", "restore the configuration of run 1"] {
        assert!(shown.stderr.contains(told), "{told}: {}", shown.stderr);
    }
    // Only this value is needed.
    declare(&bench, Version { token: "one", ..SECOND });
    bench.run(&ROLLBACK).ok();
    assert_eq!(token(&bench).await, "one");

    declare(&bench, Version { token: "three", ..FIRST });
    commit(&bench);
    bench.run(&APPLY).ok();
    declare(&bench, Version { token: "four", ..FIRST });
    bench.run(&APPLY).ok();
    assert_eq!(token(&bench).await, "four");
    bench.run(&ROLLBACK).ok();
    assert_eq!(token(&bench).await, "three");
    let stored = std::fs::read_to_string(bench.file("cfn-outputs/flat-outputs.json")).unwrap();
    assert!(stored.contains("arn:aws:kms"), "{stored}");
}

async fn token(bench: &Bench) -> String {
    let ssm = aws_sdk_ssm::Client::new(&bench.sdk("us-east-1"));
    let found = ssm.get_parameter().name("/rollback-demo-one").send().await.unwrap();
    found.parameter.unwrap().value.unwrap()
}

/// M-04: runs that cannot be returned to are refused with the reason, and with those that can.
#[tokio::test(flavor = "multi_thread")]
async fn m04_what_cannot_be_returned_to_is_refused() {
    let bench = bench().await;
    bench.run(&["rollback", "--plan"]).expect(1);
    bench.run(&APPLY).ok();
    let told = refused(&bench, &ROLLBACK);
    assert!(told.stderr.contains("nothing to return to"), "{}", told.stderr);
    declare(&bench, SECOND);
    bench.run(&["apply", "--yes", "--target", PARAMETER]).ok();
    let denied = Match::action("s3", "CreateBucket");
    bench.aws.faults([Rule { matches: denied, fault: Fault::Error { status: 403 } }]);
    bench.run(&APPLY).expect(1);
    bench.aws.clear_faults();
    let newest = bench.state("demo")["serial"].to_string();
    for (to, why) in [("99", "it is not in the history"), (&newest, "it failed")] {
        let told = refused(&bench, &["rollback", "--yes", "--to", to]);
        assert!(told.stderr.contains(&format!("cannot return to run {to}: {why}")), "{}", told.stderr);
        assert!(told.stderr.contains("runs that can be returned to: 1;"), "{}", told.stderr);
    }
    // The way back from a failure.
    bench.run(&ROLLBACK).ok();
    assert_eq!(runs(&bench)[0]["to"], 1);
    bench.run(&APPLY).ok();

    bench.configure(&CONFIGURATION.replace("protect = false", "protect = true"));
    bench.run(&APPLY).ok();
    let told = refused(&bench, &["rollback", "--yes", "--accept-loss", "--to", "1"]);
    assert!(told.stdout.starts_with("Cannot be undone"), "{}", told.stdout);
    assert!(told.stderr.contains("protected") && told.stderr.contains(BUCKET), "{}", told.stderr);

    bench.configure(CONFIGURATION);
    bench.run(&["destroy", "--yes", "--accept-loss"]).ok();
    let destroyed = bench.state("demo")["serial"].to_string();
    let told = refused(&bench, &["rollback", "--yes", "--to", &destroyed]);
    assert!(told.stderr.contains("it deleted all resources"), "{}", told.stderr);
}

/// M-04, M-03: from production to the first run of legacy, in one workspace: what is lost is named, and the plan against that
/// run is empty afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn m04_m03_from_production_back_to_the_first_run_of_legacy() {
    let bench = Bench::new().await;
    commit(&bench);
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    let legacy = bench.inventory().await;
    let mut file: toml::Table = bench.configuration().parse().unwrap();
    let workspace = file["workspaces"]["legacy"].as_table_mut().unwrap();
    workspace.insert("phase".to_owned(), "production".into());
    workspace.remove("regions");
    workspace.remove("weights");
    bench.configure(&file.to_string());
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    let shown = bench.run(&["rollback", "--workspace", "legacy", "--plan"]).ok().stdout;
    let (lost, rest) = shown.split_once("\n\n").unwrap();
    assert!(lost.starts_with("Cannot be undone"), "{lost}");
    for address in ["us-east-1/dynamodb.table/payments", "us-east-2/rds.cluster/", "us-east-2/s3.bucket/"] {
        assert!(lost.contains(address), "{address}: {lost}");
    }
    assert!(rest.contains("Plan:"), "{rest}");
    bench.run(&[&ROLLBACK[..], &["--workspace", "legacy"]].concat()).ok();
    // A new revision of the task definition has another number.
    let now = bench.inventory().await;
    let differing = legacy.beyond(&now).into_iter().chain(now.beyond(&legacy));
    let differing: Vec<_> = differing.filter(|line| !line.contains(" ecs.task-definition ")).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    let again = bench.run(&["rollback", "--workspace", "legacy", "--to", "1", "--plan"]).ok();
    assert!(again.stdout.contains("No changes."), "{}", again.stdout);
    let listed = bench.run(&["history", "--workspace", "legacy"]).ok().stdout;
    let phases: Vec<_> = listed.lines().skip(1).map(|line| line.contains("production")).collect();
    assert_eq!(phases, [false, true, false], "{listed}");
}
