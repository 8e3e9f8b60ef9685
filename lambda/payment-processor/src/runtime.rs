//! The [Lambda runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html): takes events and returns
//! responses, one at a time.
//!
//! The crate `lambda_runtime` would enable other features of `tower`, `futures-util` and `serde_core`, so that all AWS
//! clients of the workspace would have to be compiled again.

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use serde_json::{Value, json};
use thiserror::Error;

/// The runtime API failed; Lambda starts the function again.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// The API does not respond.
    #[error("the Lambda runtime API does not respond: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    /// The request cannot be built.
    #[error("the address in AWS_LAMBDA_RUNTIME_API is invalid: {0}")]
    Address(#[from] hyper::http::Error),
    /// The event cannot be read.
    #[error("the event cannot be read: {0}")]
    Read(#[from] hyper::Error),
    /// The API rejected a request.
    #[error("the Lambda runtime API responds with status {0} to {1}")]
    Status(u16, &'static str),
    /// A header is missing.
    #[error("the event has no valid header {0}")]
    Header(&'static str),
}

const ID: &str = "lambda-runtime-aws-request-id";
const DEADLINE: &str = "lambda-runtime-deadline-ms";

/// The runtime API at an address.
#[derive(Debug)]
pub struct Runtime {
    client: Client<HttpConnector, Full<Bytes>>,
    address: String,
}

impl Runtime {
    /// The API at `address`, the value of `AWS_LAMBDA_RUNTIME_API`.
    fn new(address: &str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), address: address.to_owned() }
    }

    /// The API that Lambda names in the environment, and the settings that `read` finds there. Without them, it reports that
    /// the function cannot start.
    ///
    /// # Errors
    /// If there is no API, if it fails, or if the settings are invalid.
    pub async fn start<S, E: Error + 'static>(
        read: impl FnOnce(fn(&str) -> Option<String>) -> Result<S, E>,
    ) -> Result<(Self, S), Box<dyn Error>> {
        let address = std::env::var("AWS_LAMBDA_RUNTIME_API").map_err(|_| "AWS_LAMBDA_RUNTIME_API is not set")?;
        let runtime = Self::new(&address);
        match read(|name| std::env::var(name).ok()) {
            Ok(settings) => Ok((runtime, settings)),
            Err(error) => {
                runtime.cannot_start(&error.to_string()).await?;
                Err(error.into())
            }
        }
    }

    /// Handles events until the API fails: `handle` gets an event and the time that is left for it. Lambda ends the process when it
    /// is not needed.
    ///
    /// # Errors
    /// If the API fails.
    pub async fn serve<E: Display>(
        &self,
        handle: impl AsyncFn(&[u8], Duration) -> Result<Value, E>,
    ) -> Result<(), RuntimeError> {
        loop {
            self.serve_one(&handle).await?;
        }
    }

    /// Reports that the function cannot start.
    ///
    /// # Errors
    /// If the API fails.
    async fn cannot_start(&self, error: &str) -> Result<(), RuntimeError> {
        self.post("init/error", &problem("Settings", error)).await
    }

    async fn serve_one<E: Display>(
        &self,
        handle: &impl AsyncFn(&[u8], Duration) -> Result<Value, E>,
    ) -> Result<(), RuntimeError> {
        let request = Request::get(self.url("invocation/next")).body(Full::default())?;
        let (parts, body) = self.client.request(request).await?.into_parts();
        if !parts.status.is_success() {
            return Err(RuntimeError::Status(parts.status.as_u16(), "invocation/next"));
        }
        let event = body.collect().await?.to_bytes();
        let id = header(&parts.headers, ID)?;
        let deadline = header(&parts.headers, DEADLINE)?.parse().map_err(|_| RuntimeError::Header(DEADLINE))?;
        let left = i64::saturating_sub(deadline, Timestamp::now().as_millisecond());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
        match handle(&event, left).await {
            Ok(answer) => self.post(&format!("invocation/{id}/response"), &answer).await,
            Err(error) => {
                tracing::error!(%error, "the event cannot be handled");
                self.post(&format!("invocation/{id}/error"), &problem("Event", &error.to_string())).await
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/2018-06-01/runtime/{path}", self.address)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(), RuntimeError> {
        let request = Request::post(self.url(path)).header("content-type", "application/json");
        let response: Response<_> = self.client.request(request.body(Full::from(body.to_string()))?).await?;
        let status = response.status();
        // The connection is only used again after the whole response is read.
        response.into_body().collect().await?;
        // 413 is for a response that is too large, which these cannot be.
        if status.is_success() { Ok(()) } else { Err(RuntimeError::Status(status.as_u16(), "a response")) }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, RuntimeError> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or(RuntimeError::Header(name))
}

fn problem(kind: &str, message: &str) -> Value {
    json!({ "errorType": kind, "errorMessage": message })
}
