//! Which request goes where. Three routes need no framework, and one would bring other features of hyper and tower,
//! with which every AWS client would have to be compiled anew.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use payment_core::{Audit, Clock, Outcome, Place, Processor, Store, card, is_id};
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

/// The longest body.
const BODY: usize = 16 * 1024;
/// How long a client may take to send its body.
const SENDING: Duration = Duration::from_secs(10);
/// How long a request may take once it is there. Whoever is told to come again may repeat it.
const WORKING: Duration = Duration::from_secs(20);
/// How long the deep health check may take.
const CHECKING: Duration = Duration::from_secs(2);
/// What the deep health check asks for; there need be no such payment.
const PROBE: &str = "health-check";

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// The service: the core, and where it runs.
#[derive(Debug)]
pub struct App<S, A, C> {
    processor: Processor<S, A, C>,
    place: Place,
}

/// A status, a body, and what else the client should know.
struct Answer {
    status: StatusCode,
    body: Value,
    header: Option<(HeaderName, HeaderValue)>,
}

impl<S: Store, A: Audit, C: Clock> App<S, A, C> {
    /// The service around `processor`.
    pub fn new(processor: Processor<S, A, C>, place: Place) -> Self {
        Self { processor, place }
    }

    /// Answers a request, and logs a line about it.
    ///
    /// # Errors
    /// None: every failure has an answer.
    pub async fn handle<B>(&self, request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible>
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let begun = Instant::now();
        let correlation_id = correlation_id(request.headers());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.route(request, &correlation_id).await;
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (status, path) = (answer.status.as_u16(), card::redact(&path));
        tracing::info!(%method, %path, status, millis, correlation_id, "request");
        Ok(answer.response(&correlation_id))
    }

    async fn route<B>(&self, request: Request<B>, correlation_id: &str) -> Answer
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let uri = request.uri().clone();
        let parts: Vec<_> = uri.path().split('/').skip(1).collect();
        match (request.method(), &parts[..]) {
            (&Method::POST, ["payments"]) => match read(request.into_body()).await {
                Ok(body) => working(self.processor.accept(&body, correlation_id)).await,
                Err(answer) => answer,
            },
            (&Method::GET, ["payments", id]) => working(self.processor.find(id, correlation_id)).await,
            (&Method::GET, ["health"]) => self.health(uri.query() == Some("deep")).await,
            (_, ["payments"]) => Answer::not_allowed("POST"),
            (_, ["payments", _] | ["health"]) => Answer::not_allowed("GET"),
            _ => Answer::error(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }

    /// The load balancer asks for the shallow one: that the table fails must not take all tasks out of service, for
    /// others would fail as well. The deep one is for people and alarms.
    async fn health(&self, deep: bool) -> Answer {
        let Place { region, phase } = &self.place;
        let state = |status: &str| json!({ "status": status, "region": region, "phase": phase });
        if !deep {
            return Answer::new(StatusCode::OK, state("ok"));
        }
        match timeout(CHECKING, self.processor.store().get(PROBE)).await {
            Ok(Ok(_)) => Answer::new(StatusCode::OK, state("ok")),
            Ok(Err(fault)) => {
                tracing::error!(error = %card::redact(&fault.message), "the table does not answer");
                Answer::new(StatusCode::SERVICE_UNAVAILABLE, state("the table does not answer"))
            }
            Err(_) => Answer::new(StatusCode::SERVICE_UNAVAILABLE, state("the table does not answer in time")),
        }
    }
}

impl Answer {
    fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body, header: None }
    }

    fn error(status: StatusCode, error: &str) -> Self {
        Self::new(status, json!({ "error": error }))
    }

    fn not_allowed(methods: &'static str) -> Self {
        let answer = Self::error(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method");
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

/// The client's correlation id, or a new one: what it sends goes into logs and records, so it must look like an id.
fn correlation_id(headers: &HeaderMap) -> String {
    let sent = headers.get(CORRELATION_ID).and_then(|value| value.to_str().ok());
    let fit = sent.filter(|id| is_id(id) && card::redact(id) == **id);
    fit.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

/// The whole body, if it is not too long in any sense.
async fn read<B>(body: B) -> Result<Bytes, Answer>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let collected = timeout(SENDING, Limited::new(body, BODY).collect()).await;
    let collected = collected.map_err(|_| Answer::error(StatusCode::REQUEST_TIMEOUT, "the body does not come"))?;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let limit = format!("the body is longer than {BODY} bytes");
            Err(Answer::error(StatusCode::PAYLOAD_TOO_LARGE, &limit))
        }
        Err(_) => Err(Answer::error(StatusCode::BAD_REQUEST, "the body cannot be read")),
    }
}

/// The outcome of a request, unless it takes too long.
async fn working(work: impl Future<Output = Outcome>) -> Answer {
    if let Ok(outcome) = timeout(WORKING, work).await {
        let status = StatusCode::from_u16(outcome.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Answer::new(status, outcome.body())
    } else {
        let answer = Answer::error(StatusCode::SERVICE_UNAVAILABLE, "this takes too long; send it again");
        Answer { header: Some((RETRY_AFTER, HeaderValue::from_static("1"))), ..answer }
    }
}
