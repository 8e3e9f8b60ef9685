//! The lock as an item in `DynamoDB`: a lease with a heartbeat, a nonce and an epoch.
//!
//! No clocks of different machines are compared. A holder increments the item's `Beat` ten times per lease. Another
//! process that finds the item held watches it, and takes the lock over only after `Beat` has not changed for a whole
//! lease on its own clock, under the condition that it still has not changed. The holder counts its lease from *before*
//! it sent the last heartbeat that was acknowledged, which is earlier than any watcher can have seen it, and stops a
//! margin before the end. So a stopped or disconnected holder knows that its lease has expired before anybody can have
//! taken the lock over.
//!
//! The item outlives its holders, so that epochs never repeat. If it is lost or restored from a backup, the epoch
//! continues from the state's.
//!
//! A record that cannot be read (damaged, or written by another program) counts as a holder without a heartbeat: it is
//! taken over after a lease, or released by `unlock`. All conditions compare the raw attributes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use futures_util::future::BoxFuture;
use payinfra_engine::{Class, Error, Guard, Holder, Lease, Lock, Result};
use payinfra_sdk::Explain;
use tokio::task::JoinHandle;

use crate::clock;
use crate::epoch::{Next, next_epoch};
use crate::retry::{patiently, timeouts};

/// How long a holder without a heartbeat keeps the lock.
const LEASE: Duration = Duration::from_secs(30);
/// The longest lease that is plausible; a longer one means that the record is damaged.
const LONGEST: Duration = Duration::from_hours(1);
/// Heartbeats per lease.
const BEATS: u32 = 10;
/// How often to watch again if the lock changes hands meanwhile.
const ROUNDS: usize = 10;
/// Releases the lock: removes every attribute except the key and the epoch.
const REMOVE: &str = "REMOVE Nonce, Beat, Holder, LeaseMillis";

/// The lock of one workspace: the item `STACK/WORKSPACE` of a table.
#[derive(Clone, Debug)]
pub struct DynamoLock {
    client: Client,
    table: String,
    key: String,
    lease: Duration,
}

impl DynamoLock {
    /// The lock of `workspace` of `stack` in `table`, in the region of `config`.
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

