//! Handles events. What it needs of AWS are two traits.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::timeout;

use crate::event::{Created, Event, Failure};
use crate::session::Session;

/// The time that is reserved for the response.
const ANSWERING: Duration = Duration::from_millis(200);

/// A failed call.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct CallError(pub String);

/// The metadata of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The size in bytes.
    pub size: i64,
    /// The content type.
    pub content_type: String,
}

/// The objects of buckets.
pub trait Objects {
    /// The metadata of an object; `None` if it does not exist any more.
    fn metadata(&self, created: &Created) -> impl Future<Output = Result<Option<Metadata>, CallError>>;
}

/// The table of sessions.
pub trait Sessions {
    /// Writes a session unless it exists; returns whether it did not.
    fn put(&self, session: &Session) -> impl Future<Output = Result<bool, CallError>>;
    /// The session with this id, as its JSON.
    fn find(&self, id: &str) -> impl Future<Output = Result<Option<Value>, CallError>>;
}

/// The function.
#[derive(Debug)]
pub struct Function<O, S> {
    objects: O,
    sessions: S,
    region: String,
    days: u32,
}

impl<O: Objects, S: Sessions> Function<O, S> {
    /// The function in `region`. Its sessions expire after `days`.
    pub fn new(objects: O, sessions: S, region: &str, days: u32) -> Self {
        Self { objects, sessions, region: region.to_owned(), days }
    }

    /// Handles an event, and returns the response. `left` is the time until Lambda ends the function.
    ///
    /// # Errors
    /// If the event is not one of the function's, or an object was not processed: Lambda delivers the event again, and
    /// what was processed stays as it is.
    pub async fn handle(&self, event: &[u8], left: Duration) -> Result<Value, Failure> {
        let begun = Instant::now();
        let left = || left.saturating_sub(ANSWERING).saturating_sub(begun.elapsed());
        match Event::parse(event)? {
            Event::Request { method, path } => {
                let (status, body) = timeout(left(), self.answer(&method, &path)).await.unwrap_or_else(|_| {
                    tracing::error!("the table does not respond in time");
                    (503, json!({ "error": "the table does not respond in time" }))
                });
                let headers = json!({ "cache-control": "no-store", "content-type": "application/json" });
                Ok(json!({ "statusCode": status, "headers": headers, "body": body.to_string() }))
            }
            Event::Created(all) => {
                let mut failed = 0;
                for created in &all {
                    let done = timeout(left(), self.process(created)).await;
                    let done = done.unwrap_or_else(|_| Err(CallError("the function has no time left".to_owned())));
                    if let Err(error) = done {
                        tracing::error!(key = created.key, %error, "not processed");
                        failed += 1;
                    }
                }
                if failed > 0 { Err(Failure::NotProcessed { failed, all: all.len() }) } else { Ok(json!({})) }
            }
        }
    }

    /// Writes the session of an object.
    async fn process(&self, created: &Created) -> Result<(), CallError> {
        let Some(metadata) = self.objects.metadata(created).await? else {
            tracing::info!(key = created.key, "the object does not exist any more");
            return Ok(());
        };
        let session = Session::new(created, metadata, &self.region, self.days);
        let new = self.sessions.put(&session).await?;
        tracing::info!(key = created.key, session_id = session.session_id, new, "processed");
        Ok(())
    }

    async fn answer(&self, method: &str, path: &str) -> (u16, Value) {
        match (method, &path.split('/').skip(1).collect::<Vec<_>>()[..]) {
            ("GET", ["health"]) => (200, json!({ "status": "ok", "region": self.region })),
            ("GET", ["sessions", id]) if is_id(id) => match self.sessions.find(id).await {
                Ok(Some(session)) => (200, session),
                Ok(None) => (404, json!({ "error": "there is no such session" })),
                Err(error) => {
                    tracing::error!(%error, "the session cannot be read");
                    (503, json!({ "error": "the table does not respond" }))
                }
            },
            (_, ["health"] | ["sessions", _]) if method != "GET" => (405, json!({ "error": "use GET" })),
            _ => (404, json!({ "error": "not found" })),
        }
    }
}

