//! What the end-to-end tests share: an emulated AWS, the real binary, and independent access to the account.

#![expect(clippy::missing_panics_doc, clippy::unwrap_used, clippy::panic, reason = "test support fails by panicking")]

pub mod content;
pub mod crash;
mod inventory;
pub mod service;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use payinfra_localstack::{Call, Checks, Emulator, Held, Hold, Profile, isolate};
use serde_json::Value;

pub use inventory::Inventory;

/// The regions that the stacks use.
pub const REGIONS: [&str; 3] = ["us-east-1", "us-east-2", "us-west-2"];

/// The maximum length of output in a failure.
const LINES: usize = 60;

/// How long a command may take until the call at which it is held.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits for the next call that `hold` holds.
///
/// # Panics
/// If there is none in time, for example because the command failed before.
pub async fn caught(hold: &mut Hold) -> Held {
    let next = tokio::time::timeout(PATIENCE, hold.next()).await;
    next.unwrap_or_else(|_| panic!("no call was held within {PATIENCE:?}")).unwrap()
}

/// A private emulated AWS with a state backend, and a folder with a configuration.
pub struct Bench {
    /// The emulated AWS.
    pub aws: Emulator,
    lease: Option<Duration>,
    program: PathBuf,
    folder: tempfile::TempDir,
}

/// The result of a command.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

impl Bench {
    /// With the configuration at the repository's root. `PAYINFRA_TEST_PROFILE` selects another profile of emulators.
    pub async fn new() -> Self {
        Self::with(&example()).await
    }

    /// With this configuration.
    pub async fn with(configuration: &str) -> Self {
        let profile = std::env::var("PAYINFRA_TEST_PROFILE")
            .map_or(Profile::Default, |name| serde_json::from_value(Value::String(name)).unwrap());
        Self::on(profile, configuration).await
    }

    /// With this configuration for `program`, a command line with other stacks than the shipped ones.
    pub async fn of(program: &Path, configuration: &str) -> Self {
        Self::start_with(Profile::Default, program.to_owned(), configuration).await
    }

    /// With these emulators and this configuration.
    pub async fn on(profile: Profile, configuration: &str) -> Self {
        Self::start_with(profile, binary(), configuration).await
    }

    async fn start_with(profile: Profile, program: PathBuf, configuration: &str) -> Self {
        let aws = Emulator::builder().profile(profile).start().await.unwrap();
        let bench = Self { aws, lease: None, program, folder: tempfile::tempdir().unwrap() };
        bench.configure(configuration);
        bench.run(&["bootstrap"]).ok();
        bench.aws.clear_calls();
        bench
    }

    /// With another lease of the lock in DynamoDB than the default of 30 s.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// Writes another configuration.
    pub fn configure(&self, configuration: &str) {
        fs::write(self.file("payinfra.toml"), configuration).unwrap();
    }

    /// The path of the configuration.
    #[must_use]
    pub fn configuration(&self) -> String {
        fs::read_to_string(self.file("payinfra.toml")).unwrap()
    }

