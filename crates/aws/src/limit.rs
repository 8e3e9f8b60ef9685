//! A client-side implementation of AWS's rate limits (AWS-FACTS §3.1).
//!
//! Every attempt of every call passes [`Limits`], which are part of the HTTP client: a call waits for a token of its
//! bucket,
//! first come, first served. A bucket that AWS throttles anyway halves its rate, and recovers with every accepted call;
//! the throttled call itself waits for its next token.
//!
//! A call with a token passes the [`Gate`], and is sent.
//!
//! A custom endpoint is an emulator without such limits, so they only apply there if `PAYINFRA_RATE_LIMITS` is set, to
//! the factor by which they are multiplied (`1` is AWS's own rate).

mod bucket;
mod rest;
mod table;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, Connector, ConnectorBuilder, tls};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::config_bag::ConfigBag;
use payinfra_engine::{Class, Error, Lane, Region, WIDTH};
use tokio::time::Instant;

use crate::gate::Gate;
use bucket::Bucket;
use table::{Row, Scope};

/// The environment variable that enables the limits for a custom endpoint.
const FACTOR: &str = "PAYINFRA_RATE_LIMITS";

/// The limiter of one account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    /// The factor for the limits; `None` for AWS's own rates, with AWS only.
    factor: Option<f64>,
    buckets: Arc<Mutex<HashMap<Key, Arc<Bucket>>>>,
    gate: Gate,
    client: Arc<OnceLock<SharedHttpClient>>,
}

/// The key of a bucket: region, service, and operation or group of operations.
type Key = (String, &'static str, String);

impl Limits {
    /// The defaults of AWS-FACTS §3.1, and the factor from the environment.
    pub(crate) fn new() -> Self {
        let factor = std::env::var(FACTOR).ok().and_then(|factor| factor.parse().ok());
        match factor.filter(|factor: &f64| factor.is_finite() && *factor > 0.0) {
            Some(factor) => Self::scaled(factor),
            None => Self::default(),
        }
    }

    /// The defaults multiplied by `factor`, whatever the endpoint.
    pub(crate) fn scaled(factor: f64) -> Self {
        Self { factor: Some(factor), ..Self::default() }
    }

    /// `config` with an HTTP client that enforces the limits of `service`.
    pub(crate) fn config(&self, config: &SdkConfig, service: &'static str) -> SdkConfig {
        let service = sharing(service);
        let inner = config.http_client().unwrap_or_else(|| self.client.get_or_init(https).clone());
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let factor = self.factor.or_else(|| config.endpoint_url().is_none().then_some(1.0));
        let pace = factor.map(|factor| Pace { limits: self.clone(), factor, region, service });
        config
            .clone()
            .into_builder()
            .http_client(Paced { inner, pace, gate: self.gate.clone(), patience: patience(service) })
            .build()
    }

    /// The guard that a request has to pass once it has its token.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    fn bucket(&self, pace: &Pace, operation: &str) -> Arc<Bucket> {
        let row = Row::of(pace.service, operation);
        let region = if row.scope == Scope::Account { String::new() } else { pace.region.clone() };
        let name = if row.each { operation } else { row.operations.first().copied().unwrap_or_default() };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry((region, pace.service, name.to_owned()));
        Arc::clone(bucket.or_insert_with(|| Arc::new(Bucket::new(row.burst * pace.factor, row.rate * pace.factor))))
    }
}

/// The service whose limits count for `service`: both versions of API Gateway share theirs.
fn sharing(service: &str) -> &str {
    if service == "apigatewayv2" { "apigateway" } else { service }
}

/// The calls that most changes of resources of `kind` in `region` share a limit with.
pub(crate) fn lane(region: &Region, kind: &str) -> Lane {
    let service = sharing(kind.split_once('.').map_or(kind, |(service, _)| service));
    let row = Row::of(&service.replace('-', "_"), "");
    let limited = if row.each { kind } else { service };
    let name = if row.scope == Scope::Account { limited.to_owned() } else { format!("{region}/{limited}") };
    let burst = usize::try_from(Duration::from_secs_f64(row.burst).as_secs()).unwrap_or_default();
    Lane { name, width: NonZeroUsize::new(burst).map_or(WIDTH, |burst| burst.max(WIDTH)) }
}

