//! One emulated AWS for all tests, with separate workspaces.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use payinfra_engine::{Class, Error, Holder, Lock, Result, Store};
use payinfra_localstack::{ACCOUNT_ID, Emulator, Fault, Match, Rule};
use payinfra_state::{DynamoLock, Existing, FileLock, FileStore, Place as Site, S3Store, bootstrap};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::owners::Owners;

pub(crate) const BUCKET: &str = "payinfra-state-test";
pub(crate) const TABLE: &str = "payinfra-locks";
pub(crate) const REGION: &str = "us-east-1";
/// Short, but long enough for a busy machine.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// The emulated AWS with bucket and table. It ends with this process.
pub(crate) async fn aws() -> &'static Emulator {
    static AWS: OnceCell<Emulator> = OnceCell::const_new();
    let start = || async {
        let aws = Emulator::start().await.expect("the emulated AWS starts");
        let config = config_at(&aws.endpoint(), "test");
        let site = Site { region: REGION, account: ACCOUNT_ID, bucket: BUCKET, table: TABLE };
        bootstrap(&config, site, Existing::Refuse).await.expect("bucket and table are created");
        aws
    };
    AWS.get_or_init(start).await
}

/// The configuration of a host, which its access key identifies.
pub(crate) async fn config(host: &str) -> SdkConfig {
    config_at(&aws().await.endpoint(), host)
}

pub(crate) fn config_at(endpoint: &str, host: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .http_client(Owners::client())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(host, "test", None, None, "test")))
        .build()
}

/// Faults for one host, until this is dropped. Only one test at a time has faults.
pub(crate) struct Faults(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>, &'static Emulator);

impl Faults {
    pub(crate) async fn none() -> Self {
        static ONE: Mutex<()> = Mutex::const_new(());
        let guard = ONE.lock().await;
        Self(guard, aws().await)
    }

    pub(crate) fn set<const N: usize>(&self, rules: [(Match, Fault); N]) {
        self.1.faults(rules.map(|(matches, fault)| Rule { matches, fault }));
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.1.clear_faults();
    }
}

/// The calls of one host.
pub(crate) fn calls(host: &str, service: &str, action: &str) -> Match {
    Match { access_key: Some(host.to_owned()), ..Match::action(service, action) }
}

/// A workspace on one of the backends.
pub(crate) enum Place {
    File(TempDir),
    Aws(Box<SdkConfig>, String),
}

impl Place {
    pub(crate) fn file() -> Self {
        Self::File(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn aws() -> Self {
        Self::Aws(Box::new(config("test").await), name())
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::File(folder) => Arc::new(FileStore::new(folder.path(), "stack", "one")),
            Self::Aws(config, workspace) => Arc::new(S3Store::new(config, ACCOUNT_ID, BUCKET, "stack", workspace)),
        }
    }

    pub(crate) fn lock(&self) -> Arc<dyn Lock> {
        match self {
            Self::File(folder) => Arc::new(FileLock::new(folder.path(), "stack", "one")),
            Self::Aws(config, workspace) => {
                Arc::new(DynamoLock::new(config, TABLE, "stack", workspace).with_lease(LEASE))
            }
        }
    }
}

/// A unique name.
pub(crate) fn name() -> String {
    format!("w-{}", uuid::Uuid::new_v4().simple())
}

pub(crate) fn holder(who: &str) -> Holder {
    Holder {
        who: format!("{who}@host"),
        pid: 42,
        command: "payinfra apply".to_owned(),
        since: "2026-01-02T03:04:05Z".to_owned(),
        nonce: format!("{who}-{}", uuid::Uuid::new_v4()),
    }
}

/// The error, which must have this class.
#[track_caller]
pub(crate) fn fails<T>(result: Result<T>, class: Class) -> Error {
    match result {
        Ok(_) => panic!("it did not fail"),
        Err(error) if error.is(class) => error,
        Err(error) => panic!("{:?} is not {class:?}: {error}", error.class()),
    }
}

/// Waits for a condition.
pub(crate) async fn soon<T: Debug>(what: &str, look: impl Fn() -> Option<T>) -> T {
    for _ in 0..500 {
        if let Some(seen) = look() {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("timed out: {what}")
}

/// Runs each of these tests on both backends.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod file {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(&crate::bench::Place::file()).await;
            })*
        }

        mod aws {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(&crate::bench::Place::aws().await).await;
            })*
        }
    };
}
pub(crate) use on_both;
