//! Corrects the clock of this machine: AWS rejects requests whose signatures are several minutes off.
//!
//! The SDK corrects each client separately, after one of its requests has failed, and there is a client per service and
//! region. This module uses the time in the very first response for all later clients.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use payinfra_sdk::Skew;

/// Smaller differences are ignored: the time in a response is rounded to seconds and delayed by the network.
const EXACT: Duration = Duration::from_mins(1);

/// Reads AWS's time from the responses of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(Arc<OnceLock<Skew>>);

impl Clock {
    /// A source of AWS's time, if this machine's clock is wrong.
    pub(crate) fn source(&self) -> Option<SharedTimeSource> {
        let skew = self.0.get().filter(|skew| skew.size() > EXACT)?;
        tracing::warn!("the clock of this machine is {skew} AWS's");
        Some(SharedTimeSource::new(Corrected(*skew)))
    }
}

#[dyn_dispatch_hint]
impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(skew) = Skew::of(context.response(), SystemTime::now()) {
            // Any response is good enough, so use the first.
            let _known = self.0.set(skew);
        }
        Ok(())
    }
}

/// This machine's clock, corrected.
#[derive(Debug)]
struct Corrected(Skew);

impl TimeSource for Corrected {
    fn now(&self) -> SystemTime {
        self.0.correct(SystemTime::now())
    }
}
