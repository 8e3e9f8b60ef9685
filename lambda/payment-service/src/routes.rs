//! Routing. Three routes need no framework, and a framework would enable other features of hyper and tower, so that all
//! AWS clients would have to be compiled again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use jiff::Timestamp;
use payment_aws::Metrics;
use payment_core::{
    Api, Audit, Clock, LATE, LONGEST_BODY, Outcome, Place, Processor, Repairs, Route, Sweep, card, is_id,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use crate::keys::Access;
use crate::work::Works;

/// The time limit for receiving the body.
const SENDING: Duration = Duration::from_secs(10);
/// The time limit for processing a request. Clients may retry after it.
const WORKING: Duration = Duration::from_secs(20);
/// The time limit of the deep health check.
const CHECKING: Duration = Duration::from_secs(2);

/// The maximum number of concurrent reads and of concurrent deep health checks; more are rejected immediately.
const READS: usize = 256;
const CHECKS: usize = 2;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// The routes and their responses, for the API description. Requests are routed by [`App::route`].
pub(crate) const API: Api = Api {
    title: "Payment service",
    routes: &[
        Route {
            method: "POST",
            path: "/payments",
            name: "pay",
            summary: "Make a payment; repeats of the request get the same response",
            flags: &[],
            keyed: true,
            shows: "Payment",
            showing: &[200],
            statuses: &[401, 408, 409, 413, 500, 503],
        },
        Route {
            method: "GET",
            path: "/payments/{transactionId}",
            name: "find",
            summary: "Get a payment; it is pending until its audit record is written",
            flags: &[],
            keyed: true,
            shows: "Payment",
            showing: &[200],
            statuses: &[401, 404, 500, 503],
        },
        Route {
            method: "GET",
            path: "/health",
            name: "health",
            summary: "Check that the service is running and, with `?deep`, that its table responds",
            flags: &["deep"],
            keyed: false,
            shows: "Health",
            showing: &[200, 503],
            statuses: &[],
        },
    ],
    // Invalid HTTP, an unsupported method, too many connections.
    refusals: &[400, 405, 429],
    gateway: &[],
};

/// The service: the core and its environment.
#[derive(Debug)]
pub struct App<S, A, C> {
    processor: Arc<Processor<S, A, C>>,
    place: Place,
    access: Access,
    metrics: Arc<Metrics>,
    works: Works,
    reads: Semaphore,
    checks: Semaphore,
}

/// Why a connection only gets responses to health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// There are too many connections from its address.
    Address,
    /// There are too many connections in total.
    All,
}

/// A response: a status, a body, and further headers.
struct Answer {
    status: StatusCode,
    body: Value,
    header: Option<(HeaderName, HeaderValue)>,
}