/// The maximum age of a signature when a request is sent; AWS accepts five minutes.
const SIGNED: Duration = Duration::from_mins(4);
/// The first and the maximum delay before a throttled request is sent to a custom endpoint again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// The response timeout; S3 may have to receive or delete a lot of data.
fn patience(service: &str) -> Duration {
    Duration::from_secs(if service == "s3" { 120 } else { 30 })
}

/// The SDK's default client.
fn https() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(connector)
}

/// A connector like that of the SDK's default client: the same TLS, the proxy of the environment.
pub(crate) fn connector(settings: Option<&HttpConnectorSettings>, components: Option<&RuntimeComponents>) -> Connector {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    let mut builder = ConnectorBuilder::default().tls_provider(provider);
    builder.set_connector_settings(settings.cloned());
    if let Some(components) = components {
        builder.set_sleep_impl(components.sleep_impl());
    }
    builder.set_proxy_config(Some(ProxyConfig::from_env()));
    builder.build()
}

/// The service and the limits of a client.
#[derive(Clone, Debug)]
struct Pace {
    limits: Limits,
    factor: f64,
    region: String,
    service: &'static str,
}

/// An HTTP client, and each of its connectors, that waits for a token.
#[derive(Clone, Debug)]
struct Paced<T> {
    inner: T,
    /// `None` if there are no limits.
    pace: Option<Pace>,
    gate: Gate,
    patience: Duration,
}

impl HttpClient for Paced<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, parts);
        let Self { pace, gate, patience, .. } = self.clone();
        SharedHttpConnector::new(Paced { inner, pace, gate, patience })
    }

    fn validate_base_client_config(&self, parts: &RuntimeComponentsBuilder, bag: &ConfigBag) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(parts, bag)
    }

    fn validate_final_config(&self, parts: &RuntimeComponents, bag: &ConfigBag) -> Result<(), BoxError> {
        self.inner.validate_final_config(parts, bag)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

impl HttpConnector for Paced<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let paced = self.clone();
        HttpConnectorFuture::new(async move { paced.send(request).await })
    }
}

impl Paced<SharedHttpConnector> {
    /// Sends `request` when it has a token, and again while AWS throttles it. A throttled request had no effect, and
    /// operations with several calls would start over if throttling were returned as an error.
    async fn send(self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let operation = operation(&request);
        let bucket = self.pace.as_ref().map(|pace| pace.limits.bucket(pace, &operation));
        let signed = Instant::now();
        let (mut pause, longest) = PAUSES;
        loop {
            let granted = match &bucket {
                Some(bucket) => bucket.take().await,
                None => Instant::now(),
            };
            if signed.elapsed() > SIGNED {
                let late =
                    Error::new(Class::Throttled, "the request waited for the rate limit until its signature expired");
                return Err(ConnectorError::user(late.into()));
            }
            self.gate.pass(request.method(), &operation)?;
            let again = request.try_clone();
            // A separate timeout, because the SDK's would include the wait for the token.
            let answered = async { look(self.inner.call(request).await?).await };
            let (answer, throttled) = tokio::time::timeout(self.patience, answered).await.map_err(|_| {
                ConnectorError::timeout(format!("no response within {} seconds", self.patience.as_secs()).into())
            })??;
            if !throttled {
                if let Some(bucket) = &bucket {
                    bucket.recover();
                }
                return Ok(answer);
            }
            let Some(next) = again.filter(|_| signed.elapsed() + pause < SIGNED) else { return Ok(answer) };
            tracing::debug!(operation, "throttled");
            if let Some(bucket) = &bucket {
                bucket.shrink(granted);
            } else {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
            request = next;
        }
    }
}

/// The operation, if the protocol contains its name, or it has one in [`rest`].
fn operation(request: &HttpRequest) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.rsplit('.').next().unwrap_or(target).to_owned();
    }
    if let Some((_, operation)) = request.uri().rsplit_once("/operation/") {
        return operation.to_owned();
    }
    if let Some(operation) = rest::operation(request.method(), path(request.uri())) {
        return operation.to_owned();
    }
    let body = request.body().bytes().and_then(|body| std::str::from_utf8(body).ok());
    let action = body.and_then(|body| body.split('&').find_map(|pair| pair.strip_prefix("Action=")));
    action.unwrap_or_default().to_owned()
}

