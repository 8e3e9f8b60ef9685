//! The state as an object in S3, written with conditional requests (AWS-FACTS §3.4).

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures_util::future::BoxFuture;
use payinfra_engine::{Class, Error, KEPT, Result, Store, Stored, Version, entry_name, entry_revision};
use payinfra_sdk::{DeniedBucket, Explain, Need};

use crate::name::check_name;
use crate::retry::{PAUSES, patiently, timeouts};

/// The timeout of one request with its body. A state of ten thousand resources has a few megabytes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum number of objects that one call deletes.
const DELETED: usize = 1_000;

/// The state of one workspace in a bucket: `STACK/WORKSPACE/state.json`, with `journal/` and `history/` beside it.
///
/// Every call names the account that must own the bucket. Bucket names are shared by all accounts, and a stranger who
/// created the bucket first could otherwise read our states and replace them.
#[derive(Clone, Debug)]
pub struct S3Store {
    client: Client,
    account: String,
    bucket: String,
    folder: String,
}

/// A client without retries. Emulators have no host name per bucket, so a custom endpoint uses path-style URLs.
pub(crate) fn client(config: &SdkConfig) -> Client {
    let config = aws_sdk_s3::config::Builder::from(config)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(TIMEOUT))
        .force_path_style(config.endpoint_url().is_some());
    Client::from_conf(config.build())
}

