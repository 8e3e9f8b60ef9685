//! The policies that `payinfra permissions` prints, attached to a role on a strict emulated AWS that checks permissions: the
//! commands run with this role alone.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

use payinfra_localstack::{Call, Session};
use payinfra_tests::api::write_package;
use payinfra_tests::{Bench, Outcome, example};
use serde_json::Value;

const GLOBAL_PAYMENTS: &str = include_str!("../../crates/stacks/src/global_payments/payinfra.toml");
const PEERED_PAYMENTS: &str = include_str!("../../crates/stacks/src/peered_payments/payinfra.toml");
const TRADING: &str = include_str!("../../crates/stacks/src/trading/payinfra.toml");

const ROLE: &str = "deployer";
const TRUST: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}]}"#;

/// A role that has what `payinfra permissions` prints with these options, and nothing else.
struct Deployer {
    bench: Bench,
    session: Session,
}

impl Deployer {
    async fn new(bench: Bench, options: &[&str]) -> Self {
        let printed = bench.run(&[&["permissions"], options].concat()).ok().stdout;
        let policies: Vec<Value> =
            serde_json::Deserializer::from_str(&printed).into_iter().collect::<Result<_, _>>().unwrap();
        let iam = aws_sdk_iam::Client::new(&bench.sdk("us-east-1"));
        iam.create_role().role_name(ROLE).assume_role_policy_document(TRUST).send().await.unwrap();
        for (index, policy) in policies.iter().enumerate() {
            let name = format!("{ROLE}-{index}");
            let created = iam.create_policy().policy_name(name).policy_document(policy.to_string()).send();
            let arn = created.await.unwrap().policy.unwrap().arn.unwrap();
            iam.attach_role_policy().role_name(ROLE).policy_arn(arn).send().await.unwrap();
        }
        let control = bench.aws.control();
        control.check_permissions(true).await.unwrap();
        let session = control.assume_role(ROLE).await.unwrap();
        bench.aws.clear_calls();
        Self { bench, session }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bench.command(args);
        let Session { access_key, secret_key, token } = &self.session;
        command.envs([
            ("AWS_ACCESS_KEY_ID", access_key),
            ("AWS_SECRET_ACCESS_KEY", secret_key),
            ("AWS_SESSION_TOKEN", token),
        ]);
        command
    }

    fn run(&self, args: &[&str]) -> Outcome {
        self.command(args).output().unwrap().into()
    }

    /// The calls of the role that were denied, and the number of all of its calls. A call that succeeds later was denied because
    /// a key was new.
    fn denied(&self) -> (Vec<String>, usize) {
        let calls: Vec<_> =
            self.bench.aws.calls().into_iter().filter(|call| call.access_key == self.session.access_key).collect();
        let is_denied = |code: &str| {
            code.starts_with("AccessDenied") || ["AuthorizationError", "UnauthorizedOperation"].contains(&code)
        };
        let same = |call: &Call, other: &Call| (&call.service, &call.action) == (&other.service, &other.action);
        let denied = calls.iter().filter(|call| {
            call.error.as_deref().is_some_and(is_denied)
                && !calls.iter().any(|other| other.error.is_none() && same(call, other))
        });
        (denied.map(|call| format!("{}:{}", call.service, call.action)).collect(), calls.len())
    }
}

/// The whole life of a workspace with the policy that is printed for its stack.
async fn lives(bench: Bench, stack: &str, workspace: &str) {
    let deployer = Deployer::new(bench, &["--stack", stack]).await;
    for command in [
        &["bootstrap"][..],
        &["apply", "--workspace", workspace, "--yes"],
        &["plan", "--workspace", workspace, "--exit-code"],
        &["drift", "--workspace", workspace],
        &["destroy", "--workspace", workspace, "--yes", "--accept-loss"],
    ] {
        let outcome = deployer.run(command);
        let (denied, count) = deployer.denied();
        assert!(denied.is_empty() && count > 0, "{command:?}: {denied:?}");
        outcome.ok();
    }
}

/// X-04: the first apply in an account, and all that follows, with one workspace of `migration`.
#[tokio::test(flavor = "multi_thread")]
async fn x04_migration_needs_only_the_printed_policy() {
    let bench = Bench::strict(&example()).await;
    bench.aws.delegate("payments.test");
    lives(bench, "migration", "migration").await;
}

/// X-04: the same with the stacks that have functions.
#[tokio::test(flavor = "multi_thread")]
async fn x04_stacks_with_functions_need_only_the_printed_policy() {
    for (configuration, stack, function) in [
        (GLOBAL_PAYMENTS, "global-payments", "payment-processor"),
        (PEERED_PAYMENTS, "peered-payments", "payment-processor"),
        (TRADING, "trading", "object-processor"),
    ] {
        let bench = Bench::strict(&example()).await;
        bench.configure(configuration);
        write_package(&bench, function);
        lives(bench, stack, "dev").await;
    }
}

/// X-04: the policy for reading is enough for plans, and a change fails with the name of the action.
#[tokio::test(flavor = "multi_thread")]
async fn x04_the_policy_for_reading_changes_nothing() {
    let bench = Bench::new().await;
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    let deployer = Deployer::new(bench, &["--stack", "migration", "--read-only"]).await;
    for command in ["plan", "drift"] {
        deployer.run(&[command, "--workspace", "legacy"]).ok();
    }
    assert_eq!(deployer.denied().0, Vec::<String>::new());
    deployer.bench.aws.clear_calls();
    let failed = deployer.run(&["destroy", "--workspace", "legacy", "--yes", "--accept-loss"]).expect(1);
    assert!(
        failed.stderr.contains("not authorized to perform") || failed.stderr.contains("AccessDenied"),
        "{}",
        failed.stderr
    );
    let calls = deployer.bench.aws.calls();
    let changed = calls.iter().filter(|call| {
        call.access_key == deployer.session.access_key && call.mutating && call.status.is_some_and(|it| it < 300)
    });
    assert_eq!(changed.map(|call| &*call.action).collect::<Vec<_>>(), Vec::<&str>::new());
}
