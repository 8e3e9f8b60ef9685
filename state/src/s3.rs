//! The state as an object in S3, written under the condition that nobody else wrote (AWS-FACTS §3.4).

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use futures_util::future::BoxFuture;
use payinfra_engine::{Class, Error, Result, Store, Stored};
use payinfra_sdk::{Explain, Need, Unless};

use crate::backend::check_name;
use crate::retry::{PAUSES, patiently, timeouts};

/// One request, with its body. A state of ten thousand resources is a few megabytes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The state of one workspace in a bucket: `STACK/WORKSPACE/state.json`, and `STACK/WORKSPACE/history/` beside it.
#[derive(Clone, Debug)]
pub struct S3Store {
    client: Client,
    bucket: String,
    folder: String,
}

/// A client that leaves retries to us. Emulators have no host name per bucket: an endpoint of one's own is path style.
pub(crate) fn client(config: &SdkConfig) -> Client {
    let config = aws_sdk_s3::config::Builder::from(config)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(TIMEOUT))
        .force_path_style(config.endpoint_url().is_some());
    Client::from_conf(config.build())
}

impl S3Store {
    /// The state of `workspace` of `stack` in `bucket`, which is in the region of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig, bucket: &str, stack: &str, workspace: &str) -> Self {
        Self { client: client(config), bucket: bucket.to_owned(), folder: format!("{stack}/{workspace}") }
    }

    fn state(&self) -> String {
        format!("{}/state.json", self.folder)
    }

    fn history(&self, name: &str) -> Result<String> {
        check_name("history entry", name)?;
        Ok(format!("{}/history/{name}", self.folder))
    }

    fn at(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    async fn get(&self, key: &str) -> Result<Option<Stored>> {
        patiently(|| self.get_once(key)).await
    }

    async fn get_once(&self, key: &str) -> Result<Option<Stored>> {
        let answer = async {
            let answer = self.client.get_object().bucket(&self.bucket).key(key).send().await.explain();
            let Some(answer) = answer.or_else(|error| self.missing(error)).unless(Class::NotFound)? else {
                return Ok(None);
            };
            let version = answer.e_tag.need("ETag")?;
            let cut = |error| Error::new(Class::Ambiguous, "the answer broke off").call("s3:GetObject").source(error);
            let bytes = answer.body.collect().await.map_err(cut)?.to_vec();
            Ok(Some(Stored { bytes, version }))
        };
        let late = |_| Error::new(Class::Ambiguous, "no answer in time").call("s3:GetObject");
        tokio::time::timeout(TIMEOUT, answer).await.map_err(late)?
    }

    /// That there is no bucket is another thing than that there is no object in it.
    fn missing<T>(&self, error: Error) -> Result<T> {
        if error.get_code() != Some("NoSuchBucket") {
            return Err(error);
        }
        Err(Error::new(Class::Failed, format!("there is no bucket `{}` for the state", self.bucket))
            .call("s3:GetObject")
            .code("NoSuchBucket")
            .hint("run `payinfra bootstrap`, or correct `[state]` in payinfra.toml"))
    }

    async fn put_once(&self, key: &str, bytes: &[u8], over: Option<&str>) -> Result<String> {
        let call = self.client.put_object().bucket(&self.bucket).key(key).content_type("application/json");
        let call = match over {
            Some(version) => call.if_match(version),
            None => call.if_none_match("*"),
        };
        let answer = call.body(ByteStream::from(bytes.to_vec())).send().await.explain();
        answer.or_else(|error| self.missing(error))?.e_tag.need("ETag")
    }

    /// Writes under the condition that `over` is still there. `None`: it is not, and what is there is not ours.
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
                // An object that was to be replaced and is gone is a condition that failed, too.
                Class::Stale | Class::Conflict | Class::Throttled | Class::NotFound => {}
                _ => return Err(error),
            }
            // Whatever the answer was, what is stored tells whether the write took effect and whether it still can.
            match self.get(key).await? {
                Some(there) if unsure && there.bytes == bytes => {
                    tracing::debug!("the write of {} took effect although its answer was lost", self.at(key));
                    return Ok(Some(there.version));
                }
                there if there.as_ref().map(|there| &there.version[..]) != over => return Ok(None),
                _ => {}
            }
            let Some(pause) = pauses.next() else { return Err(error) };
            tracing::debug!("{error}; once more in {} ms", pause.as_millis());
            tokio::time::sleep(pause).await;
        }
    }

    async fn list(&self) -> Result<Vec<String>> {
        let folder = format!("{}/history/", self.folder);
        let mut names = Vec::new();
        let mut next = None;
        loop {
            let call = self.client.list_objects_v2().bucket(&self.bucket).prefix(&folder).set_continuation_token(next);
            let page = patiently(|| async { call.clone().send().await.explain() }).await;
            let page = page.or_else(|error| self.missing(error))?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            names.extend(keys.filter_map(|key| key.strip_prefix(&folder)).map(str::to_owned));
            next = page.next_continuation_token;
            if next.is_none() {
                names.sort();
                return Ok(names);
            }
        }
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

    fn keep<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let key = self.history(name)?;
            if self.put(&key, bytes, None).await?.is_some() {
                return Ok(());
            }
            // A run that was repeated keeps the same once more.
            match self.get(&key).await? {
                Some(there) if there.bytes == bytes => Ok(()),
                _ => Err(taken(&self.at(&key))),
            }
        })
    }

    fn kept(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        Box::pin(self.list())
    }

    fn recall<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move { Ok(self.get(&self.history(name)?).await?.map(|stored| stored.bytes)) })
    }
}

/// Somebody else wrote the state.
pub(crate) fn stale(place: &str) -> Error {
    Error::new(Class::Stale, format!("somebody else wrote {place} since it was read; nothing was written"))
        .hint("plan again; if a lock was taken away from this run, the other run goes on")
}

/// Something else is kept under that name.
pub(crate) fn taken(place: &str) -> Error {
    Error::new(Class::Foreign, format!("{place} exists with other content; history is written once"))
}