impl S3Store {
    /// The state of `workspace` of `stack` in `bucket`, which belongs to `account` and is in the region of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig, account: &str, bucket: &str, stack: &str, workspace: &str) -> Self {
        Self {
            client: client(config),
            account: account.to_owned(),
            bucket: bucket.to_owned(),
            folder: format!("{stack}/{workspace}"),
        }
    }

    fn state(&self) -> String {
        format!("{}/state.json", self.folder)
    }

    fn history(&self, name: &str) -> Result<String> {
        check_name("history entry", name)?;
        Ok(format!("{}/history/{name}", self.folder))
    }

    /// Replaces the report of the drift detector, `STACK/WORKSPACE/drift.json`, and returns its place. The bucket keeps earlier
    /// versions.
    ///
    /// # Errors
    /// If the call fails.
    pub async fn report(&self, bytes: &[u8]) -> Result<String> {
        let key = format!("{}/drift.json", self.folder);
        let put = || async {
            let call = self.client.put_object().bucket(&self.bucket).expected_bucket_owner(&self.account).key(&key);
            let call = call.content_type("application/json").body(ByteStream::from(bytes.to_vec()));
            call.send().await.explain()
        };
        match patiently(put).await {
            Ok(_) => Ok(self.at(&key)),
            Err(error) => Err(self.understood(error).await),
        }
    }

    fn journal(&self, name: &str) -> String {
        format!("{}/journal/{name}", self.folder)
    }

    fn at(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    async fn get(&self, key: &str) -> Result<Option<Stored>> {
        patiently(|| self.get_once(key, None)).await
    }

    /// The object, in `version` or else its newest version.
    async fn get_once(&self, key: &str, version: Option<&str>) -> Result<Option<Stored>> {
        let answer = async {
            let call = self.client.get_object().bucket(&self.bucket).expected_bucket_owner(&self.account).key(key);
            let answer = match call.set_version_id(version.map(str::to_owned)).send().await.explain() {
                Ok(answer) => answer,
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => return Err(self.understood(error).await),
            };
            let version = answer.e_tag.need("ETag")?;
            let cut =
                |error| Error::new(Class::Ambiguous, "the response ended early").call("s3:GetObject").source(error);
            let bytes = answer.body.collect().await.map_err(cut)?.to_vec();
            Ok(Some(Stored { bytes, version }))
        };
        let late = |_| Error::new(Class::Ambiguous, "no response in time").call("s3:GetObject");
        tokio::time::timeout(TIMEOUT, answer).await.map_err(late)?
    }

    /// Tells a missing bucket, and a bucket of another account, from a missing object.
    async fn understood(&self, error: Error) -> Error {
        if error.get_code() != Some("NoSuchBucket") {
            return denied(&self.bucket, &self.account).explain(&self.client, error).await;
        }
        let told = Error::new(Class::Failed, format!("state bucket `{}` not found", self.bucket))
            .call("s3:GetObject")
            .code("NoSuchBucket")
            .hint("create it with `payinfra bootstrap`, or correct `[state]` in payinfra.toml");
        told.source(error)
    }

    async fn put_once(&self, key: &str, bytes: &[u8], over: Option<&str>) -> Result<String> {
        let call = self.client.put_object().bucket(&self.bucket).expected_bucket_owner(&self.account).key(key);
        let call = call.content_type("application/json");
        let call = match over {
            Some(version) => call.if_match(version),
            None => call.if_none_match("*"),
        };
        match call.body(ByteStream::from(bytes.to_vec())).send().await.explain() {
            Ok(answer) => answer.e_tag.need("ETag"),
            Err(error) => Err(self.understood(error).await),
        }
    }

    /// Writes under the condition that the stored version is `over` or, if `None`, that there is no object.
    async fn put(&self, key: &str, bytes: &[u8], over: Option<&str>) -> Result<Option<String>> {
        let mut unsure = false;
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.put_once(key, bytes, over).await {
                Ok(version) => return Ok(Some(version)),
                Err(error) => error,
            };
            match error.class() {
                Class::Ambiguous => unsure = true,
                // If the object to be replaced is gone, the condition has failed as well.
                Class::Stale | Class::Conflict | Class::Throttled | Class::Expired | Class::NotFound => {}
                _ => return Err(error),
            }
            // Whatever the response was, the stored object shows whether the write took effect, and whether it still
            // can.
            match self.get(key).await? {
                Some(there) if unsure && there.bytes == bytes => {
                    tracing::debug!("the write of {} took effect, but its response was lost", self.at(key));
                    return Ok(Some(there.version));
                }
                there if there.as_ref().map(|there| &there.version[..]) != over => return Ok(None),
                _ => {}
            }
            let Some(pause) = pauses.next() else { return Err(error) };
            tracing::debug!("{error}; retrying in {} ms", pause.as_millis());
            tokio::time::sleep(pause).await;
        }
    }

    /// The keys with `prefix` after the key `after`, sorted, without the prefix.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let call = self.client.list_objects_v2().bucket(&self.bucket).expected_bucket_owner(&self.account);
            let call = call.prefix(prefix).set_start_after(after.map(str::to_owned)).set_continuation_token(next);
            let page = match patiently(|| async { call.clone().send().await.explain() }).await {
                Ok(page) => page,
                Err(error) => return Err(self.understood(error).await),
            };
            let names = page.contents().iter().filter_map(|object| object.key()?.strip_prefix(prefix));
            found.extend(names.map(str::to_owned));
            next = page.next_continuation_token;
            if next.is_none() {
                found.sort();
                return Ok(found);
            }
        }
    }

    async fn delete(&self, versions: &[ObjectIdentifier]) -> Result<()> {
        let delete = Delete::builder().quiet(true).set_objects(Some(versions.to_vec())).build();
        let delete = delete.map_err(|error| Error::failed(error.to_string()))?;
        let call = self.client.delete_objects().bucket(&self.bucket).expected_bucket_owner(&self.account);
        let call = call.delete(delete);
        let answer = patiently(|| async { call.clone().send().await.explain() }).await?;
        match answer.errors().first() {
            None => Ok(()),
            Some(error) => {
                let (key, why) = (error.key().unwrap_or_default(), error.message().unwrap_or_default());
                Err(Error::failed(format!("{} was not deleted: {why}", self.at(key))))
            }
        }
    }

    /// All versions of the objects with `prefix`.
    async fn pages_of_versions(&self, prefix: &str) -> Result<Vec<ListObjectVersionsOutput>> {
        let mut pages = Vec::new();
        let mut next = (None, None);
        loop {
            let call = self.client.list_object_versions().bucket(&self.bucket).expected_bucket_owner(&self.account);
            let call = call.prefix(prefix).set_key_marker(next.0).set_version_id_marker(next.1);
            let page = match patiently(|| async { call.clone().send().await.explain() }).await {
                Ok(page) => page,
                Err(error) => return Err(self.understood(error).await),
            };
            next = (page.next_key_marker.clone(), page.next_version_id_marker.clone());
            let is_last = page.is_truncated != Some(true);
            pages.push(page);
            if is_last {
                return Ok(pages);
            }
        }
    }

    async fn list_versions(&self) -> Result<Vec<Version>> {
        let state = self.state();
        // S3 gives times only to the second, so mark the newest version to sort by.
        let mut found: Vec<((bool, i64), Version)> = Vec::new();
        for page in self.pages_of_versions(&state).await? {
            for version in page.versions().iter().filter(|version| version.key() == Some(&state)) {
                let size = u64::try_from(version.size().unwrap_or(0)).unwrap_or(0);
                found.push(one(version.version_id(), version.last_modified(), version.is_latest(), size, false)?);
            }
            for marker in page.delete_markers().iter().filter(|marker| marker.key() == Some(&state)) {
                found.push(one(marker.version_id(), marker.last_modified(), marker.is_latest(), 0, true)?);
            }
        }
        // Within the same second, keep the order in which S3 lists them: newest first.
        found.sort_by_key(|(order, _)| std::cmp::Reverse(*order));
        Ok(found.into_iter().map(|(_, version)| version).collect())
    }
}

