//! The payments core behind HTTP, as the ECS tasks run it.
//!
//! `POST /payments` accepts a payment, `GET /payments/{id}` shows one, `GET /health` says that it serves. What is
//! accepted and what is answered is decided in `payment-core`; here are the table, the bucket, the clock and the wire.

mod audit;
mod clock;
mod fault;
mod routes;
mod server;
mod settings;
mod store;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use payment_core::{Place, Processor};

pub use audit::S3Audit;
pub use clock::SystemClock;
pub use routes::App;
pub use server::serve;
pub use settings::{Settings, SettingsError};
pub use store::DynamoStore;

/// The service with AWS behind it.
pub type Service = App<DynamoStore, S3Audit, SystemClock>;

/// The service that `settings` ask for. Nothing is called yet.
pub async fn service(settings: &Settings) -> Service {
    let sdk = sdk(&settings.region).await;
    let store = DynamoStore::new(&sdk, &settings.table);
    let audit = S3Audit::new(&sdk, &settings.bucket);
    let place = Place { region: settings.region.clone(), phase: settings.phase.clone() };
    App::new(Processor::new(store, audit, SystemClock, place.clone()), place)
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
