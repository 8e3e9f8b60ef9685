//! Which backend: the section `[state]` of payinfra.toml.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use payinfra_engine::{Error, Lock, Result, Store};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dynamo::DynamoLock;
use crate::file::{FileLock, FileStore};
use crate::s3::S3Store;

/// Where state and lock are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Section", into = "Section")]
pub enum Backend {
    /// A bucket and a table of the account.
    S3 {
        /// The bucket; `None` is `payinfra-state-ACCOUNT`.
        bucket: Option<String>,
        /// The region of both.
        region: String,
        /// The table of locks.
        table: String,
    },
    /// A folder.
    File {
        /// The folder, as the process finds it.
        path: PathBuf,
    },
}

/// Where the state is kept: in S3, unless `path` names a folder.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Section {
    /// The bucket; by default `payinfra-state-` and the account's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    /// The region of bucket and table; by default `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// The table of locks; by default `payinfra-locks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    /// A folder for state and lock in the place of S3, for trying things out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
}

impl TryFrom<Section> for Backend {
    type Error = &'static str;

    fn try_from(section: Section) -> std::result::Result<Self, &'static str> {
        match section {
            Section { bucket: None, region: None, table: None, path: Some(path) } => Ok(Self::File { path }),
            Section { path: Some(_), .. } => Err("`path` keeps the state in a folder: no bucket, region or table"),
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
    /// The bucket's name in `account`; `None` for a folder.
    #[must_use]
    pub fn bucket(&self, account: &str) -> Option<String> {
        match self {
            Self::S3 { bucket, .. } => Some(bucket.clone().unwrap_or_else(|| format!("payinfra-state-{account}"))),
            Self::File { .. } => None,
        }
    }
}

/// The state of one workspace and the lock that guards it.
#[derive(Clone)]
pub struct Backing {
    /// The state.
    pub store: Arc<dyn Store>,
    /// Its lock.
    pub lock: Arc<dyn Lock>,
}

/// The state and the lock of `workspace` of `stack`. Nothing is read or made yet.
///
/// `config` is used with the backend's own region, whatever its region is; `account` has to own the bucket. A folder needs
/// neither.
///
/// # Errors
/// If the names of stack and workspace cannot be parts of a path.
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

/// Another lease for tests, in milliseconds. Ignored on AWS's own endpoints: a short lease is not safe where requests
/// can take longer than it to arrive.
const LEASE: &str = "PAYINFRA_LEASE_MILLIS";

/// The lease that the environment asks for, if the calls go to an endpoint of one's own.
fn lease(config: &SdkConfig) -> Result<Option<Duration>> {
    let Some(text) = std::env::var_os(LEASE).filter(|_| config.endpoint_url().is_some()) else { return Ok(None) };
    let text = text.to_string_lossy();
    match text.parse() {
        Ok(millis) if millis >= 100 => Ok(Some(Duration::from_millis(millis))),
        _ => Err(Error::invalid(format!("{LEASE} is `{text}`")).hint("give milliseconds, at least 100, or unset it")),
    }
}

/// That `name` can be one part of a path.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && !name.starts_with('.') && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::invalid(format!("`{name}` cannot be the name of a {what}"))
        .hint("use letters, digits, `-`, `_` and `.`"))
}