    /// Sets a lease other than 30 seconds. There are ten heartbeats per lease.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    fn change(&self, expression: &str, condition: &str) -> UpdateItemFluentBuilder {
        let call = self.client.update_item().table_name(&self.table).key("LockID", text(&self.key));
        call.update_expression(expression)
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    async fn send(&self, call: UpdateItemFluentBuilder) -> Result<Answer> {
        let Err(error) = call.send().await else { return Ok(Answer::Done) };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                Ok(Answer::Refused(self.item(refused.item().cloned())))
            }
            _ => Err(error).explain().map_err(|error| self.missing(error)),
        }
    }

    fn missing(&self, error: Error) -> Error {
        if !error.is(Class::NotFound) {
            return error;
        }
        Error::failed(format!("lock table `{}` not found", self.table))
            .hint("create it with `payinfra bootstrap`, or correct `[state]` in payinfra.toml")
            .source(error)
    }

    async fn read(&self) -> Result<Item> {
        let call = self.client.get_item().table_name(&self.table).key("LockID", text(&self.key)).consistent_read(true);
        let answer = patiently(|| async { call.clone().send().await.explain() }).await;
        Ok(self.item(answer.map_err(|error| self.missing(error))?.item))
    }

    fn item(&self, attributes: Option<HashMap<String, AttributeValue>>) -> Item {
        Item::of(attributes.unwrap_or_default(), self.lease)
    }

    /// Acquires the lock as `item` shows it: free, or held by a holder without a heartbeat.
    async fn take(&self, holder: &Holder, item: &Item, floor: u64) -> Result<Taken> {
        let place = format!("table `{}`, item `{}`", self.table, self.key);
        let next = next_epoch(item.epoch(), floor, &place)?;
        // Any action of another process in the meantime changes one of these attributes.
        let attributes = [NONCE, BEAT, EPOCH];
        let as_it_is = attributes.map(|name| item.is_still(name));
        let changes = "SET Nonce = :nonce, Beat = :zero, Holder = :holder, LeaseMillis = :lease, Epoch = :epoch";
        let about = serde_json::to_string(holder).map_err(|error| Error::failed(error.to_string()))?;
        let mut call = self
            .change(changes, &as_it_is.join(" AND "))
            .expression_attribute_values(":nonce", text(&holder.nonce))
            .expression_attribute_values(":holder", text(&about))
            .expression_attribute_values(":lease", number(millis(self.lease)))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":epoch", number(next.epoch));
        for name in attributes {
            if let Some(value) = item.attributes.get(name) {
                call = call.expression_attribute_values(was(name), value.clone());
            }
        }
        let first = clock::now();
        let mut sent = first;
        let answer = patiently(|| {
            sent = clock::now();
            self.send(call.clone())
        });
        Ok(match answer.await? {
            Answer::Done => Taken::Ours { next, sent },
            // An earlier attempt took effect, but its response was lost.
            Answer::Refused(item) if item.is_held_by(&holder.nonce) => Taken::Ours { next, sent: first },
            Answer::Refused(item) => Taken::Not(item),
        })
    }

    /// Watches whether the holder of `item` is alive. Returns the item once the lock is free, or after a lease without
    /// a heartbeat.
    async fn watch(&self, item: Item) -> Result<Item> {
        let Some(held) = &item.held else { return Ok(item) };
        let begun = clock::now();
        let lease = held.lease;
        let pause = (lease / BEATS / 3).max(Duration::from_millis(5));
        let mut told = false;
        loop {
            tokio::time::sleep(pause).await;
            // Take the time before the read: the item it returns has not changed since.
            let watched = clock::now().saturating_sub(begun);
            let now = self.read().await?;
            let Some(holder) = now.held.as_ref().map(|held| &held.holder) else { return Ok(now) };
            if [NONCE, BEAT].iter().any(|name| now.attributes.get(*name) != item.attributes.get(*name)) {
                return Err(locked(holder, lease));
            }
            if watched >= lease {
                tracing::info!("no heartbeat from {} for {} s", name(holder), lease.as_secs());
                return Ok(now);
            }
            if !told && watched > lease / BEATS * 2 {
                tracing::info!("{} seems to be dead: waiting {} s for a heartbeat", name(holder), lease.as_secs());
                told = true;
            }
        }
    }

    async fn obtain(&self, holder: &Holder, floor: u64) -> Result<Box<dyn Lease>> {
        let mut item = self.read().await?;
        let mut watched = false;
        for _ in 0..ROUNDS {
            item = match &item.held {
                // The heartbeat has moved, so the holder is alive.
                Some(held) if watched => return Err(locked(&held.holder, held.lease)),
                Some(_) => self.watch(item).await?,
                None => item,
            };
            watched = true;
            item = match self.take(holder, &item, floor).await? {
                Taken::Ours { next, sent } => return Ok(Box::new(self.keep(holder, next, sent))),
                Taken::Not(now) => now,
            };
        }
        Err(Error::new(Class::Locked, "the lock keeps changing hands").hint("run the command again in a moment"))
    }

    fn keep(&self, holder: &Holder, next: Next, sent: Duration) -> DynamoLease {
        let vital = Arc::new(Mutex::new(Vital { until: sent + usable(self.lease), lost: None }));
        let heart = tokio::spawn(beat(self.clone(), holder.nonce.clone(), Arc::clone(&vital)));
        DynamoLease { lock: self.clone(), nonce: holder.nonce.clone(), next, vital, heart: Heart(heart) }
    }

    /// Releases the lock if `nonce` holds it.
    async fn free(&self, nonce: AttributeValue) -> Result<Answer> {
        let call = self.change(REMOVE, "Nonce = :nonce").expression_attribute_values(":nonce", nonce);
        let mut attempts = 0;
        let answer = patiently(|| {
            attempts += 1;
            self.send(call.clone())
        });
        Ok(match answer.await? {
            // An earlier attempt took effect, but its response was lost.
            Answer::Refused(_) if attempts > 1 => Answer::Done,
            answer => answer,
        })
    }
}