    /// The path of a file in the folder in which commands run.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command line with these arguments.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_remove("PAYINFRA_WORKSPACE").env_remove("PAYINFRA_CONFIG");
        isolate(&mut command, &self.aws.endpoint());
        if let Some(lease) = self.lease {
            command.env("PAYINFRA_LEASE_MILLIS", lease.as_millis().to_string());
        }
        command
    }

    /// These arguments, with the options that confirm the command's prompts.
    #[must_use]
    pub fn consenting<'a>(&self, args: &[&'a str]) -> Vec<&'a str> {
        static ASKED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
        let words = if args.first() == Some(&"state") { 2 } else { 1 };
        let command = &args[..words];
        let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
        let help =
            asked.entry(command.join(" ")).or_insert_with(|| self.run(&[command, &["--help"]].concat()).ok().stdout);
        let answers = ["--yes", "--accept-loss"].into_iter().filter(|answer| help.contains(answer));
        args.iter().copied().chain(answers).collect()
    }

    /// Runs the command line, and waits until it ends.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Outcome {
        self.command(args).output().unwrap().into()
    }

    /// Starts the command line without waiting.
    #[must_use]
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts the emulated AWS's checker: it follows all names, and these patterns of tables and buckets.
    pub async fn follow(&self, stores: &[&str]) {
        let stores = stores.iter().map(ToString::to_string).collect();
        self.aws.check(Checks { stores, ..Checks::default() }).await.unwrap();
    }

    /// The violations that the checker found, as text.
    pub async fn violations(&self) -> Vec<String> {
        self.aws.violations().await.unwrap().iter().map(ToString::to_string).collect()
    }

    /// The mutating calls since the last look, without those for the lock and the state.
    #[must_use]
    pub fn mutations(&self) -> Vec<Call> {
        let all = self.aws.calls().into_iter();
        let ours = |call: &Call| {
            // Calls for the state, the lock, and the metric at the end of an apply.
            ["PutMetricData", "PutObject"].contains(&&*call.action)
                || (call.service == "dynamodb" && call.action.ends_with("Item"))
        };
        all.filter(|call| call.mutating && !ours(call)).collect()
    }

    /// The SDK configuration for `region`, for access without payinfra.
    #[must_use]
    pub fn sdk(&self, region: &str) -> SdkConfig {
        let credentials = Credentials::new("test", "test", None, None, "static");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(self.aws.endpoint())
            .region(Region::new(region.to_owned()))
            .build()
    }

    /// EC2 in `region`.
    #[must_use]
    pub fn ec2(&self, region: &str) -> aws_sdk_ec2::Client {
        aws_sdk_ec2::Client::new(&self.sdk(region))
    }

    /// S3 in `region`.
    #[must_use]
    pub fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.sdk(region)).force_path_style(true).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// The resources in the account, by AWS's own lists.
    pub async fn inventory(&self) -> Inventory {
        Inventory::take(self).await
    }

    /// The outputs of a workspace.
    #[must_use]
    pub fn outputs(&self, workspace: &str) -> Value {
        let outcome = self.run(&["output", "--json", "--workspace", workspace]);
        serde_json::from_str(&outcome.ok().stdout).unwrap()
    }

    /// The state of a workspace.
    #[must_use]
    pub fn state(&self, workspace: &str) -> Value {
        let outcome = self.run(&["state", "pull", "--workspace", workspace]);
        serde_json::from_str(&outcome.ok().stdout).unwrap()
    }

    /// The id of the resource at `address`, from the state.
    #[must_use]
    pub fn id(&self, workspace: &str, address: &str) -> String {
        let state = self.state(workspace);
        state["resources"][address]["id"].as_str().unwrap_or_else(|| panic!("{address} is not in the state")).to_owned()
    }
}

impl Outcome {
    /// Checks that it ended with this code.
    #[track_caller]
    #[expect(clippy::must_use_candidate, clippy::return_self_not_must_use, reason = "called for the assertion")]
    pub fn expect(self, code: i32) -> Self {
        let lines: Vec<_> = self.stdout.lines().collect();
        let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
        assert_eq!(self.code, Some(code), "stderr:\n{}\nthe end of stdout:\n{last}", self.stderr);
        self
    }

    /// Checks that it ended with 0.
    #[track_caller]
    #[expect(clippy::must_use_candidate, clippy::return_self_not_must_use, reason = "called for the assertion")]
    pub fn ok(self) -> Self {
        self.expect(0)
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The configuration at the repository's root. No client of the emulated AWS caches addresses, so draining takes no time.
#[must_use]
pub fn example() -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../payinfra.toml")).unwrap();
    let example = text.replace("\n# drain_seconds = 60\n", "\ndrain_seconds = 0\n");
    assert!(example != text, "the example has no drain_seconds");
    example
}

/// The path of the command line.
#[must_use]
pub fn binary() -> PathBuf {
    built("payinfra")
}

/// The binary `name` next to the running test; `cargo test --workspace` builds it.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join(name);
    assert!(path.exists(), "{} is missing: run `cargo test --workspace`", path.display());
    path
}
