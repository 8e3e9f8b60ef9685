//! What the payments service and the payments function share: payments in DynamoDB, audit records in S3, logs and
//! metrics. `payment-core` has the logic.

mod audit;
mod clock;
mod fault;
mod log;
mod metrics;
mod settings;
mod store;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use payment_core::{Homes, Place, Processor};

pub use audit::S3Audit;
pub use clock::SystemClock;
pub use fault::fault;
pub use log::{JsonLines, write};
pub use metrics::Metrics;
pub use settings::regions;
pub use store::DynamoStore;

/// The maximum duration of one attempt of a call to AWS.
pub const ATTEMPT: Duration = Duration::from_secs(2);

/// The processor at `place`, with the table `table`, its index of payments without an audit record, and the audit
/// bucket of each region. It makes no calls now.
pub async fn connect(
    place: &Place,
    table: &str,
    index: Option<&str>,
    buckets: &BTreeMap<String, String>,
) -> Processor<DynamoStore, S3Audit, SystemClock> {
    let mut sdks = BTreeMap::new();
    for region in buckets.keys() {
        sdks.insert(region.as_str(), sdk(region).await);
    }
    let store = DynamoStore::new(sdks.iter().map(|(region, sdk)| (*region, sdk)), table, index);
    let audit = buckets.iter().zip(sdks.values());
    let audit = audit.fold(S3Audit::default(), |audit, ((region, bucket), sdk)| audit.with(region, sdk, bucket));
    let homes = Homes::new(sdks.keys().copied()).unwrap_or_else(|| Homes::one(&place.region));
    Processor::new(store, audit, SystemClock, place.clone()).with_homes(homes)
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
