//! The HTTP service for payments, which runs as ECS tasks.
//!
//! `POST /payments` accepts a payment, `GET /payments/{id}` returns one, `GET /health` is the health check.
//! `payment-core` has the logic, `payment-aws` the table and the bucket; this crate has HTTP.

mod guests;
mod keys;
mod routes;
mod server;
mod settings;
mod tls;
mod work;

use payment_aws::{DynamoStore, S3Audit, SystemClock, Table, processor, sdk, sdks};
use payment_core::{Homes, Place};
use tokio_rustls::TlsAcceptor;

pub use keys::{Access, Keys, KeysError};
pub use routes::App;
pub use server::serve;
pub use settings::{Auth, Settings, SettingsError, Tls};
pub use tls::TlsError;

/// The API description, which is committed as `lambda/openapi.json`.
#[must_use]
pub fn document() -> serde_json::Value {
    routes::API.document()
}

/// The key of the table.
const ID: &str = "payment_id";

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
    let place = Place { region: settings.region.clone(), phase: settings.phase.clone() };
    let homes = Homes::new(settings.buckets.keys().map(String::as_str)).unwrap_or_else(|| Homes::one(&settings.region));
    let sdks = sdks(settings.buckets.keys()).await;
    let store = DynamoStore::new(Table::new(&sdks, &settings.table, ID), settings.index.as_deref());
    let processor = processor(store, place.clone(), homes, &sdks, &settings.buckets);
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
