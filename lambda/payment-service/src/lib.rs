//! The payments core behind HTTP, as the ECS tasks run it.
//!
//! `POST /payments` accepts a payment, `GET /payments/{id}` shows one, `GET /health` says that it serves. What is
//! accepted and what is answered is decided in `payment-core`; here are the table, the bucket, the clock and the wire.

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

/// The service with AWS behind it.
pub type Service = App<DynamoStore, S3Audit, SystemClock>;

/// The service that `settings` ask for. Only the secret with the API keys is read yet.
///
/// # Errors
/// The API keys are none.
pub async fn service(settings: &Settings) -> Result<Service, KeysError> {
    let access = match &settings.auth {
        Auth::None => {
            tracing::warn!("AUTH=none: whoever reaches this service can make and read payments");
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

/// What the service encrypts with, if it does.
///
/// # Errors
/// There is no certificate.
pub async fn tls(settings: &Settings) -> Result<Option<TlsAcceptor>, TlsError> {
    match &settings.tls {
        Tls::None => {
            tracing::warn!("TLS=none: whoever is on the network can read payments and API keys");
            Ok(None)
        }
        Tls::SelfSigned => tls::self_signed().map(Some),
        Tls::Secret(secret) => tls::from_secret(&secrets(settings).await, secret).await.map(Some),
    }
}

async fn secrets(settings: &Settings) -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(&sdk(&settings.region).await)
}

/// The SDK tries nothing again: how often and when is decided once, in the core. Credentials are the task's.
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
