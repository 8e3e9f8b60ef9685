//! What the payments service and the payments function share: payments in DynamoDB, audit records in S3, logs and
//! metrics. `payment-core` has the logic.

mod audit;
mod claims;
mod clock;
mod fault;
mod item;
mod log;
mod metrics;
mod settings;
mod store;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use payment_core::{Homes, Place, Processor, Store};

pub use audit::S3Audit;
pub use claims::ClaimStore;
pub use clock::SystemClock;
pub use fault::fault;
pub use log::{logged, write};
pub use metrics::Metrics;
pub use settings::{Key, regions};
pub use store::DynamoStore;
pub use table::Table;

/// The maximum duration of one attempt of a call to AWS.
pub const ATTEMPT: Duration = Duration::from_secs(2);

/// The configuration of clients in each region.
pub type Sdks = BTreeMap<String, SdkConfig>;

/// The configuration of clients in each of `regions`.
pub async fn sdks(regions: impl IntoIterator<Item = &String>) -> Sdks {
    let mut sdks = Sdks::new();
    for region in regions {
        sdks.insert(region.clone(), sdk(region).await);
    }
    sdks
}

/// The processor at `place`, with the payments in `store` and the audit bucket of each region. It makes no calls now.
#[must_use]
pub fn processor<S: Store>(
    store: S,
    place: Place,
    homes: Homes,
    sdks: &Sdks,
    buckets: &BTreeMap<String, String>,
) -> Processor<S, S3Audit, SystemClock> {
    let buckets = buckets.iter().filter_map(|(region, bucket)| Some((region, sdks.get(region)?, bucket)));
    let audit = buckets.fold(S3Audit::default(), |audit, (region, sdk, bucket)| audit.with(region, sdk, bucket));
    Processor::new(store, audit, SystemClock, place).with_homes(homes)
}

/// The configuration of clients in `region`. SDK retries are disabled, because the core retries. Credentials are those
/// of the task or function.
pub async fn sdk(region: &str) -> SdkConfig {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(Duration::from_secs(1)).operation_attempt_timeout(ATTEMPT).build();
    aws_config::defaults(BehaviorVersion::latest())
        .region(aws_config::Region::new(region.to_owned()))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .load()
        .await
}
