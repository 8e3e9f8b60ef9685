//! X-04: the policies that `payinfra permissions` prints are enough for all commands, and each action in them counts.
//!
//! The emulated AWS checks the actions of all calls; of those to MiniStack's services also resources and conditions
//! (`localstack/GAPS.md`). It does not check roles that are passed, service-linked roles, and keys that a service uses.

#![expect(clippy::unwrap_used, reason = "a test")]

use payinfra_localstack::Session;
use payinfra_tests::api::write_package;
use payinfra_tests::{Bench, Outcome};
use serde_json::{Deserializer, Value};

/// A stack, its configuration, a workspace, and the function that it needs.
struct Case {
    stack: &'static str,
    configuration: String,
    workspace: &'static str,
    function: Option<&'static str>,
    /// Actions without which an apply or a plan fails.
    needed: &'static [&'static str],
}

/// An account that nobody has used, with checked permissions.
struct Account {
    bench: Bench,
    case: Case,
    users: usize,
}

/// A user of the account.
struct User(Session);

impl Account {
    async fn new(case: Case) -> Self {
        let bench = Bench::new().await;
        // The bench has made the default bucket and table with all permissions.
        let state = "[state]\nbucket = \"states-of-a-user\"\ntable = \"locks-of-a-user\"\n";
        let configuration = case.configuration.replacen("[state]\n", state, 1);
        assert!(configuration.contains(state));
        bench.configure(&configuration);
        if let Some(function) = case.function {
            write_package(&bench, function);
        }
        bench.aws.control().check_permissions(true).await.unwrap();
        Self { bench, case, users: 0 }
    }

    /// The policies that `permissions` prints.
    fn policies(&self, options: &[&str]) -> Vec<Value> {
        let printed = self.bench.run(&[&["permissions", "--stack", self.case.stack], options].concat()).ok();
        Deserializer::from_str(&printed.stdout).into_iter().collect::<Result<_, _>>().unwrap()
    }

    /// A user with these policies and nothing else.
    async fn user(&mut self, policies: &[Value]) -> User {
        self.users += 1;
        let name = format!("user-{}", self.users);
        let iam = aws_sdk_iam::Client::new(&self.bench.sdk("us-east-1"));
        let trust = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRole"}]}"#;
        iam.create_role().role_name(&name).assume_role_policy_document(trust).send().await.unwrap();
        for (policy, number) in policies.iter().zip(1..) {
            let call = iam.create_policy().policy_name(format!("{name}-{number}"));
            let made = call.policy_document(policy.to_string()).send().await.unwrap();
            let arn = made.policy.unwrap().arn.unwrap();
            iam.attach_role_policy().role_name(&name).policy_arn(arn).send().await.unwrap();
        }
        User(self.bench.aws.control().assume_role(&name).await.unwrap())
    }

    /// Runs a command as a user.
    fn run(&self, User(session): &User, arguments: &[&str]) -> Outcome {
        let mut command = self.bench.command(&[arguments, &["--workspace", self.case.workspace]].concat());
        command.env("AWS_ACCESS_KEY_ID", &session.access_key).env("AWS_SECRET_ACCESS_KEY", &session.secret_key);
        command.env("AWS_SESSION_TOKEN", &session.token);
        command.output().unwrap().into()
    }

    /// A user without `action` gets an error that names it.
    async fn lacks(&mut self, action: &str, arguments: &[&str]) {
        let (mut policies, mut count) = (self.policies(&[]), 0);
        for statement in policies.iter_mut().flat_map(|policy| policy["Statement"].as_array_mut().unwrap()) {
            let actions = statement["Action"].as_array_mut().unwrap();
            let before = actions.len();
            actions.retain(|it| it != action);
            count += before - actions.len();
        }
        assert!(count > 0, "{action} is not allowed in any case");
        for policy in &mut policies {
            policy["Statement"].as_array_mut().unwrap().retain(|it| !it["Action"].as_array().unwrap().is_empty());
        }
        let user = self.user(&policies).await;
        let failed = self.run(&user, arguments).expect(1);
        let text = failed.stdout + &failed.stderr;
        assert!(text.contains(action), "{action}: {text}");
    }

    /// The life of a stack: bootstrap, apply, plan, update, drift, destroy.
    async fn lives(&mut self) {
        self.lacks("kms:CreateKey", &["bootstrap"]).await;
        let user = self.user(&self.policies(&[])).await;
        self.run(&user, &["bootstrap"]).ok();
        for action in self.case.needed {
            self.lacks(action, &["apply", "--yes"]).await;
        }
        self.run(&user, &["apply", "--yes"]).ok();
        let reader = self.user(&self.policies(&["--read-only"])).await;
        self.run(&reader, &["plan", "--exit-code"]).ok();
        self.run(&reader, &["drift"]).ok();
        let tagged = "\n[defaults]\ntags = { Checked = \"yes\" }\n";
        let configuration = self.bench.configuration().replacen("\n[defaults]\n", tagged, 1);
        assert!(configuration.contains(tagged));
        self.bench.configure(&configuration);
        self.run(&user, &["apply", "--yes"]).ok();
        self.run(&user, &["plan", "--exit-code"]).ok();
        self.run(&user, &["destroy", "--yes", "--accept-loss"]).ok();
        let left = self.run(&user, &["sweep"]).ok();
        assert!(left.stdout.contains("No orphaned resources"), "{}", left.stdout);
    }
}

/// X-04: the policies of the stack `peered-payments` are enough for its life, and are needed.
#[tokio::test(flavor = "multi_thread")]
async fn x04_the_policies_of_peered_payments_are_enough() {
    let case = Case {
        stack: "peered-payments",
        configuration: include_str!("../../crates/stacks/src/peered_payments/payinfra.toml").to_owned(),
        workspace: "dev",
        function: Some("payment-processor"),
        needed: &["iam:ListRoles", "ec2:CreateVpc", "dynamodb:CreateTable", "apigateway:POST"],
    };
    Account::new(case).await.lives().await;
}

/// X-04: the policies of the stack `global-payments` are enough for its life, and are needed.
#[tokio::test(flavor = "multi_thread")]
async fn x04_the_policies_of_global_payments_are_enough() {
    let case = Case {
        stack: "global-payments",
        configuration: include_str!("../../crates/stacks/src/global_payments/payinfra.toml").to_owned(),
        workspace: "dev",
        function: Some("payment-processor"),
        needed: &["s3:PutBucketPolicy", "sns:CreateTopic", "cloudwatch:PutMetricAlarm"],
    };
    Account::new(case).await.lives().await;
}

/// X-04: the policies of the stack `migration` are enough for the life of its first phase, and are needed.
#[tokio::test(flavor = "multi_thread")]
async fn x04_the_policies_of_migration_are_enough() {
    let case = Case {
        stack: "migration",
        configuration: payinfra_tests::example(),
        workspace: "legacy",
        function: None,
        needed: &["elasticloadbalancing:CreateTargetGroup", "ecs:RegisterTaskDefinition"],
    };
    Account::new(case).await.lives().await;
}

/// X-04: the policies of the stack `trading` are enough for its life, and are needed.
#[tokio::test(flavor = "multi_thread")]
async fn x04_the_policies_of_trading_are_enough() {
    let case = Case {
        stack: "trading",
        configuration: include_str!("../../crates/stacks/src/trading/payinfra.toml").to_owned(),
        workspace: "dev",
        function: Some("object-processor"),
        needed: &["rds:CreateDBCluster", "s3:PutReplicationConfiguration", "lambda:CreateFunction"],
    };
    Account::new(case).await.lives().await;
}
