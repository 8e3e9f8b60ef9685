//! Creates what the S3 backend needs: a key, a bucket and a table. Run again, it repairs their settings.
//!
//! What it creates is tagged from the start. An existing resource without the tag belongs to somebody else, and keeps
//! its settings.

mod bucket;
mod key;
mod table;

use std::time::Duration;

use aws_config::{Region, SdkConfig};
use payinfra_engine::{Class, Error, Result};
use serde::Serialize;

use crate::clock;

/// Where the backend is created.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The region.
    pub region: &'a str,
    /// The account.
    pub account: &'a str,
    /// The bucket for states.
    pub bucket: &'a str,
    /// The lock table.
    pub table: &'a str,
}

/// What to do with an existing key, bucket or table that lacks bootstrap's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Fail without changing it.
    Refuse,
    /// Adopt it: tag it, and change its settings.
    Adopt,
}

/// The result of a bootstrap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The key that encrypts the bucket and the table.
    pub key: Made,
    /// The bucket for states.
    pub bucket: Made,
    /// The lock table.
    pub table: Made,
}

/// The result for one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Its name; the ARN of a key.
    pub name: String,
    /// Whether it was created.
    pub created: bool,
    /// Whether it existed without our tag, and was adopted.
    pub adopted: bool,
    /// The settings that were repaired; none for a new resource.
    pub repaired: Vec<&'static str>,
}

impl Report {
    /// Whether nothing was changed.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        [&self.key, &self.bucket, &self.table].into_iter().all(|it| !it.created && it.repaired.is_empty())
    }
}

impl Made {
    /// The result for a resource that was `found`, with the settings that were repaired.
    fn new(name: &str, found: Found, set: Vec<&'static str>) -> Self {
        let repaired = if found == Found::Missing { Vec::new() } else { set };
        Self { name: name.to_owned(), created: found == Found::Missing, adopted: found == Found::Untagged, repaired }
    }
}

/// Whether a resource exists, and whether bootstrap created it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Missing,
    Ours,
    Untagged,
}

impl Found {
    /// Fails if the resource must not be changed.
    fn may_be_changed(self, what: &str, existing: Existing) -> Result<()> {
        if self != Self::Untagged || existing == Existing::Adopt {
            return Ok(());
        }
        let (key, value) = TAG;
        let message =
            format!("{what} already exists and was not created by bootstrap: it lacks the tag `{key}` = `{value}`");
        Err(Error::new(Class::Foreign, message).hint(
            "nothing was changed. To use it for states or locks, run `payinfra bootstrap --adopt`, which tags it and \
             changes its settings; otherwise set another name in `[state]` of payinfra.toml",
        ))
    }
}

/// The timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The tag of all three resources, by which bootstrap recognizes them.
const TAG: (&str, &str) = ("payinfra:component", "state");
/// How long a changed setting may take to become visible.
const PATIENCE: Duration = Duration::from_mins(1);

/// Creates the bucket, the table and their key if they are missing, repairs their settings, and verifies them by
/// reading.
///
/// The bucket keeps replaced versions for 90 days, encrypts with the key, accepts only TLS and no other key, and blocks
/// public access. The table is billed per request, encrypted with the key, protected from deletion, and has point-in-time
/// recovery. Policy statements, lifecycle rules and tags of others are kept. An existing resource without our tag is not changed, unless it is to be adopted.
///
/// # Errors
/// If the bucket belongs to another account or region, the table has another key schema, an existing resource was not
/// created by bootstrap, or AWS rejects a call. Nothing is created before all names are known to be free or ours.
pub async fn bootstrap(config: &SdkConfig, place: Place<'_>, existing: Existing) -> Result<Report> {
    let Place { region, account, bucket, table } = place;
    let config = config.clone().into_builder().region(Region::new(region.to_owned())).build();
    let buckets = bucket::Bucket::new(&config, region, account, bucket);
    let tables = table::Table::new(&config, table);
    let keys = key::Keys::new(&config);
    let bucket_found = buckets.find().await?;
    bucket_found.may_be_changed(&format!("bucket `{bucket}` of account {account}"), existing)?;
    let table_found = tables.find().await?;
    table_found.may_be_changed(&format!("table `{table}` in {region}"), existing)?;
    let (key, key_found) = keys.find().await?;
    key_found.may_be_changed(&format!("key `{}` in {region}", key::ALIAS), existing)?;
    let key = keys.ensure(key, key_found).await?;
    let bucket = buckets.ensure(bucket_found, &key.name).await?;
    let table = tables.ensure(table_found, &key.name).await?;
    Ok(Report { key, bucket, table })
}

/// Waits until `setting` of `what` is read back as it was set.
async fn read_back<F>(
    what: &str,
    setting: &'static str,
    patience: Duration,
    mut is_set: impl FnMut() -> F,
) -> Result<&'static str>
where
    F: Future<Output = Result<bool>>,
{
    tracing::debug!("set {setting} of {what}");
    let begun = clock::now();
    let mut pause = Duration::from_millis(100);
    while !is_set().await? {
        if clock::now().saturating_sub(begun) >= patience {
            let message =
                format!("{setting} of {what} was set, but has not taken effect after {} s", patience.as_secs());
            return Err(Error::failed(message).hint(
                "check whether something else changes it, such as an organization policy, then run the command again",
            ));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(3));
    }
    Ok(setting)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn what_is_set_is_looked_at_until_it_is_there() -> Result<()> {
        let looks = Cell::new(0);
        let is_set = || async {
            looks.set(looks.get() + 1);
            Ok(looks.get() == 3)
        };
        assert_eq!(read_back("bucket", "policy", Duration::from_mins(1), is_set).await?, "policy");
        assert_eq!(looks.get(), 3);
        let never = read_back("bucket", "policy", Duration::from_millis(10), || async { Ok(false) }).await;
        assert!(
            never.is_err_and(|error| error.message().contains("policy of bucket was set, but has not taken effect"))
        );
        Ok(())
    }
}