/// Whether it may be the id of a session; all others need no call.
fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use super::*;

    /// A bucket and a table in memory.
    #[derive(Default)]
    struct Fake {
        gone: bool,
        fails: Cell<usize>,
        stored: RefCell<BTreeMap<String, Value>>,
        puts: Cell<usize>,
    }

    impl Objects for &Fake {
        async fn metadata(&self, _: &Created) -> Result<Option<Metadata>, CallError> {
            Ok((!self.gone).then(|| Metadata { size: 3, content_type: "text/plain".to_owned() }))
        }
    }

    impl Sessions for &Fake {
        async fn put(&self, session: &Session) -> Result<bool, CallError> {
            if self.fails.get() > 0 {
                self.fails.set(self.fails.get() - 1);
                return Err(CallError("throttled".to_owned()));
            }
            self.puts.set(self.puts.get() + 1);
            let item = serde_json::to_value(session).unwrap();
            Ok(self.stored.borrow_mut().insert(session.session_id.clone(), item).is_none())
        }

        async fn find(&self, id: &str) -> Result<Option<Value>, CallError> {
            Ok(self.stored.borrow().get(id).cloned())
        }
    }

    fn event(keys: &[&str]) -> Vec<u8> {
        let record = |key: &&str| {
            let s3 = json!({ "bucket": { "name": "b" }, "object": { "key": key, "eTag": "e", "versionId": "v1" } });
            json!({ "eventName": "ObjectCreated:Put", "eventTime": "2026-11-27T07:00:00Z", "s3": s3 })
        };
        json!({ "Records": keys.iter().map(record).collect::<Vec<_>>() }).to_string().into_bytes()
    }

    const LEFT: Duration = Duration::from_secs(5);

    async fn get(function: &Function<&Fake, &Fake>, method: &str, path: &str) -> (u64, Value) {
        let event = json!({ "rawPath": path, "requestContext": { "http": { "method": method } } }).to_string();
        let answer = function.handle(event.as_bytes(), LEFT).await.unwrap();
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        (answer["statusCode"].as_u64().unwrap(), body)
    }

    #[tokio::test]
    async fn t04_an_object_has_one_session_however_often_it_is_delivered() {
        let fake = Fake::default();
        let function = Function::new(&fake, &fake, "us-east-1", 30);
        for _ in 0..2 {
            assert_eq!(function.handle(&event(&["a"]), LEFT).await, Ok(json!({})));
        }
        let stored = fake.stored.borrow().clone();
        let (id, session) = stored.iter().next().unwrap();
        assert_eq!((stored.len(), &session["key"], &session["size"]), (1, &json!("a"), &json!(3)));
        assert_eq!(session["expires_at"], json!(1_795_762_800 + 30 * 86_400), "{session}");
        assert_eq!(get(&function, "GET", &format!("/sessions/{id}")).await, (200, session.clone()));
    }

    #[tokio::test]
    async fn t04_what_failed_is_delivered_again_and_the_rest_is_done() {
        let fake = Fake { fails: Cell::new(1), ..Fake::default() };
        let function = Function::new(&fake, &fake, "us-east-1", 30);
        let failure = Failure::NotProcessed { failed: 1, all: 2 };
        assert_eq!(function.handle(&event(&["a", "b"]), LEFT).await, Err(failure));
        assert_eq!(fake.puts.get(), 1);
        assert_eq!(function.handle(&event(&["a", "b"]), LEFT).await, Ok(json!({})));
        assert_eq!(fake.stored.borrow().len(), 2);
    }

    #[tokio::test]
    async fn t04_an_object_that_is_gone_needs_no_session_and_no_time_left_is_a_failure() {
        let fake = Fake { gone: true, ..Fake::default() };
        let function = Function::new(&fake, &fake, "us-east-1", 30);
        assert_eq!(function.handle(&event(&["a"]), LEFT).await, Ok(json!({})));
        assert!(fake.stored.borrow().is_empty());
    }

    #[tokio::test]
    async fn t05_requests_have_a_status() {
        let fake = Fake::default();
        let function = Function::new(&fake, &fake, "us-east-1", 30);
        let unknown = format!("/sessions/{}", "0".repeat(32));
        for (method, path, status) in [
            ("GET", "/health", 200),
            ("POST", "/health", 405),
            ("GET", &unknown, 404),
            ("DELETE", &unknown, 405),
            ("GET", "/sessions/../secrets", 404),
            ("GET", "/sessions/A", 404),
            ("GET", "/", 404),
        ] {
            assert_eq!(get(&function, method, path).await.0, status, "{method} {path}");
        }
    }
}
