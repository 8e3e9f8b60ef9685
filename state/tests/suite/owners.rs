//! A proxy for the emulated AWS that checks the owners of buckets, as AWS does and the emulator does not.
//!
//! Every call of ours to a bucket must name its owner. Calls that do not are rejected, so every test of this suite that
//! reaches S3 verifies it.

use aws_config::SdkConfig;
use aws_smithy_http_client::Builder;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use payinfra_localstack::ACCOUNT_ID;

/// Buckets with this prefix belong to another account, and their policy allows everybody.
pub(crate) const OPEN: &str = "squatted-open-";
/// Buckets with this prefix belong to another account, and deny everybody else.
pub(crate) const CLOSED: &str = "squatted-closed-";
/// Buckets with this prefix are ours, and may be listed, but their objects may not be read.
pub(crate) const SEALED: &str = "sealed-";
/// The host without permission to list buckets.
pub(crate) const BLIND: &str = "blind";

const STRANGER: &str = "210987654321";

/// A client without these rules, for the tests' own calls.
pub(crate) fn plain(config: &SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(config).http_client(network()).force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

/// The client of [`plain`], to which [`Owners`] forwards calls.
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

/// AWS's response to a rejected call.
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
        // There is no owner to name, or the call checks whether there is another one.
        None if create || head => None,
        None => Some((400, "NoExpectedBucketOwner")),
    }
}
