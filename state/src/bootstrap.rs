//! Makes what the state lives in: a key, a bucket, a table. Run again, it repairs what has been changed.

mod bucket;
mod key;
mod table;

use std::time::Duration;

use aws_config::{Region, SdkConfig};
use payinfra_engine::Result;
use serde::Serialize;

/// What a bootstrap found and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The key that encrypts both.
    pub key: Made,
    /// The bucket of states.
    pub bucket: Made,
    /// The table of locks.
    pub table: Made,
}

/// What was done to one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Its name; of a key, its ARN.
    pub name: String,
    /// Whether it was missing.
    pub created: bool,
    /// Which of its settings were not as they have to be; what is new has none.
    pub repaired: Vec<&'static str>,
}

impl Report {
    /// Whether everything was as it has to be.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        [&self.key, &self.bucket, &self.table].into_iter().all(|it| !it.created && it.repaired.is_empty())
    }
}

impl Made {
    /// A thing and the settings that had to be set.
    fn new(name: &str, created: bool, set: impl IntoIterator<Item = Option<&'static str>>) -> Self {
        let set = set.into_iter().flatten();
        let repaired = if created { Vec::new() } else { set.collect() };
        Self { name: name.to_owned(), created, repaired }
    }
}

/// One request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The tag of all three.
const TAG: (&str, &str) = ("payinfra:component", "state");

/// Makes `bucket` and `table` in `region` of `account`, and a key for them, where they are missing; sets right what differs.
///
/// The bucket keeps all versions, encrypts with the key, takes only TLS, and is closed to the public. The table is paid
/// per request, encrypted with the key, and can be restored to any point in time. Policy statements and tags of others
/// stay.
///
/// # Errors
/// If the bucket is somebody else's or in another region, the table is something else, or AWS refuses a call. Nothing is
/// made before the names are known to be free or ours.
pub async fn bootstrap(config: &SdkConfig, region: &str, account: &str, bucket: &str, table: &str) -> Result<Report> {
    let config = config.clone().into_builder().region(Region::new(region.to_owned())).build();
    let buckets = bucket::Bucket::new(&config, region, account, bucket);
    let tables = table::Table::new(&config, table);
    let bucket_exists = buckets.exists().await?;
    let table_exists = tables.exists().await?;
    let key = key::ensure(&config).await?;
    let bucket = buckets.ensure(bucket_exists, &key.name).await?;
    let table = tables.ensure(table_exists, &key.name).await?;
    Ok(Report { key, bucket, table })
}

/// Says `setting` if it had to be set.
fn set(setting: &'static str, changed: bool) -> Option<&'static str> {
    if changed {
        tracing::debug!("set {setting}");
    }
    changed.then_some(setting)
}
