//! The lock as an item in `DynamoDB`: a lease with a heartbeat, a nonce and an epoch.
//!
//! No two machines' clocks are compared. A holder moves the item's `Beat` ten times per lease; who finds the item held
//! watches it, and takes it over only after `Beat` has stood still for a whole lease on the watcher's own clock, under
//! the condition that it still stands there. The holder counts its lease from *before* it sent the beat that was
//! answered last, which is earlier than any watcher can have seen it, and stops a margin before the end. So a stopped
//! or cut-off holder knows that its lease is over before anybody can have taken it.
//!
//! The item outlives its holders, so that epochs never repeat.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use futures_util::future::BoxFuture;
use payinfra_engine::{Class, Error, Guard, Holder, Lease, Lock, Result};
use payinfra_sdk::{Explain, Need};
use tokio::task::JoinHandle;

use crate::clock;
use crate::retry::{patiently, timeouts};

/// How long a silent holder keeps the lock.
const LEASE: Duration = Duration::from_secs(30);
/// Beats per lease.
const BEATS: u32 = 10;
/// How often to watch again when the lock changes hands while we look.
const ROUNDS: usize = 10;
/// What nobody holds: every attribute but the key and the epoch.
const REMOVE: &str = "REMOVE Nonce, Beat, Holder, LeaseMillis";

/// The lock of one workspace, the item `STACK/WORKSPACE` of a table.
#[derive(Clone, Debug)]
pub struct DynamoLock {
    client: Client,
    table: String,
    key: String,
    lease: Duration,
}