/// The versions of log entries in `folder` up to `revision` that are older than [`KEPT`], with delete markers.
fn superseded(pages: &[ListObjectVersionsOutput], folder: &str, revision: u64) -> Result<Vec<ObjectIdentifier>> {
    // A wrong clock of this machine must not delete young entries. S3's time is at least that of the newest entry, which
    // this run has written.
    let newest = pages.iter().flat_map(ListObjectVersionsOutput::versions).filter_map(|it| it.last_modified()).max();
    let Some(limit) = newest.map(|newest| newest.secs() - KEPT.as_secs().cast_signed()) else { return Ok(Vec::new()) };
    let mut old = Vec::new();
    for page in pages {
        let versions = page.versions().iter().map(|it| (it.key(), it.version_id(), it.last_modified()));
        let markers = page.delete_markers().iter().map(|it| (it.key(), it.version_id(), it.last_modified()));
        for (key, id, modified) in versions.chain(markers) {
            let (key, modified) = (key.need("Key")?, modified.need("LastModified")?);
            let entry = key.strip_prefix(folder).and_then(entry_revision);
            if entry.is_some_and(|entry| entry <= revision) && modified.secs() < limit {
                let id = id.need("VersionId")?;
                old.push(ObjectIdentifier::builder().key(key).version_id(id).build().explain()?);
            }
        }
    }
    Ok(old)
}

/// One version with its sort key.
fn one(
    id: Option<&str>,
    modified: Option<&DateTime>,
    is_latest: Option<bool>,
    size: u64,
    deleted: bool,
) -> Result<((bool, i64), Version)> {
    let at = modified.need("LastModified")?;
    let modified = at.fmt(DateTimeFormat::DateTime).map_err(|error| Error::failed(error.to_string()))?;
    let version = Version { id: id.need("VersionId")?.to_owned(), modified, size, deleted };
    Ok(((is_latest == Some(true), at.secs()), version))
}

/// The context for an error of denied access to the state bucket.
pub(crate) fn denied<'a>(name: &'a str, account: &'a str) -> DeniedBucket<'a> {
    DeniedBucket { name, account, is_own_account: true, setting: "`bucket` in `[state]` of payinfra.toml" }
}

/// Whether the object or version does not exist in an existing bucket. A delete marker cannot be read.
fn is_absent(error: &Error) -> bool {
    match error.get_code() {
        Some("NoSuchBucket") => false,
        Some("NoSuchVersion" | "MethodNotAllowed") => true,
        _ => error.is(Class::NotFound),
    }
}