impl Lock for DynamoLock {
    fn acquire<'a>(&'a self, holder: &'a Holder, floor: u64) -> BoxFuture<'a, Result<Box<dyn Lease>>> {
        Box::pin(self.obtain(holder, floor))
    }

    fn epoch(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async { Ok(self.read().await?.epoch()) })
    }

    fn holder(&self) -> BoxFuture<'_, Result<Option<Holder>>> {
        Box::pin(async { Ok(self.read().await?.held.map(|held| held.holder)) })
    }

    fn force_release<'a>(&'a self, holder: &'a Holder) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            // Callers see a placeholder for a nonce that is not a string.
            let item = self.read().await?;
            let nonce = item.attributes.get(NONCE).filter(|_| item.is_held_by(&holder.nonce));
            let answer = match nonce {
                Some(nonce) => self.free(nonce.clone()).await?,
                None => Answer::Refused(item),
            };
            match answer {
                Answer::Done => Ok(()),
                Answer::Refused(item) => Err(not_theirs(item.held.as_ref().map(|held| &held.holder))),
            }
        })
    }
}

/// The held lock.
struct DynamoLease {
    lock: DynamoLock,
    nonce: String,
    next: Next,
    vital: Arc<Mutex<Vital>>,
    heart: Heart,
}

/// The data of the heartbeat.
struct Vital {
    until: Duration,
    lost: Option<String>,
}

/// A heartbeat that stops when its lease is dropped.
struct Heart(JoinHandle<()>);

impl Drop for Heart {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Renews the lease until it is lost. A heartbeat whose response is lost is not repeated: the next one has a higher
/// count.
async fn beat(lock: DynamoLock, nonce: String, vital: Arc<Mutex<Vital>>) {
    let pause = lock.lease / BEATS;
    for beat in 1.. {
        tokio::time::sleep(pause).await;
        // Heartbeats that arrive late are rejected, so that `Beat` never returns to a value that a watcher has seen.
        let call = lock
            .change("SET Beat = :beat", "Nonce = :nonce AND (attribute_not_exists(Beat) OR Beat < :beat)")
            .expression_attribute_values(":nonce", text(&nonce))
            .expression_attribute_values(":beat", number(beat));
        let sent = clock::now();
        let answer = tokio::time::timeout(lock.lease / 3, lock.send(call)).await;
        let mut vital = vital.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(Ok(Answer::Refused(item))) if !item.is_held_by(&nonce) => {
                let taker = item.held.map_or_else(|| "somebody".to_owned(), |held| name(&held.holder));
                tracing::warn!("{taker} took the lock over");
                vital.lost = Some(taker);
                return;
            }
            Ok(Ok(Answer::Done)) => vital.until = sent + usable(lock.lease),
            // Watchers do not see our heartbeat, so the lease must end here as well.
            Ok(Ok(Answer::Refused(_))) => {
                tracing::warn!("the lock could not be renewed: something else changed its `Beat`");
            }
            Ok(Err(error)) => tracing::warn!("the lock could not be renewed: {error}"),
            Err(_) => tracing::warn!("the lock could not be renewed: no response in time"),
        }
    }
}

impl Lease for DynamoLease {
    fn guard(&self) -> Guard {
        let (vital, lease) = (Arc::clone(&self.vital), self.lock.lease);
        Arc::new(move || {
            let vital = vital.lock().unwrap_or_else(PoisonError::into_inner);
            let lost = match &vital.lost {
                Some(taker) => format!("{taker} took the lock over from this run"),
                None if clock::now() >= vital.until => {
                    format!("the lock could not be renewed within its lease of {} s", lease.as_secs())
                }
                None => return Ok(()),
            };
            Err(Error::new(Class::Locked, lost).hint("run the same command again to continue"))
        })
    }

    fn epoch(&self) -> u64 {
        self.next.epoch
    }

