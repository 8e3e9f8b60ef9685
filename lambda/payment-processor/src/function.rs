//! Handles events.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use payment_aws::{ATTEMPT, Metrics, write};
use payment_core::{
    Api, Audit, Audits, Cause, Clock, Fault, LONGEST_BODY, Outcome, Place, Processor, Route, Settled, Store, card,
    is_id,
};
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::event::{Event, Failure, Request, StreamRecord, failed};
use crate::settings::Settings;

/// The time limit of the health check.
const CHECKING: Duration = Duration::from_secs(2);

/// The time that is reserved for the response.
const ANSWERING: Duration = Duration::from_millis(200);

/// The API of a REST API in front of the function. Requests are routed by [`Function::route`].
pub(crate) const API: Api = Api {
    title: "Payments API",
    routes: &[
        Route {
            method: "POST",
            path: "/payments",
            name: "pay",
            summary: "Make a payment; it is pending until its audit record is written",
            flags: &[],
            keyed: true,
            shows: "Payment",
            showing: &[200],
            statuses: &[400, 409, 413, 500, 503],
        },
        Route {
            method: "GET",
            path: "/payments/{payment_id}",
            name: "find",
            summary: "Get a payment; it is pending until its audit record is written",
            flags: &[],
            keyed: true,
            shows: "Payment",
            showing: &[200],
            statuses: &[404, 500, 503],
        },
        Route {
            method: "GET",
            path: "/health",
            name: "health",
            summary: "Check that the function is running and that its table responds",
            flags: &[],
            keyed: false,
            shows: "Health",
            showing: &[200, 503],
            statuses: &[],
        },
    ],
    refusals: &[405],
    gateway: &[403, 429, 502, 504],
};

/// The function: the core and its environment.
#[derive(Debug)]
pub struct Function<S, A, C> {
    processor: Processor<S, A, C>,
    metrics: Metrics,
    /// The partition key of the table.
    key: String,
    place: Place,
    /// The origin of web pages that may read responses.
    origin: Option<String>,
}

/// The status, the body and a further header of a response.
type Answer = (u16, Value, Option<(&'static str, &'static str)>);