impl DynamoLock {
    /// The lock of `workspace` of `stack` in `table`, which is in the region of `config`.
    #[must_use]
    pub fn new(config: &SdkConfig, table: &str, stack: &str, workspace: &str) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts(Duration::from_secs(5)));
        Self {
            client: Client::from_conf(config.build()),
            table: table.to_owned(),
            key: format!("{stack}/{workspace}"),
            lease: LEASE,
        }
    }

    /// With another lease than 30 seconds; heartbeats come ten times per lease.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    fn change(&self, expression: &str, condition: &str) -> UpdateItemFluentBuilder {
        let call = self.client.update_item().table_name(&self.table).key("LockID", text(&self.key));
        call.update_expression(expression)
            .condition_expression(condition)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    async fn send(&self, call: UpdateItemFluentBuilder) -> Result<Answer> {
        let error = match call.send().await {
            Ok(answer) => return Item::of(&answer.attributes.unwrap_or_default()).map(Answer::Done),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                Item::of(refused.item().unwrap_or(&HashMap::new())).map(Answer::Refused)
            }
            _ => Err(error).explain().map_err(|error| self.missing(error)),
        }
    }

    fn missing(&self, error: Error) -> Error {
        if !error.is(Class::NotFound) {
            return error;
        }
        Error::failed(format!("there is no table `{}` for the lock", self.table))
            .hint("run `payinfra bootstrap`, or correct `[state]` in payinfra.toml")
            .source(error)
    }

    async fn read(&self) -> Result<Item> {
        let call = self.client.get_item().table_name(&self.table).key("LockID", text(&self.key)).consistent_read(true);
        let answer = patiently(|| async { call.clone().send().await.explain() }).await;
        Item::of(&answer.map_err(|error| self.missing(error))?.item.unwrap_or_default())
    }

    /// Takes the lock if it is free, or from `dead`, if that has not moved.
    async fn take(&self, holder: &Holder, dead: Option<&Held>) -> Result<Taken> {
        let changes = "SET Nonce = :nonce, Beat = :zero, Holder = :holder, LeaseMillis = :lease ADD Epoch :one";
        let call = match dead {
            None => self.change(changes, "attribute_not_exists(Nonce)"),
            Some(dead) => self
                .change(changes, "Nonce = :theirs AND Beat = :beat")
                .expression_attribute_values(":theirs", text(&dead.holder.nonce))
                .expression_attribute_values(":beat", number(dead.beat)),
        };
        let about = serde_json::to_string(holder).map_err(|error| Error::failed(error.to_string()))?;
        let call = call
            .expression_attribute_values(":nonce", text(&holder.nonce))
            .expression_attribute_values(":holder", text(&about))
            .expression_attribute_values(":lease", number(millis(self.lease)))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":one", number(1));
        let first = clock::now();
        let mut sent = first;
        let answer = patiently(|| {
            sent = clock::now();
            self.send(call.clone())
        });
        Ok(match answer.await? {
            Answer::Done(item) => Taken::Ours { epoch: item.epoch, sent },
            // An earlier attempt took effect, although its answer was lost.
            Answer::Refused(item) if item.is_held_by(&holder.nonce) => Taken::Ours { epoch: item.epoch, sent: first },
            Answer::Refused(item) => Taken::Theirs(item.held),
        })
    }

    /// Watches whether `held` is alive. `None`: the lock is free now. `Some`: its holder has not moved for a lease.
    async fn watch(&self, held: Held) -> Result<Option<Held>> {
        let begun = clock::now();
        let lease = held.lease;
        let pause = (lease / BEATS / 3).max(Duration::from_millis(5));
        let mut told = false;
        loop {
            tokio::time::sleep(pause).await;
            // The time is taken before the read: what it returns stood still at least until then.
            let watched = clock::now().saturating_sub(begun);
            let Some(now) = self.read().await?.held else { return Ok(None) };
            if now.holder.nonce != held.holder.nonce || now.beat != held.beat {
                return Err(locked(&now.holder, lease));
            }
            if watched >= lease {
                tracing::info!("{} has not shown a sign of life for {} s", name(&now.holder), lease.as_secs());
                return Ok(Some(now));
            }
            if !told && watched > lease / BEATS * 2 {
                tracing::info!(
                    "{} seems to be dead: waiting {} s for a sign of life",
                    name(&held.holder),
                    lease.as_secs()
                );
                told = true;
            }
        }
    }

    async fn obtain(&self, holder: &Holder) -> Result<Box<dyn Lease>> {
        let mut dead = None;
        let mut watched = false;
        for _ in 0..ROUNDS {
            match self.take(holder, dead.as_ref()).await? {
                Taken::Ours { epoch, sent } => return Ok(Box::new(self.keep(holder, epoch, sent))),
                // It has just moved, so it lives.
                Taken::Theirs(Some(held)) if watched => return Err(locked(&held.holder, held.lease)),
                Taken::Theirs(Some(held)) => dead = self.watch(held).await?,
                Taken::Theirs(None) => dead = None,
            }
            watched = true;
        }
        Err(Error::new(Class::Locked, "the lock goes from hand to hand").hint("try again in a moment"))
    }

    fn keep(&self, holder: &Holder, epoch: u64, sent: Duration) -> DynamoLease {
        let vital = Arc::new(Mutex::new(Vital { until: sent + usable(self.lease), lost: None }));
        let heart = tokio::spawn(beat(self.clone(), holder.nonce.clone(), Arc::clone(&vital)));
        DynamoLease { lock: self.clone(), nonce: holder.nonce.clone(), epoch, vital, heart: Heart(heart) }
    }

    /// Frees the lock, if `nonce` has it. `Some`: it has not, and this is who has.
    async fn free(&self, nonce: &str) -> Result<Answer> {
        let call = self.change(REMOVE, "Nonce = :nonce").expression_attribute_values(":nonce", text(nonce));
        let mut attempts = 0;
        let answer = patiently(|| {
            attempts += 1;
            self.send(call.clone())
        });
        Ok(match answer.await? {
            // An earlier attempt took effect, although its answer was lost.
            Answer::Refused(item) if attempts > 1 => Answer::Done(item),
            answer => answer,
        })
    }
}

impl Lock for DynamoLock {
    fn acquire<'a>(&'a self, holder: &'a Holder) -> BoxFuture<'a, Result<Box<dyn Lease>>> {
        Box::pin(self.obtain(holder))
    }

    fn holder(&self) -> BoxFuture<'_, Result<Option<Holder>>> {
        Box::pin(async { Ok(self.read().await?.held.map(|held| held.holder)) })
    }

    fn force_release<'a>(&'a self, holder: &'a Holder) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            match self.free(&holder.nonce).await? {
                Answer::Done(_) => Ok(()),
                Answer::Refused(item) => Err(not_theirs(item.held.as_ref().map(|held| &held.holder))),
            }
        })
    }
}

/// The lock, held.
struct DynamoLease {
    lock: DynamoLock,
    nonce: String,
    epoch: u64,
    vital: Arc<Mutex<Vital>>,
    heart: Heart,
}

/// What the heartbeat knows.
struct Vital {
    until: Duration,
    lost: Option<String>,
}

/// A heartbeat that ends with its lease.
struct Heart(JoinHandle<()>);

