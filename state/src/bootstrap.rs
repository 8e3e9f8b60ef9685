//! Makes what the state lives in: a key, a bucket, a table. Run again, it repairs what has been changed.
//!
//! What it makes carries a tag from the moment on in which it exists. What exists and lacks the tag is somebody else's,
//! and keeps its settings.

mod bucket;
mod key;
mod table;

use std::time::Duration;

use aws_config::{Region, SdkConfig};
use payinfra_engine::{Class, Error, Result};
use serde::Serialize;

use crate::clock;

/// Where the state is going to live.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The region of all.
    pub region: &'a str,
    /// The account of all.
    pub account: &'a str,
    /// The bucket of states.
    pub bucket: &'a str,
    /// The table of locks.
    pub table: &'a str,
}

/// What to do about a key, bucket or table that exists already and does not carry the tag that bootstrap gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Change nothing of it, and fail.
    Refuse,
    /// Use it: tag it, and change its settings.
    Adopt,
}

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
    /// Whether it existed without our tag, and has it now.
    pub adopted: bool,
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
    /// A thing that was `found` so, and the settings that had to be set.
    fn new(name: &str, found: Found, set: Vec<&'static str>) -> Self {
        let repaired = if found == Found::Missing { Vec::new() } else { set };
        Self { name: name.to_owned(), created: found == Found::Missing, adopted: found == Found::Untagged, repaired }
    }
}

/// Whether something exists, and whether bootstrap made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Missing,
    Ours,
    Untagged,
}

impl Found {
    /// That it may be changed.
    fn may_be_changed(self, what: &str, existing: Existing) -> Result<()> {
        if self != Self::Untagged || existing == Existing::Adopt {
            return Ok(());
        }
        let (key, value) = TAG;
        let message = format!("{what} exists, and bootstrap did not create it: it lacks the tag `{key}` = `{value}`");
        Err(Error::new(Class::Foreign, message).hint(
            "nothing was changed. If it is to hold states or locks, run `payinfra bootstrap --adopt`: it tags it and \
             changes its settings; else name another one in `[state]` of payinfra.toml",
        ))
    }
}

/// One request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The tag of all three, by which bootstrap knows what it made.
const TAG: (&str, &str) = ("payinfra:component", "state");
/// How long what was set may take to be seen.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes bucket and table, and a key for them, where they are missing; sets right what differs, and reads back what it set.
///
/// The bucket keeps all versions, encrypts with the key, takes only TLS, and is closed to the public. The table is paid
/// per request, encrypted with the key, and can be restored to any point in time. Policy statements and tags of others
/// stay. What exists without our tag is not changed, unless it is to be adopted.
///
/// # Errors
/// If the bucket is another account's or in another region, the table is something else, something exists that bootstrap
/// did not make, or AWS refuses a call. Nothing is made before the names are known to be free or ours.
pub async fn bootstrap(config: &SdkConfig, place: Place<'_>, existing: Existing) -> Result<Report> {
    let Place { region, account, bucket, table } = place;
    let config = config.clone().into_builder().region(Region::new(region.to_owned())).build();
    let buckets = bucket::Bucket::new(&config, region, account, bucket);
    let tables = table::Table::new(&config, table);
    let keys = key::Keys::new(&config);
    let bucket_found = buckets.find().await?;
    bucket_found.may_be_changed(&format!("the bucket `{bucket}` of account {account}"), existing)?;
    let table_found = tables.find().await?;
    table_found.may_be_changed(&format!("the table `{table}` in {region}"), existing)?;
    let (key, key_found) = keys.find().await?;
    key_found.may_be_changed(&format!("the key `{}` in {region}", key::ALIAS), existing)?;
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
                format!("{setting} of {what} was set, and is still not as it was set after {} s", patience.as_secs());
            return Err(Error::failed(message)
                .hint("check whether something else changes it, such as an organization's policy, and run it again"));
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
        assert_eq!(read_back("the bucket", "policy", Duration::from_mins(1), is_set).await?, "policy");
        assert_eq!(looks.get(), 3);
        let never = read_back("the bucket", "policy", Duration::from_millis(10), || async { Ok(false) }).await;
        assert!(never.is_err_and(|error| error.message().contains("policy of the bucket was set, and is still not")));
        Ok(())
    }
}
