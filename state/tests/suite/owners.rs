//! A way to the emulated AWS that knows who owns a bucket, as AWS does and the emulator does not.
//!
//! Every call of ours to a bucket has to name its owner: one that does not is refused, so that every test of this suite
//! that reaches S3 shows it.

use aws_config::SdkConfig;
use aws_smithy_http_client::Builder;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use payinfra_localstack::ACCOUNT_ID;

/// Buckets whose names begin so are another account's, and their policy lets everybody in.
pub(crate) const OPEN: &str = "squatted-open-";
/// Buckets whose names begin so are another account's, and nobody else gets in.
pub(crate) const CLOSED: &str = "squatted-closed-";
/// Buckets whose names begin so are ours, and we may look at them, but not at what is in them.
pub(crate) const SEALED: &str = "sealed-";
/// The host that may not list buckets.
pub(crate) const BLIND: &str = "blind";

const STRANGER: &str = "210987654321";

/// A client without any rules, for what tests do beside.
pub(crate) fn plain(config: &SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(config).http_client(network()).force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

/// What [`plain`] uses, and [`Owners`] passes calls on to.
fn network() -> SharedHttpClient {
    Builder::new().build_http()
}

/// The rules.
#[derive(Debug)]
pub(crate) struct Owners(SharedHttpClient);

impl Owners {
    pub(crate) fn client() -> SharedHttpClient {
        SharedHttpClient::new(Self(network()))
    }
}

impl HttpClient for Owners {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Gate(self.0.http_connector(settings, components)))
    }
}

#[derive(Debug)]
struct Gate(SharedHttpConnector);

impl HttpConnector for Gate {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match refusal(&request) {
            Some((status, code)) => {
                let body = match request.method() {
                    "HEAD" => String::new(),
                    _ => format!("<Error><Code>{code}</Code><Message>Access Denied</Message></Error>"),
                };
                let status = status.try_into().expect("a status");
                HttpConnectorFuture::ready(Ok(HttpResponse::new(status, body.into())))
            }
            None => self.0.call(request),
        }
    }
}

/// What AWS says to a call to a bucket that it does not let through.
fn refusal(request: &HttpRequest) -> Option<(u16, &'static str)> {
    const DENIED: (u16, &str) = (403, "AccessDenied");
    let signed = request.headers().get("authorization")?;
    if !signed.contains("/s3/aws4_request") {
        return None;
    }
    let (_, path) = request.uri().split_once("://")?.1.split_once('/')?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    if bucket.is_empty() {
        return signed.contains(&format!("Credential={BLIND}/")).then_some(DENIED);
    }
    let head = request.method() == "HEAD";
    let create = request.method() == "PUT" && key.is_empty() && !query.split('&').any(|part| part.ends_with('='));
    let (owner, open) = match bucket {
        bucket if bucket.starts_with(OPEN) => (STRANGER, true),
        bucket if bucket.starts_with(CLOSED) => (STRANGER, false),
        _ => (ACCOUNT_ID, true),
    };
    match request.headers().get("x-amz-expected-bucket-owner") {
        Some(expected) if expected != owner => Some(DENIED),
        _ if !open => Some(DENIED),
        Some(_) if bucket.starts_with(SEALED) && !head => Some(DENIED),
        Some(_) => None,
        // There is no owner to be named, or it is the question whether there is another.
        None if create || head => None,
        None => Some((400, "NoExpectedBucketOwner")),
    }
}
