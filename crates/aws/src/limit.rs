//! AWS's rate limits, kept on this side of the network.

use aws_config::SdkConfig;

/// The limiter of one account.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits;

impl Limits {
    /// The defaults of AWS-FACTS §3.1.
    pub(crate) fn new() -> Self {
        Self
    }

    /// `config` with an HTTP client that keeps to the limits of `service`.
    #[expect(clippy::unused_self, reason = "the buckets come with the next commit")]
    pub(crate) fn config(&self, config: &SdkConfig, _service: &'static str) -> SdkConfig {
        config.clone()
    }
}
