//! What the end-to-end tests share: an emulated AWS, the real binary, and independent access to the account.

#![expect(clippy::missing_panics_doc, clippy::unwrap_used, clippy::panic, reason = "test support fails by panicking")]

pub mod api;
mod audit;
pub mod content;
pub mod crash;
pub mod faults;
pub mod function;
mod inventory;
pub mod load;
pub mod payments;
pub mod service;
pub mod world;

use std::collections::BTreeSet;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use payinfra_localstack::{Call, Checks, Emulator, Held, Hold, Profile};
use serde_json::Value;

pub use inventory::Inventory;
pub use payinfra_localstack::Outcome;

/// The regions that most stacks use.
const REGIONS: [&str; 3] = ["us-east-1", "us-east-2", "us-west-2"];

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

/// A bench with independent access to the account.
pub struct Bench(payinfra_localstack::Bench);

/// What a bench does without the SDK, it does as the one of every stack's own tests.
impl Deref for Bench {
    type Target = payinfra_localstack::Bench;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
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

    /// With this configuration, on an emulated AWS that also refuses what AWS's models do not say (`localstack/README.md`,
    /// Strict).
    pub async fn strict(configuration: &str) -> Self {
        let aws = Emulator::builder().strict(true).start().await.unwrap();
        Self(payinfra_localstack::Bench::around(aws, binary(), configuration))
    }

    /// With these emulators and this configuration.
    pub async fn on(profile: Profile, configuration: &str) -> Self {
        Self::start_with(profile, binary(), configuration).await
    }

    async fn start_with(profile: Profile, program: PathBuf, configuration: &str) -> Self {
        let aws = Emulator::builder().profile(profile).start().await.unwrap();
        Self(payinfra_localstack::Bench::around(aws, &program, configuration))
    }

    /// With another lease of the lock in DynamoDB than the default of 30 s.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self(self.0.lease(lease))
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
        sdk(&self.aws.endpoint(), "test", region)
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

    /// The regions that resources may be in: those that most stacks use, and those of the configuration.
    #[must_use]
    pub fn regions(&self) -> BTreeSet<String> {
        // A test may have written one that cannot be read.
        let configuration: toml::Table = self.configuration().parse().unwrap_or_default();
        let listed = configuration.get("defaults").and_then(|defaults| defaults.get("regions")?.as_array());
        let listed = listed.into_iter().flatten().filter_map(|region| region.get("name")?.as_str());
        REGIONS.into_iter().chain(listed).map(str::to_owned).collect()
    }

    /// The stack of the configuration.
    #[must_use]
    pub fn stack(&self) -> String {
        let configuration: toml::Table = self.configuration().parse().unwrap();
        configuration["stack"].as_str().unwrap().to_owned()
    }

    /// The resources in the account, by AWS's own lists.
    pub async fn inventory(&self) -> Inventory {
        Inventory::take(self).await
    }
}

/// The SDK configuration for an emulated AWS, with this access key.
pub(crate) fn sdk(endpoint: &str, access_key: &str, region: &str) -> SdkConfig {
    let credentials = Credentials::new(access_key, "test", None, None, "static");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .region(Region::new(region.to_owned()))
        .build()
}

/// The configuration at the repository's root. No client of the emulated AWS caches addresses, so draining takes no time.
#[must_use]
pub fn example() -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../payinfra.toml")).unwrap();
    let example = text.replace("\n# drain_seconds = 60\n", "\ndrain_seconds = 0\n");
    assert!(example != text, "the example has no drain_seconds");
    example
}

/// The lines of these commands in the runbook of the migration stack, without the program.
#[must_use]
pub fn runbook(commands: &[&str]) -> Vec<Vec<&'static str>> {
    let text = include_str!("../../crates/stacks/src/migration/README.md");
    let lines = text.lines().filter_map(|line| line.strip_prefix("payinfra ")).map(|line| line.split(' ').collect());
    lines.filter(|line: &Vec<&str>| commands.contains(&line[0])).collect()
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

/// The strings in a member of a policy, which may be a single one.
#[must_use]
pub fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(texts) => texts.iter().map(|text| text.as_str().unwrap()).collect(),
        text => vec![text.as_str().unwrap()],
    }
}

/// A policy; IAM returns it percent-encoded.
#[must_use]
pub fn policy(text: &str) -> Value {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    serde_json::from_slice(&bytes).unwrap()
}
