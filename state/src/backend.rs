//! The choice of backend.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use payinfra_engine::{Error, Lock, Result, Store};
use payinfra_sdk::is_local;

use crate::dynamo::DynamoLock;
use crate::file::{FileLock, FileStore};
use crate::name::check_name;
use crate::s3::S3Store;

/// Where the state and the lock are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// An S3 bucket and a DynamoDB table.
    S3 {
        /// The bucket; `None` means `payinfra-state-ACCOUNT`.
        bucket: Option<String>,
        /// The region of both.
        region: String,
        /// The lock table.
        table: String,
    },
    /// A folder.
    File {
        /// The folder, relative to the current directory of the process.
        path: PathBuf,
    },
}

impl Backend {
    /// The name of the bucket in `account`; `None` for a folder.
    #[must_use]
    pub fn bucket(&self, account: &str) -> Option<String> {
        match self {
            Self::S3 { bucket, .. } => Some(bucket.clone().unwrap_or_else(|| format!("payinfra-state-{account}"))),
            Self::File { .. } => None,
        }
    }
}

/// The state of one workspace, and its lock.
#[derive(Clone)]
pub struct Backing {
    /// The state.
    pub store: Arc<dyn Store>,
    /// Its lock.
    pub lock: Arc<dyn Lock>,
}

/// Opens the state and the lock of `workspace` of `stack`. Nothing is read or created yet.
///
/// `config` is used with the backend's own region instead of its region; `account` must own the bucket. A folder needs
/// neither.
///
/// # Errors
/// If the names of stack and workspace are not valid in a path.
pub fn open(backend: &Backend, config: &SdkConfig, account: &str, stack: &str, workspace: &str) -> Result<Backing> {
    check_name("stack", stack)?;
    check_name("workspace", workspace)?;
    Ok(match backend {
        Backend::S3 { region, table, .. } => {
            let config = config.clone().into_builder().region(Region::new(region.clone())).build();
            let bucket = backend.bucket(account).unwrap_or_default();
            let mut lock = DynamoLock::new(&config, table, stack, workspace);
            if let Some(lease) = lease(&config)? {
                lock = lock.with_lease(lease);
            }
            Backing { store: Arc::new(S3Store::new(&config, account, &bucket, stack, workspace)), lock: Arc::new(lock) }
        }
        Backend::File { path } => Backing {
            store: Arc::new(FileStore::new(path, stack, workspace)),
            lock: Arc::new(FileLock::new(path, stack, workspace)),
        },
    })
}

/// The lease for tests, in milliseconds. Ignored unless calls stay on this machine: a short lease is not safe if
/// requests can take longer to arrive.
const LEASE: &str = "PAYINFRA_LEASE_MILLIS";

/// The lease from the environment, if calls go to an emulated AWS.
fn lease(config: &SdkConfig) -> Result<Option<Duration>> {
    let Some(text) = std::env::var_os(LEASE).filter(|_| config.endpoint_url().is_some_and(is_local)) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    match text.parse() {
        Ok(millis) if millis >= 100 => Ok(Some(Duration::from_millis(millis))),
        _ => Err(Error::invalid(format!("invalid value `{text}` of {LEASE}"))
            .hint("set it to milliseconds, at least 100, or unset it")),
    }
}