impl Store for S3Store {
    fn load(&self) -> BoxFuture<'_, Result<Option<Stored>>> {
        Box::pin(async { self.get(&self.state()).await })
    }

    fn save<'a>(&'a self, bytes: &'a [u8], over: Option<&'a str>) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let key = self.state();
            self.put(&key, bytes, over).await?.ok_or_else(|| stale(&self.at(&key)))
        })
    }

    fn append<'a>(&'a self, revision: u64, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let key = self.journal(&entry_name(revision));
            self.put(&key, bytes, None).await?.map(drop).ok_or_else(|| stale(&self.at(&key)))
        })
    }

    fn entries(&self, after: u64) -> BoxFuture<'_, Result<Vec<u64>>> {
        Box::pin(async move {
            let listed = self.list(&self.journal(""), Some(&self.journal(&entry_name(after)))).await?;
            Ok(listed.iter().filter_map(|name| entry_revision(name)).collect())
        })
    }

    fn entry(&self, revision: u64) -> BoxFuture<'_, Result<Option<Vec<u8>>>> {
        Box::pin(async move { Ok(self.get(&self.journal(&entry_name(revision))).await?.map(|stored| stored.bytes)) })
    }

    fn prune(&self, revision: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let folder = self.journal("");
            let old = superseded(&self.pages_of_versions(&folder).await?, &folder, revision)?;
            // With its version, so that neither old versions nor delete markers stay.
            for versions in old.chunks(DELETED) {
                self.delete(versions).await?;
            }
            Ok(())
        })
    }

    fn keep<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let key = self.history(name)?;
            if self.put(&key, bytes, None).await?.is_some() {
                return Ok(());
            }
            // A repeated run stores the same content again.
            match self.get(&key).await? {
                Some(there) if there.bytes == bytes => Ok(()),
                _ => Err(taken(&self.at(&key))),
            }
        })
    }

    fn kept(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        Box::pin(async { self.list(&format!("{}/history/", self.folder), None).await })
    }

    fn recall<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move { Ok(self.get(&self.history(name)?).await?.map(|stored| stored.bytes)) })
    }

    fn versions(&self) -> BoxFuture<'_, Result<Vec<Version>>> {
        Box::pin(self.list_versions())
    }

    fn load_version<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let stored = patiently(|| async { self.get_once(&self.state(), Some(id)).await }).await?;
            Ok(stored.map(|stored| stored.bytes))
        })
    }
}

/// The error that somebody else wrote or deleted the state.
pub(crate) fn stale(place: &str) -> Error {
    Error::new(Class::Stale, format!("{place} was changed or deleted since it was read; nothing was written"))
        .hint("run the command again; if the lock was taken over from this run, the other run continues")
}

/// The error that a history entry exists with other content.
pub(crate) fn taken(place: &str) -> Error {
    Error::new(Class::Foreign, format!("{place} exists with other content; history entries are written only once"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use aws_sdk_s3::types::{DeleteMarkerEntry, ObjectVersion};

    use super::*;

    #[test]
    fn only_old_entries_that_the_checkpoint_contains_are_superseded() {
        const NOW: i64 = 1_800_000_000;
        const HOUR: i64 = 3_600;
        let version = |name: &str, id: &str, age: i64| {
            let version = ObjectVersion::builder().key(format!("stack/one/journal/{name}")).version_id(id);
            version.last_modified(DateTime::from_secs(NOW - age)).build()
        };
        let marker = DeleteMarkerEntry::builder().key(format!("stack/one/journal/{}", entry_name(2)));
        let first = ListObjectVersionsOutput::builder()
            .versions(version(&entry_name(1), "old", 25 * HOUR))
            .versions(version(&entry_name(2), "deleted", 26 * HOUR))
            .delete_markers(marker.version_id("marker").last_modified(DateTime::from_secs(NOW - 25 * HOUR)).build());
        let second = ListObjectVersionsOutput::builder()
            .versions(version(&entry_name(3), "young", 23 * HOUR))
            .versions(version(&entry_name(4), "beyond", 25 * HOUR))
            .versions(version("notes.txt", "of-others", 25 * HOUR))
            .versions(version(&entry_name(5), "newest", 0));
        let pages = [first.build(), second.build()];
        let old = superseded(&pages, "stack/one/journal/", 3).unwrap();
        let ids: Vec<_> = old.iter().map(|it| it.version_id().unwrap()).collect();
        assert_eq!(ids, ["old", "deleted", "marker"]);
        // Without a newer entry, nothing is known of S3's time.
        assert!(superseded(&pages[..1], "stack/one/journal/", 3).unwrap().is_empty());
        assert!(superseded(&[], "stack/one/journal/", 3).unwrap().is_empty());
    }
}