impl<S, A, C> App<S, A, C>
where
    S: Sweep + 'static,
    A: Audit + 'static,
    C: Clock + 'static,
{
    /// The service for `processor`, with the authentication `access`.
    pub fn new(processor: Processor<S, A, C>, place: Place, access: Access) -> Self {
        let metrics = Arc::new(Metrics::new(place.clone()));
        let (reads, checks) = (Semaphore::new(READS), Semaphore::new(CHECKS));
        Self { processor: Arc::new(processor), place, access, metrics, works: Works::new(), reads, checks }
    }

    /// The work of each minute: repairs payments, logs the metrics, and reads the API keys again.
    pub(crate) async fn minute(&self) {
        if let Access::Keys(keys) = &self.access {
            keys.refresh().await;
        }
        self.repair().await;
        self.report();
    }

    /// Logs the metrics since the last call.
    pub(crate) fn report(&self) {
        self.metrics.lines(Timestamp::now()).iter().for_each(payment_aws::write);
    }

    /// Writes the audit records that earlier processes did not write, and logs the result, if any.
    async fn repair(&self) {
        let repairs = self.processor.repair().await;
        if let Ok(repairs) = repairs {
            self.metrics.repairs(repairs);
        }
        match repairs {
            Ok(Repairs { repaired: 0, failed: 0 }) => {}
            Ok(Repairs { repaired, failed: 0 }) => tracing::info!(repaired, "a sweep repaired payments"),
            Ok(Repairs { repaired, failed }) => {
                tracing::warn!(repaired, failed, "a sweep could not repair all payments");
            }
            Err(fault) => tracing::error!(error = %card::redact(&fault.message), "a sweep failed"),
        }
    }

    /// Waits, at most for `limit`, until all payments in progress are stored; returns whether they are.
    pub(crate) async fn finished(&self, limit: Duration) -> bool {
        self.works.finished(limit).await
    }

    /// Handles a request, and logs it.
    ///
    /// # Errors
    /// Never: every failure has a response.
    pub(crate) async fn handle<B>(
        &self,
        request: Request<B>,
        crowd: Option<Crowd>,
    ) -> Result<Response<Full<Bytes>>, Infallible>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let begun = Instant::now();
        let correlation_id = correlation_id(request.headers());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = match crowd {
            Some(crowd) if path != "/health" => self.crowded(crowd),
            _ => self.route(request, &correlation_id).await,
        };
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Unknown methods and paths are not logged: they could contain a card number.
        let known =
            [Method::GET, Method::POST, Method::HEAD, Method::OPTIONS, Method::PUT, Method::PATCH, Method::DELETE];
        let method = if known.contains(&method) { method.as_str() } else { "[other]" };
        let path = if path.split('/').skip(1).all(|part| part.is_empty() || is_id(part)) { &*path } else { "[other]" };
        let status = answer.status.as_u16();
        tracing::info!(method, path, status, millis, correlation_id, "request");
        let mut response = answer.response(&correlation_id);
        if crowd.is_some() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }

    async fn route<B>(&self, request: Request<B>, correlation_id: &str) -> Answer
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let uri = request.uri().clone();
        let parts: Vec<_> = uri.path().split('/').skip(1).collect();
        if let ["payments", ..] = &parts[..]
            && !self.access.admits(request.headers().get(API_KEY).map(HeaderValue::as_bytes))
        {
            self.metrics.refused("key");
            return Answer::error(StatusCode::UNAUTHORIZED, "x-api-key is missing or invalid");
        }
        match (request.method(), &parts[..]) {
            (&Method::POST, ["payments"]) => match read(request.into_body()).await {
                Ok(body) => self.accept(body, correlation_id).await,
                Err(answer) => {
                    self.metrics.refused("body");
                    answer
                }
            },
            (&Method::GET, ["payments", id]) => match self.reads.try_acquire() {
                Ok(_place) => working(self.processor.find(id, correlation_id)).await,
                Err(_) => self.busy(),
            },
            (&Method::GET, ["health"]) => match deep(uri.query()) {
                Some(deep) => self.health(deep).await,
                None => Answer::error(StatusCode::BAD_REQUEST, "deep must not have a value"),
            },
            (_, ["payments"]) => Answer::not_allowed("POST"),
            (_, ["payments", _] | ["health"]) => Answer::not_allowed("GET"),
            _ => Answer::error(StatusCode::NOT_FOUND, "not found"),
        }
    }

    /// A payment is stored in a separate task, because hyper drops the request's future when the client disconnects,
    /// and a payment must not be left half-stored.
    async fn accept(&self, body: Bytes, correlation_id: &str) -> Answer {
        let (processor, metrics) = (Arc::clone(&self.processor), Arc::clone(&self.metrics));
        let id = correlation_id.to_owned();
        let work = self.works.start(async move {
            let outcome = processor.accept(&body, &id).await;
            metrics.outcome(&outcome);
            outcome
        });
        let Some(work) = work else { return self.busy() };
        match timeout(WORKING, work).await {
            Ok(Ok(outcome)) => Answer::of(&outcome),
            Ok(Err(error)) => {
                tracing::error!(%error, correlation_id, "the task of a payment ended early");
                Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
            }
            Err(_) => Answer::busy(LATE),
        }
    }

    /// Requests above the limit are rejected at once: they would time out anyway.
    fn busy(&self) -> Answer {
        self.metrics.refused("busy");
        Answer::busy("the service is overloaded; retry the request")
    }

    fn crowded(&self, crowd: Crowd) -> Answer {
        self.metrics.refused("connections");
        match crowd {
            Crowd::All => Answer::busy("too many connections; retry the request"),
            Crowd::Address => {
                let error = "too many connections from this address; retry the request";
                Answer::error(StatusCode::TOO_MANY_REQUESTS, error).later()
            }
        }
    }

    /// The load balancer uses the shallow check: a table that fails must not remove all tasks from service, because
    /// other tasks would fail as well. The deep check is for people and alarms.
    async fn health(&self, deep: bool) -> Answer {
        let Place { region, phase } = &self.place;
        let state = |status: &str| json!({ "status": status, "region": region, "phase": phase });
        if !deep {
            return Answer::new(StatusCode::OK, state("ok"));
        }
        let Ok(_place) = self.checks.try_acquire() else {
            return Answer::new(StatusCode::SERVICE_UNAVAILABLE, state("too many checks at once")).later();
        };
        match timeout(CHECKING, self.processor.check()).await {
            Ok(Ok(())) => Answer::new(StatusCode::OK, state("ok")),
            Ok(Err(fault)) => {
                tracing::error!(error = %card::redact(&fault.message), "the table does not respond");
                Answer::new(StatusCode::SERVICE_UNAVAILABLE, state("the table does not respond"))
            }
            Err(_) => Answer::new(StatusCode::SERVICE_UNAVAILABLE, state("the table does not respond in time")),
        }
    }
}

