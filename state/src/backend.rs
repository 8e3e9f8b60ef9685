//! The choice of backend: the section `[state]` of payinfra.toml.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use payinfra_engine::{Error, Lock, Result, Store};
use payinfra_sdk::is_local;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dynamo::DynamoLock;
use crate::file::{FileLock, FileStore};
use crate::name::check_name;
use crate::s3::S3Store;

/// Where the state and the lock are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Section", into = "Section")]
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

/// Where the state is stored: in S3, unless `path` names a folder.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Section {
    /// The S3 bucket; by default `payinfra-state-` and the account id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    /// The region of the bucket and the table; by default `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// The DynamoDB lock table; by default `payinfra-locks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    /// A local folder for the state and the lock instead of S3, for trying things out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
}

impl TryFrom<Section> for Backend {
    type Error = &'static str;

    fn try_from(section: Section) -> std::result::Result<Self, &'static str> {
        match section {
            Section { bucket: None, region: None, table: None, path: Some(path) } => Ok(Self::File { path }),
            Section { path: Some(_), .. } => {
                Err("`path` stores the state in a folder: remove `bucket`, `region` and `table`")
            }
            Section { bucket, region, table, path: None } => Ok(Self::S3 {
                bucket,
                region: region.unwrap_or_else(|| "us-east-1".to_owned()),
                table: table.unwrap_or_else(|| "payinfra-locks".to_owned()),
            }),
        }
    }
}

impl From<Backend> for Section {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::S3 { bucket, region, table } => {
                Self { bucket, region: Some(region), table: Some(table), path: None }
            }
            Backend::File { path } => Self { bucket: None, region: None, table: None, path: Some(path) },
        }
    }
}

impl JsonSchema for Backend {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Backend".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Section::json_schema(generator)
    }
}

impl Default for Backend {
    fn default() -> Self {
        Self::S3 { bucket: None, region: "us-east-1".to_owned(), table: "payinfra-locks".to_owned() }
    }
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