impl<S, A, C> Function<S, A, C>
where
    S: Store + Clone,
    A: Audit + Clone,
    C: Clock + Clone,
{
    /// The function for `processor`.
    pub fn new(processor: Processor<S, A, C>, settings: &Settings) -> Self {
        let (key, place) = (settings.key.id.clone(), settings.place.clone());
        let metrics = Metrics::new(place.clone());
        let metrics = match &settings.namespace {
            Some(namespace) => metrics.in_namespace(namespace.clone()),
            None => metrics,
        };
        let origin = settings.origin.clone();
        Self { processor: processor.with_audits(Audits::Follow), metrics, key, place, origin }
    }

    /// Handles an event, and returns the response. `left` is the time until Lambda ends the function.
    ///
    /// # Errors
    /// If the event is not one of the function's.
    pub async fn handle(&self, event: &[u8], left: Duration) -> Result<Value, Failure> {
        // No call starts that may not end in time.
        let usable = left.saturating_sub(ATTEMPT + ANSWERING);
        let now = Timestamp::now();
        let processor = self.processor.until(now.checked_add(usable).unwrap_or(now));
        let left = left.saturating_sub(ANSWERING);
        match Event::parse(event)? {
            Event::Request(request) => Ok(self.answer(&processor, &request, left).await),
            Event::Stream { records } => Ok(self.settle(&processor, &records, left).await),
        }
    }

    async fn answer(&self, processor: &Processor<S, A, C>, request: &Request, left: Duration) -> Value {
        let begun = Instant::now();
        let sent = request.header("x-correlation-id").filter(|id| is_id(id) && card::redact(id) == **id);
        let correlation_id = sent.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        let work = self.route(processor, request, &correlation_id);
        let answer = timeout(left, work).await;
        let (status, body, header) = answer.unwrap_or_else(|_| self.of(&late()));
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status, millis, correlation_id, "request");
        let mut headers = json!({
            "cache-control": "no-store",
            "content-type": "application/json",
            "x-correlation-id": correlation_id,
        });
        let origin = self.origin.as_deref().map(|origin| ("access-control-allow-origin", origin));
        for (name, value) in header.into_iter().chain(origin) {
            headers[name] = value.into();
        }
        json!({ "statusCode": status, "headers": headers, "body": body.to_string(), "isBase64Encoded": false })
    }

    async fn route(&self, processor: &Processor<S, A, C>, request: &Request, correlation_id: &str) -> Answer {
        let parts: Vec<_> = request.path().split('/').skip(1).collect();
        match (request.method(), &parts[..]) {
            ("POST", [.., "payments" | "payment"]) => match request.body() {
                None => self.refused(400, "the body cannot be read"),
                Some(body) if body.len() > LONGEST_BODY => {
                    self.refused(413, &format!("the body is larger than {LONGEST_BODY} bytes"))
                }
                Some(body) => self.of(&processor.accept(&body, correlation_id).await),
            },
            ("GET", [.., "payments" | "payment", id]) => self.of(&processor.find(id, correlation_id).await),
            ("GET", [.., "health"]) => self.health(processor).await,
            (_, [.., "payments" | "payment"]) => not_allowed("POST"),
            (_, [.., "payments" | "payment", _] | [.., "health"]) => not_allowed("GET"),
            _ => (404, json!({ "error": "not found" }), None),
        }
    }

    async fn health(&self, processor: &Processor<S, A, C>) -> Answer {
        let Place { region, phase } = &self.place;
        let state = |status: &str| json!({ "status": status, "region": region, "phase": phase });
        match timeout(CHECKING, processor.check()).await {
            Ok(Ok(())) => (200, state("ok"), None),
            Ok(Err(fault)) => {
                tracing::error!(error = %card::redact(&fault.message), "the table does not respond");
                (503, state("the table does not respond"), None)
            }
            Err(_) => (503, state("the table does not respond in time"), None),
        }
    }

    /// Metrics are written with each event: the function may not run again.
    fn of(&self, outcome: &Outcome) -> Answer {
        self.metrics.event(Timestamp::now(), outcome).iter().for_each(write);
        let status = outcome.status();
        (status, outcome.body(), (status == 503).then_some(RETRY))
    }

    fn refused(&self, status: u16, error: &str) -> Answer {
        self.metrics.refused("body");
        self.metrics.counted(Timestamp::now()).iter().for_each(write);
        (status, json!({ "error": error }), None)
    }

    /// Settles the new payments of a batch. Those after a failure are still settled: Lambda delivers them again, and
    /// settling is idempotent. A malformed item is only logged: it would fail each time, and delay all later ones.
    async fn settle(&self, processor: &Processor<S, A, C>, records: &[StreamRecord], left: Duration) -> Value {
        let begun = Instant::now();
        let mut failures = Vec::new();
        // A payment may have several new items.
        let mut settled = BTreeMap::new();
        // Changes other than inserts are the function's own marks.
        for record in records.iter().filter(|record| record.name == "INSERT") {
            let Some(id) = record.dynamodb.id(&self.key) else {
                tracing::error!(key = self.key, "an item of the stream has another key");
                failures.push(&record.dynamodb.sequence);
                continue;
            };
            let done = match settled.get(id) {
                Some(done) => *done,
                None => settled_in(left.saturating_sub(begun.elapsed()), id, processor.settle(id)).await,
            };
            settled.insert(id, done);
            if !done {
                failures.push(&record.dynamodb.sequence);
            }
        }
        failed(&failures)
    }
}

const RETRY: (&str, &str) = ("retry-after", "1");

fn not_allowed(methods: &'static str) -> Answer {
    (405, json!({ "error": "this path does not support this method" }), Some(("allow", methods)))
}

/// The outcome of a request that did not end in time.
fn late() -> Outcome {
    let fault = Fault { cause: Cause::Late, message: "the deadline passed during a call".to_owned() };
    Outcome::Failed { transaction_id: None, fault }
}

/// Whether a payment needs no further event.
async fn settled_in(left: Duration, id: &str, settling: impl Future<Output = Result<Settled, Fault>>) -> bool {
    match timeout(left, settling).await {
        Ok(Ok(Settled::Now | Settled::Before | Settled::NotHere)) => true,
        Ok(Err(fault)) => {
            tracing::error!(transaction_id = id, error = %card::redact(&fault.message), "not settled");
            fault.cause == Cause::Malformed
        }
        Err(_) => {
            tracing::error!(transaction_id = id, "not settled in time");
            false
        }
    }
}
