//! The configuration of a Lambda function's asynchronous invocations.

use aws_sdk_lambda::operation::get_function_event_invoke_config::GetFunctionEventInvokeConfigOutput;
use aws_sdk_lambda::types::{DestinationConfig, OnFailure, OnSuccess};
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Function, qualified};
use crate::error::{Unless, vacant};
use crate::{Cx, Explain};

/// What happens with the asynchronous invocations of a function, version or alias. Its id is `FUNCTION` or
/// `FUNCTION:QUALIFIER`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventInvokeConfig {
    /// The function.
    pub function: Ref<Id<Function>>,
    /// The alias or version; if `None`, invocations without a qualifier.
    pub qualifier: Option<Ref<String>>,
    /// The maximum age of an event in seconds, 60 to 21,600.
    pub maximum_age: i32,
    /// The number of retries after an error of the function, 0 to 2.
    pub maximum_retries: i32,
    /// The ARN of the queue, topic, bucket, bus or function that gets a record of each success.
    pub on_success: Option<Ref<String>>,
    /// The ARN of the queue, topic, bucket, bus or function that gets a record of each event that failed or was too old.
    /// The execution role must be allowed to send to it.
    pub on_failure: Option<Ref<String>>,
}

impl Resource for EventInvokeConfig {
    type Cx = Cx;
    const KIND: &'static str = "lambda.event-invoke-config";
    const REPLACE: Fields = fields!(Self: function, qualifier);
    const IDENTITY: Identity = Identity::Part("function");
    const KEY: Fields = fields!(Self: function, qualifier);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    /// The call would replace an existing one, so look for it first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        vacant(self.found(cx).await?, "event invoke config of")?;
        self.put(cx).await?;
        self.id()
    }

    /// By its natural key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        self.found(cx).await
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let (function, qualifier) = qualified::split::<Function>(id.as_str());
            let call = cx.lambda().get_function_event_invoke_config().function_name(function.known()?);
            let call = call.set_qualifier(qualifier.as_ref().map(Ref::known).transpose()?.cloned());
            let found = call.send().await.explain().unless(Class::NotFound)?;
            Ok::<_, Error>(found.map(|found| live(id, found)))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, _: &Live<Self>) -> Result<()> {
        self.put(cx).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (function, qualifier) = qualified::split::<Function>(live.id.as_str());
        let call = cx.lambda().delete_function_event_invoke_config().function_name(function.known()?);
        let call = call.set_qualifier(qualifier.as_ref().map(Ref::known).transpose()?.cloned());
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl EventInvokeConfig {
    fn id(&self) -> Result<Id<Self>> {
        qualified::name(&self.function, self.qualifier.as_ref()).map(Id::new)
    }

    async fn found(&self, cx: &Cx) -> Result<Option<Id<Self>>> {
        Ok(Self::read(cx, &[self.id()?]).await?.pop().map(|live| live.id))
    }

    /// The call replaces everything, so it sets all values.
    async fn put(&self, cx: &Cx) -> Result<()> {
        let arn = |arn: &Option<Ref<String>>| arn.as_ref().map(Ref::known).transpose().map(Option::<&String>::cloned);
        let success = arn(&self.on_success)?.map(|arn| OnSuccess::builder().destination(arn).build());
        let failure = arn(&self.on_failure)?.map(|arn| OnFailure::builder().destination(arn).build());
        let destinations = DestinationConfig::builder().set_on_success(success).set_on_failure(failure).build();
        let call = cx.lambda().put_function_event_invoke_config().function_name(self.function.known()?);
        let call = call.set_qualifier(arn(&self.qualifier)?).destination_config(destinations);
        let call = call.maximum_event_age_in_seconds(self.maximum_age).maximum_retry_attempts(self.maximum_retries);
        call.send().await.explain().map(drop)
    }
}

fn live(id: &Id<EventInvokeConfig>, found: GetFunctionEventInvokeConfigOutput) -> Live<EventInvokeConfig> {
    let (function, qualifier) = qualified::split(id.as_str());
    let (success, failure) = found.destination_config.map(|it| (it.on_success, it.on_failure)).unwrap_or_default();
    Live {
        id: id.clone(),
        status: Status::Ready,
        args: EventInvokeConfig {
            function,
            qualifier,
            maximum_age: found.maximum_event_age_in_seconds.unwrap_or(DEFAULT_AGE),
            maximum_retries: found.maximum_retry_attempts.unwrap_or(DEFAULT_RETRIES),
            on_success: success.and_then(|it| it.destination).map(Ref::Known),
            on_failure: failure.and_then(|it| it.destination).map(Ref::Known),
        },
        outputs: (),
    }
}

/// AWS's defaults.
const DEFAULT_AGE: i32 = 21_600;
const DEFAULT_RETRIES: i32 = 2;