impl Answer {
    fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body, header: None }
    }

    fn of(outcome: &Outcome) -> Self {
        let status = StatusCode::from_u16(outcome.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let answer = Self::new(status, outcome.body());
        if status == StatusCode::SERVICE_UNAVAILABLE { answer.later() } else { answer }
    }

    /// A temporary failure.
    fn busy(error: &str) -> Self {
        Self::error(StatusCode::SERVICE_UNAVAILABLE, error).later()
    }

    fn later(self) -> Self {
        Self { header: Some((RETRY_AFTER, HeaderValue::from_static("1"))), ..self }
    }

    fn error(status: StatusCode, error: &str) -> Self {
        Self::new(status, json!({ "error": error }))
    }

    fn not_allowed(methods: &'static str) -> Self {
        let answer = Self::error(StatusCode::METHOD_NOT_ALLOWED, "this path does not support this method");
        Self { header: Some((ALLOW, HeaderValue::from_static(methods))), ..answer }
    }

    fn response(self, correlation_id: &str) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body.to_string())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(id) = HeaderValue::from_str(correlation_id) {
            headers.insert(CORRELATION_ID, id);
        }
        headers.extend(self.header);
        response
    }
}

/// The client's correlation id, or a new one. Logs and records contain it, so it must be a well-formed id.
fn correlation_id(headers: &HeaderMap) -> String {
    let sent = headers.get(CORRELATION_ID).and_then(|value| value.to_str().ok());
    let fit = sent.filter(|id| is_id(id) && card::redact(id) == **id);
    fit.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

/// Whether a query requests the deep health check; `None` if `deep` has a value.
fn deep(query: Option<&str>) -> Option<bool> {
    let mut values = query.unwrap_or_default().split('&').filter_map(|pair| match pair.split_once('=') {
        Some(("deep", value)) => Some(value),
        _ => (pair == "deep").then_some(""),
    });
    let first = values.next();
    first.into_iter().chain(values).all(str::is_empty).then_some(first.is_some())
}

/// The complete body, if it is within the limits.
async fn read<B>(body: B) -> Result<Bytes, Answer>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let collected = timeout(SENDING, Limited::new(body, LONGEST_BODY).collect()).await;
    let collected =
        collected.map_err(|_| Answer::error(StatusCode::REQUEST_TIMEOUT, "the body was not received in time"))?;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let limit = format!("the body is larger than {LONGEST_BODY} bytes");
            Err(Answer::error(StatusCode::PAYLOAD_TOO_LARGE, &limit))
        }
        Err(_) => Err(Answer::error(StatusCode::BAD_REQUEST, "the body cannot be read")),
    }
}

/// The outcome of a request, unless it times out.
async fn working(work: impl Future<Output = Outcome>) -> Answer {
    timeout(WORKING, work).await.map_or_else(|_| Answer::busy(LATE), |outcome| Answer::of(&outcome))
}
