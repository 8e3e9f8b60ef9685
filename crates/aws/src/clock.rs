//! AWS's time, where this machine's clock is wrong: AWS takes no request that was signed minutes off.
//!
//! The SDK corrects each client by itself, but only after a request of it has failed, and there is a client per service and
//! region. The first answer of all tells the time to every client that comes after it.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use payinfra_sdk::Skew;

/// Below this a clock is right: the time in an answer has no fractions, and the answer took its way.
const EXACT: Duration = Duration::from_mins(1);

/// Hears from the answers of a client what time it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(Arc<OnceLock<Skew>>);

impl Clock {
    /// The source of AWS's time, if this machine's clock is wrong.
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
            // The first one is as good as any.
            let _known = self.0.set(skew);
        }
        Ok(())
    }
}

/// This machine's clock, set right.
#[derive(Debug)]
struct Corrected(Skew);

impl TimeSource for Corrected {
    fn now(&self) -> SystemTime {
        self.0.correct(SystemTime::now())
    }
}