impl Drop for Heart {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Renews the lease until it is lost. A beat whose answer is lost is not repeated: the next one counts further.
async fn beat(lock: DynamoLock, nonce: String, vital: Arc<Mutex<Vital>>) {
    let pause = lock.lease / BEATS;
    for beat in 1.. {
        tokio::time::sleep(pause).await;
        // Beats that a slow network delivers late are refused: `Beat` never goes back to what somebody saw before.
        let call = lock
            .change("SET Beat = :beat", "Nonce = :nonce AND Beat < :beat")
            .expression_attribute_values(":nonce", text(&nonce))
            .expression_attribute_values(":beat", number(beat));
        let sent = clock::now();
        let answer = tokio::time::timeout(lock.lease / 3, lock.send(call)).await;
        let mut vital = vital.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(Ok(Answer::Refused(item))) if !item.is_held_by(&nonce) => {
                let taker = item.held.map_or_else(|| "somebody".to_owned(), |held| name(&held.holder));
                tracing::warn!("{taker} took the lock away");
                vital.lost = Some(taker);
                return;
            }
            Ok(Ok(_)) => vital.until = sent + usable(lock.lease),
            Ok(Err(error)) => tracing::warn!("the lock could not be renewed: {error}"),
            Err(_) => tracing::warn!("the lock could not be renewed: no answer in time"),
        }
    }
}

impl Lease for DynamoLease {
    fn guard(&self) -> Guard {
        let (vital, lease) = (Arc::clone(&self.vital), self.lock.lease);
        Arc::new(move || {
            let vital = vital.lock().unwrap_or_else(PoisonError::into_inner);
            let lost = match &vital.lost {
                Some(taker) => format!("{taker} took the lock away from this run"),
                None if clock::now() >= vital.until => {
                    format!("the lock could not be renewed within its lease of {} s", lease.as_secs())
                }
                None => return Ok(()),
            };
            Err(Error::new(Class::Locked, lost).hint("run the same command again: it goes on where this one stopped"))
        })
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            self.heart.0.abort();
            match self.lock.free(&self.nonce).await? {
                Answer::Done(_) => Ok(()),
                Answer::Refused(item) => Err(not_theirs(item.held.as_ref().map(|held| &held.holder))),
            }
        })
    }
}

enum Answer {
    Done(Item),
    /// The condition did not hold; the item as it is.
    Refused(Item),
}

enum Taken {
    Ours { epoch: u64, sent: Duration },
    Theirs(Option<Held>),
}

/// The item.
struct Item {
    epoch: u64,
    held: Option<Held>,
}

struct Held {
    holder: Holder,
    beat: u64,
    lease: Duration,
}

impl Item {
    fn of(item: &HashMap<String, AttributeValue>) -> Result<Self> {
        let numeric = |name: &str| -> Option<u64> { item.get(name)?.as_n().ok()?.parse().ok() };
        let textual = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
        let held = match textual("Nonce") {
            None => None,
            Some(nonce) => Some(Held {
                holder: textual("Holder")
                    .and_then(|holder| serde_json::from_str(holder).ok())
                    .need("Holder that can be read")
                    .map(|holder| Holder { nonce: nonce.clone(), ..holder })?,
                beat: numeric("Beat").need("Beat")?,
                lease: Duration::from_millis(numeric("LeaseMillis").need("LeaseMillis")?),
            }),
        };
        Ok(Self { epoch: numeric("Epoch").unwrap_or(0), held })
    }

    fn is_held_by(&self, nonce: &str) -> bool {
        self.held.as_ref().is_some_and(|held| held.holder.nonce == nonce)
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn millis(lease: Duration) -> u64 {
    u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)
}

/// How much of a lease its holder uses: the rest is for clocks that run differently fast and calls on their way.
fn usable(lease: Duration) -> Duration {
    lease * (BEATS - 1) / BEATS
}

fn name(holder: &Holder) -> String {
    format!("{} (process {}, `{}`, since {})", holder.who, holder.pid, holder.command, holder.since)
}

/// Somebody has the lock.
pub(crate) fn locked(holder: &Holder, lease: Duration) -> Error {
    let hint = match lease.as_secs() {
        0 => "wait until it has ended".to_owned(),
        lease => format!("wait until it has ended; if it is killed, its lock is free after {lease} s"),
    };
    Error::new(Class::Locked, format!("{} has the lock", name(holder))).hint(hint)
}

/// The lock is not the one's that it was to be taken from.
pub(crate) fn not_theirs(now: Option<&Holder>) -> Error {
    let message = match now {
        Some(holder) => format!("{} has the lock now", name(holder)),
        None => "nobody has the lock any more".to_owned(),
    };
    Error::new(Class::Locked, message).hint("nothing was released")
}