/// The path of a URI, without the query.
fn path(uri: &str) -> &str {
    let uri = uri.split('?').next().unwrap_or_default();
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    if uri.starts_with('/') { uri } else { rest.split_once('/').map_or("", |(_, path)| path) }
}

/// AWS's throttling codes (AWS-FACTS §3.1), in the body.
const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottledException",
    "RequestThrottled",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "EC2ThrottledException",
    "SlowDown",
];

/// The response, and whether it reports throttling. Only errors are read for this, because they are short.
async fn look(mut answer: HttpResponse) -> Result<(HttpResponse, bool), ConnectorError> {
    let status = answer.status().as_u16();
    if !matches!(status, 400 | 403 | 429 | 503) {
        return Ok((answer, false));
    }
    let body = ByteStream::new(answer.take_body()).collect().await;
    let body = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
    let text = String::from_utf8_lossy(&body);
    let throttled = status == 429 || THROTTLED.iter().any(|code| text.contains(code));
    *answer.body_mut() = SdkBody::from(body.clone());
    Ok((answer, throttled))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    fn pace(limits: &Limits, region: &str, service: &'static str) -> Pace {
        Pace { limits: limits.clone(), factor: 1.0, region: region.to_owned(), service }
    }

    #[test]
    fn groups_calls_as_aws_does() {
        let limits = Limits::default();
        let bucket = |region, service, operation: &str| limits.bucket(&pace(&limits, region, service), operation);
        let same = |one: Arc<Bucket>, other: Arc<Bucket>| Arc::ptr_eq(&one, &other);
        let (east, west) = ("us-east-1", "us-west-2");
        assert!(!same(bucket(east, "ec2", "DescribeVpcs"), bucket(east, "ec2", "DescribeSubnets")));
        assert!(!same(bucket(east, "ec2", "CreateVpc"), bucket(west, "ec2", "CreateVpc")));
        assert!(same(bucket(east, "iam", "GetRole"), bucket(west, "iam", "ListRolePolicies")), "IAM is the account's");
        assert!(!same(bucket(east, "iam", "GetRole"), bucket(east, "iam", "CreateRole")));
        assert!(same(bucket(east, "s3", ""), bucket(east, "s3", "")));
        let near = |rate: f64, expected: f64| (rate - expected).abs() < 1e-9;
        assert!(near(bucket(east, "kms", "CreateKey").rate(), 5.0));
        assert!(near(bucket(east, "ec2", "CreateVpcEndpoint").rate(), 0.3));
        assert!(near(bucket(east, "unheard of", "Anything").rate(), 10.0));
    }

    #[test]
    fn as_many_calls_are_in_flight_as_the_limit_allows() {
        let (east, west) = (Region::new("us-east-1"), Region::new("eu-west-1"));
        let width = |kind: &str| lane(&east, kind).width.get();
        assert_eq!((width("ec2.vpc"), width("rds.instance"), width("unheard-of.kind")), (50, 10, 10));
        let name = |region: &Region, kind: &str| lane(region, kind).name;
        assert_ne!(name(&east, "ec2.vpc"), name(&east, "ec2.subnet"), "each operation has its own bucket");
        assert_eq!(name(&east, "rds.cluster"), name(&east, "rds.instance"), "one bucket for all");
        assert_ne!(name(&east, "rds.cluster"), name(&west, "rds.cluster"));
        assert_eq!(name(&east, "apigateway.rest-api"), name(&west, "apigatewayv2.api"), "the account's");
    }

    #[test]
    fn finds_the_operation_in_every_protocol() -> Result<(), Box<dyn std::error::Error>> {
        let query = HttpRequest::new(SdkBody::from("Action=CreateVpc&Version=2016-11-15"));
        assert_eq!(operation(&query), "CreateVpc");
        let mut json = HttpRequest::new(SdkBody::from("{}"));
        json.headers_mut().try_append("x-amz-target", "TrentService.CreateKey")?;
        assert_eq!(operation(&json), "CreateKey");
        let cbor = HttpRequest::get("https://x/service/GraniteServiceVersion20100801/operation/PutMetricAlarm")?;
        assert_eq!(operation(&cbor), "PutMetricAlarm");
        assert_eq!(operation(&HttpRequest::get("https://bucket.s3.amazonaws.com/?tagging")?), "");
        Ok(())
    }

    /// An AWS client whose responses come from `answer`.
    struct Fake<F>(F);

    impl<F> std::fmt::Debug for Fake<F> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Fake")
        }
    }

    impl<F: Fn() -> HttpConnectorFuture + Send + Sync> HttpConnector for Fake<F> {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            (self.0)()
        }
    }

    /// A call with it.
    async fn sent<F>(limits: &Limits, pace: Option<Pace>, answer: F) -> Result<HttpResponse, ConnectorError>
    where
        F: Fn() -> HttpConnectorFuture + Send + Sync + 'static,
    {
        let inner = SharedHttpConnector::new(Fake(answer));
        let mut request = HttpRequest::new(SdkBody::from("Action=CreateVpcEndpoint"));
        assert!(request.set_method("POST").is_ok());
        Paced { inner, pace, gate: limits.gate.clone(), patience: patience("ec2") }.call(request).await
    }

    async fn call(limits: &Limits, answer: fn() -> HttpConnectorFuture) -> Result<HttpResponse, ConnectorError> {
        sent(limits, Some(pace(limits, "us-east-1", "ec2")), answer).await
    }

    fn fine() -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200_u16.try_into().unwrap(), SdkBody::empty())))
    }

    fn throttled() -> HttpConnectorFuture {
        let body = SdkBody::from("<Code>RequestLimitExceeded</Code>");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(503_u16.try_into().unwrap(), body)))
    }

    /// Throttles the first `count` calls.
    fn throttling(count: usize) -> impl Fn() -> HttpConnectorFuture + Send + Sync + 'static {
        let calls = AtomicUsize::new(0);
        move || if calls.fetch_add(1, Ordering::Relaxed) < count { throttled() } else { fine() }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_wait_for_their_turn_and_slow_down_when_throttled() {
        let limits = Limits::default();
        let begun = Instant::now();
        for _ in 0..7 {
            assert!(call(&limits, fine).await.is_ok());
        }
        assert_eq!(begun.elapsed().as_secs(), 10, "four at once, then three at 0.3 a second");
        let begun = Instant::now();
        let ours = Some(pace(&limits, "us-east-1", "ec2"));
        assert!(sent(&limits, ours, throttling(2)).await.is_ok_and(|answer| answer.status().is_success()));
        assert_eq!(begun.elapsed().as_secs(), 23, "at 0.3 a second, at half of that, and at half of that");
    }

    /// An operation with several calls must not start over because the last one was throttled.
    #[tokio::test(start_paused = true)]
    async fn an_endpoint_of_ones_own_that_throttles_is_asked_again() {
        let limits = Limits::default();
        let begun = Instant::now();
        assert!(sent(&limits, None, throttling(3)).await.is_ok_and(|answer| answer.status().is_success()));
        assert_eq!(begun.elapsed().as_millis(), 250 + 500 + 1_000);
        let begun = Instant::now();
        assert!(sent(&limits, None, throttled).await.is_ok_and(|answer| answer.status().as_u16() == 503));
        assert!(begun.elapsed() < SIGNED, "while the signature is good");
    }

    #[test]
    fn listing_the_tags_of_several_zones_is_a_read() {
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_method("POST").unwrap();
        let gate = Gate::default();
        gate.set(Arc::new(|| Err(Error::new(Class::Locked, "the lease was lost"))));
        for (path, reads) in [("hostedzone", true), ("healthcheck", true), ("hostedzone/Z1", false)] {
            request.set_uri(format!("https://route53.amazonaws.com/2013-04-01/tags/{path}")).unwrap();
            assert_eq!(gate.pass("POST", &operation(&request)).is_ok(), reads, "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_signature_that_has_run_out_is_not_sent() {
        let limits = Limits::scaled(0.01);
        let pace = || Some(Pace { factor: 0.01, ..pace(&limits, "us-east-1", "ec2") });
        assert!(sent(&limits, pace(), fine).await.is_ok());
        let late = sent(&limits, pace(), || unreachable!("it is sent")).await.unwrap_err();
        assert!(late.to_string().len() > 1 && late.is_user(), "{late:?}");
    }

    /// The machine is suspended while a call has its token: the call must not be sent afterwards.
    #[tokio::test(start_paused = true)]
    async fn what_waited_for_its_turn_asks_once_more_whether_it_may() {
        let limits = Limits::default();
        let begun = Instant::now();
        let until = begun + Duration::from_secs(5);
        limits.gate.set(Arc::new(move || {
            if Instant::now() < until { Ok(()) } else { Err(Error::new(Class::Locked, "the lease was lost")) }
        }));
        let answers = join_all((0..7).map(|_| call(&limits, fine))).await;
        let sent = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(sent, 5, "four at once, the fifth after three seconds, the sixth would be too late");
        let refusal = answers.into_iter().find_map(std::result::Result::err).unwrap();
        assert!(refusal.is_user() && refusal.to_string().len() > 1, "{refusal:?}");
        assert!(limits.gate.pass("POST", "DescribeVpcs").is_ok() && limits.gate.pass("GET", "").is_ok());
        assert!(limits.gate.pass("POST", "PutMetricData").is_ok(), "it changes no resource");
        assert!(limits.gate.pass("PUT", "").is_err() && limits.gate.pass("POST", "CreateVpc").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_the_turn_is_not_the_wait_for_the_answer() {
        let limits = Limits::scaled(1.0);
        let never = || HttpConnectorFuture::new(std::future::pending());
        let begun = Instant::now();
        let calls = (0..14).map(|_| call(&limits, never));
        assert!(join_all(calls).await.into_iter().all(|answer| answer.is_err_and(|error| error.is_timeout())));
        assert_eq!(begun.elapsed().as_secs(), 33 + 30, "the last one's turn comes after ten others at 0.3 a second");
    }

    #[tokio::test]
    async fn hears_throttling_and_passes_the_answer_on() -> Result<(), Box<dyn std::error::Error>> {
        for (status, body, throttled) in [
            (503, "<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>", true),
            (400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#, true),
            (429, "", true),
            (400, r#"{"__type":"ValidationException"}"#, false),
            (500, "Throttling", false),
            (200, "Throttling", false),
        ] {
            let answer = HttpResponse::new(status.try_into()?, SdkBody::from(body));
            let (answer, heard) = look(answer).await?;
            assert_eq!((heard, answer.body().bytes()), (throttled, Some(body.as_bytes())), "{status} {body}");
        }
        Ok(())
    }

    #[test]
    fn endpoints_of_ones_own_have_no_limits_unless_asked() {
        let of = |limits: Limits, config: &SdkConfig| format!("{:?}", limits.config(config, "ec2").http_client());
        let aws = SdkConfig::builder().region(aws_config::Region::from_static("us-east-1")).build();
        let own = aws.clone().into_builder().endpoint_url("http://127.0.0.1:1").build();
        assert!(of(Limits::default(), &aws).contains("factor: 1.0"));
        assert!(of(Limits::default(), &own).contains("pace: None"));
        assert!(of(Limits::scaled(4.0), &own).contains("factor: 4.0"));
    }
}
