//! The HTTP service for payments, which runs as ECS tasks.
//!
//! `POST /payments` accepts a payment, `GET /payments/{id}` returns one, `GET /health` is the health check.
//! `payment-core`
//! has the logic; this crate has the table, the bucket, the clock and HTTP.

mod audit;
mod clock;
mod fault;
mod guests;
mod keys;
mod log;
mod metrics;
mod openapi;
mod routes;
mod server;
mod settings;
mod store;
mod tls;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use payment_core::{Homes, Place, Processor};
use tokio_rustls::TlsAcceptor;

pub use audit::S3Audit;
pub use clock::SystemClock;
pub use keys::{Access, Keys, KeysError};
pub use log::JsonLines;
pub use openapi::document;
pub use routes::App;
pub use server::serve;
pub use settings::{Auth, Settings, SettingsError, Tls};
pub use store::DynamoStore;
pub use tls::TlsError;

/// The service, connected to AWS.
pub type Service = App<DynamoStore, S3Audit, SystemClock>;

/// Creates the service from `settings`. Only the secret with the API keys is read now.
///
/// # Errors
/// If the API keys are invalid.
pub async fn service(settings: &Settings) -> Result<Service, KeysError> {
    let access = match &settings.auth {
        Auth::None => {
            tracing::warn!("AUTH=none: anyone who can reach this service can make and read payments");
            Access::Anyone
        }
        Auth::Keys(document) => Access::Keys(Keys::parse(document)?),
        Auth::Secret(secret) => Access::Keys(Keys::read(secrets(settings).await, secret).await?),
    };
    let mut sdks = BTreeMap::new();
    for region in settings.buckets.keys() {
        sdks.insert(region.as_str(), sdk(region).await);
    }
    let store =
        DynamoStore::new(sdks.iter().map(|(region, sdk)| (*region, sdk)), &settings.table, settings.index.as_deref());
    let audit = settings.buckets.iter().zip(sdks.values());
    let audit = audit.fold(S3Audit::default(), |audit, ((region, bucket), sdk)| audit.with(region, sdk, bucket));
    let place = Place { region: settings.region.clone(), phase: settings.phase.clone() };
    let homes = Homes::new(sdks.keys().copied()).unwrap_or_else(|| Homes::one(&settings.region));
    let processor = Processor::new(store, audit, SystemClock, place.clone()).with_homes(homes);
    Ok(App::new(processor, place, access))
}

/// The TLS configuration, if TLS is enabled.
///
/// # Errors
/// If there is no valid certificate.
pub async fn tls(settings: &Settings) -> Result<Option<TlsAcceptor>, TlsError> {
    match &settings.tls {
        Tls::None => {
            tracing::warn!("TLS=none: anyone on the network can read payments and API keys");
            Ok(None)
        }
        Tls::SelfSigned => tls::self_signed().map(Some),
        Tls::Secret(secret) => tls::from_secret(&secrets(settings).await, secret).await.map(Some),
    }
}

async fn secrets(settings: &Settings) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(&sdk(&settings.region).await)
}

/// SDK retries are disabled, because the core retries. Credentials are those of the task.
async fn sdk(region: &str) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(2))
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .region(aws_config::Region::new(region.to_owned()))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .load()
        .await
}