    fn lifted_from(&self) -> Option<u64> {
        self.next.lifted_from
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            self.heart.0.abort();
            match self.lock.free(text(&self.nonce)).await? {
                Answer::Done => Ok(()),
                Answer::Refused(item) => Err(not_theirs(item.held.as_ref().map(|held| &held.holder))),
            }
        })
    }
}

enum Answer {
    Done,
    /// The condition failed; the item as it is.
    Refused(Item),
}

enum Taken {
    Ours {
        next: Next,
        sent: Duration,
    },
    /// Another process was faster; the item as it is now.
    Not(Item),
}

/// The raw item, and what could be parsed of it.
struct Item {
    attributes: HashMap<String, AttributeValue>,
    held: Option<Held>,
}

struct Held {
    holder: Holder,
    lease: Duration,
}

/// The holder, if any.
const NONCE: &str = "Nonce";
/// The heartbeat counter.
const BEAT: &str = "Beat";
/// The last epoch.
const EPOCH: &str = "Epoch";

impl Item {
    /// Parses an item. A lease that cannot be read is replaced with `lease`.
    fn of(attributes: HashMap<String, AttributeValue>, lease: Duration) -> Self {
        let held = attributes.get(NONCE).map(|nonce| {
            // A nonce that is not a string is represented by a placeholder.
            let nonce = nonce.as_s().map_or_else(|_| format!("{nonce:?}"), Clone::clone);
            let holder = attributes.get("Holder").and_then(|holder| holder.as_s().ok());
            let holder = holder.and_then(|holder| serde_json::from_str::<Holder>(holder).ok());
            let lease = numeric(&attributes, "LeaseMillis")
                .map(Duration::from_millis)
                .filter(|lease| !lease.is_zero() && *lease <= LONGEST)
                .unwrap_or(lease);
            let holder = match holder {
                Some(holder) => Holder { nonce, ..holder },
                None => Holder::unreadable(nonce),
            };
            Held { holder, lease }
        });
        Self { attributes, held }
    }

    /// The last epoch; if it cannot be read, the next epoch is based on the state's.
    fn epoch(&self) -> u64 {
        numeric(&self.attributes, EPOCH).unwrap_or(0)
    }

    fn is_held_by(&self, nonce: &str) -> bool {
        self.held.as_ref().is_some_and(|held| held.holder.nonce == nonce)
    }

    /// The condition that the attribute `name` is unchanged.
    fn is_still(&self, name: &str) -> String {
        match self.attributes.get(name) {
            Some(_) => format!("{name} = {}", was(name)),
            None => format!("attribute_not_exists({name})"),
        }
    }
}

/// The placeholder of the previous value of the attribute `name`.
fn was(name: &str) -> String {
    format!(":was{name}")
}

fn numeric(attributes: &HashMap<String, AttributeValue>, name: &str) -> Option<u64> {
    attributes.get(name)?.as_n().ok()?.parse().ok()
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

/// The share of a lease that its holder uses; the rest allows for clock drift and calls in transit.
fn usable(lease: Duration) -> Duration {
    lease * (BEATS - 1) / BEATS
}

fn name(holder: &Holder) -> String {
    if !holder.is_readable() {
        return "a holder whose record cannot be read".to_owned();
    }
    format!("{} (process {}, `{}`, since {})", holder.who, holder.pid, holder.command, holder.since)
}

/// The error that the lock is held.
pub(crate) fn locked(holder: &Holder, lease: Duration) -> Error {
    let hint = match lease.as_secs() {
        0 => "wait until it has finished".to_owned(),
        lease => format!("wait until it has finished; if it was killed, the lock expires after {lease} s"),
    };
    Error::new(Class::Locked, format!("the lock is held by {}", name(holder))).hint(hint)
}

/// The error that the lock is no longer held by the expected holder.
pub(crate) fn not_theirs(now: Option<&Holder>) -> Error {
    let message = match now {
        Some(holder) => format!("the lock is now held by {}", name(holder)),
        None => "the lock is no longer held".to_owned(),
    };
    Error::new(Class::Locked, message).hint("nothing was released")
}
