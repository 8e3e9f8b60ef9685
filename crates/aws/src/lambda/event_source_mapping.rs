//! An event source mapping of a Lambda function.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_lambda::operation::get_event_source_mapping::GetEventSourceMappingOutput;
use aws_sdk_lambda::types::{
    DestinationConfig, EventSourcePosition, Filter, FilterCriteria, FunctionResponseType, OnFailure, ScalingConfig,
};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Function, qualified, tags};
use crate::error::{Unless, claim};
use crate::{Cx, Explain, Need};

/// A mapping from a queue or stream to a function: Lambda reads from the source, and invokes the function with batches.
/// The execution role must be allowed to read from it. Its id is a UUID. A function has at most one mapping per source.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventSourceMapping {
    /// The function.
    pub function: Ref<Id<Function>>,
    /// The alias or version; if `None`, the function's latest code.
    pub qualifier: Option<Ref<String>>,
    /// The ARN of the queue or stream.
    pub source: Ref<String>,
    /// Where reading begins; required for streams, and only possible for them.
    pub starting_position: Option<StartingPosition>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// The maximum number of records in a batch, 1 to 10,000.
    pub batch_size: i32,
    /// How long a batch waits for more records, in seconds, 0 to 300.
    pub batching_window: i32,
    /// The number of batches of a shard that are processed concurrently, 1 to 10; only for streams.
    pub parallelization: Option<i32>,
    /// The maximum age of a record in seconds, 60 to 604,800, or -1 for no limit; only for streams.
    pub maximum_age: Option<i32>,
    /// The maximum number of retries, 0 to 10,000, or -1 for no limit; only for streams.
    pub maximum_retries: Option<i32>,
    /// Whether a batch is split in two after an error; only for streams.
    pub bisect: Option<bool>,
    /// The maximum number of concurrent invocations, 2 to 1,000; only for queues.
    pub maximum_concurrency: Option<i32>,
    /// Whether the function returns the records of a batch that failed, so that only these are retried.
    pub report_item_failures: bool,
    /// The patterns of the records that are processed, as JSON, at most 5; all records if empty.
    pub filters: BTreeSet<String>,
    /// The ARN of the queue or topic that gets a record of each batch that was given up; only for streams.
    pub on_failure: Option<Ref<String>>,
    /// The tags.
    pub tags: Tags,
}

/// Where reading from a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartingPosition {
    /// With the oldest record.
    TrimHorizon,
    /// With records that are written from then on.
    Latest,
}

impl StartingPosition {
    fn sdk(self) -> EventSourcePosition {
        match self {
            Self::TrimHorizon => EventSourcePosition::TrimHorizon,
            Self::Latest => EventSourcePosition::Latest,
        }
    }
}

/// The values that stand for no limit.
const UNLIMITED: i32 = -1;

impl Resource for EventSourceMapping {
    type Cx = Cx;
    const KIND: &'static str = "lambda.event-source-mapping";
    const REPLACE: Fields = fields!(Self: source, starting_position);
    const KEY: Fields = fields!(Self: function, qualifier, source);
    const TIMEOUT: Duration = Duration::from_mins(10);
    const EXPECTED: Expected = Expected::millis(20_000, 20_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.lambda().create_event_source_mapping().function_name(self.invoked()?);
        let call = call.event_source_arn(self.source.known()?).enabled(self.enabled);
        let call = call.set_starting_position(self.starting_position.map(StartingPosition::sdk));
        let call = call.batch_size(self.batch_size).maximum_batching_window_in_seconds(self.batching_window);
        let call = call.set_parallelization_factor(self.parallelization);
        let call = call.set_maximum_record_age_in_seconds(self.maximum_age);
        let call = call.set_maximum_retry_attempts(self.maximum_retries);
        let call = call.set_bisect_batch_on_function_error(self.bisect);
        let call = call.set_scaling_config(self.maximum_concurrency.map(|_| self.scaling()));
        let call = call.set_function_response_types(Some(self.response_types()));
        let call = call.set_filter_criteria((!self.filters.is_empty()).then(|| self.criteria()));
        let call = call.set_destination_config(self.on_failure.as_ref().map(|_| self.destinations()).transpose()?);
        let made = call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        Ok(Id::new(made.uuid.need("UUID")?))
    }

    /// By function and source.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let function = self.function.known()?;
        let call = cx.lambda().list_event_source_mappings().function_name(self.invoked()?);
        let call = call.event_source_arn(self.source.known()?);
        let found = call.into_paginator().items().send().try_collect().await.explain().unless(Class::NotFound)?;
        let found = found.unwrap_or_default().into_iter().filter(|it| it.state() != Some(DELETING));
        let mut found = found.filter_map(|it| Some((it.uuid?, it.event_source_mapping_arn?)));
        let Some((id, arn)) = found.find(|(id, _)| !cx.is_known(id)) else { return Ok(None) };
        let tags = tags::of(cx, &arn).await?;
        claim("event source mapping of", function.as_str(), Id::new(id), &tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move { live(cx, id).await.unless(Class::NotFound) });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// Omitted values stay unchanged, so what is no longer managed is reset.
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let arn = format!("arn:aws:lambda:{}:{}:event-source-mapping:{}", cx.region(), cx.account(), live.id);
        tags::sync(cx, &arn, &was.tags, &self.tags).await?;
        let call = cx.lambda().update_event_source_mapping().uuid(&live.id).function_name(self.invoked()?);
        let call = call.enabled(self.enabled).batch_size(self.batch_size);
        let call = call.maximum_batching_window_in_seconds(self.batching_window);
        let call = call.set_function_response_types(Some(self.response_types()));
        let call = call.set_filter_criteria((self.filters != was.filters).then(|| self.criteria()));
        let call = call.set_parallelization_factor(reset(self.parallelization, was.parallelization, 1));
        let call = call.set_maximum_record_age_in_seconds(reset(self.maximum_age, was.maximum_age, UNLIMITED));
        let call = call.set_maximum_retry_attempts(reset(self.maximum_retries, was.maximum_retries, UNLIMITED));
        let call = call.set_bisect_batch_on_function_error(reset(self.bisect, was.bisect, false));
        let scaled = self.maximum_concurrency != was.maximum_concurrency;
        let call = call.set_scaling_config(scaled.then(|| self.scaling()));
        let sent = self.on_failure != was.on_failure;
        call.set_destination_config(sent.then(|| self.destinations()).transpose()?).send().await.explain().map(drop)
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.lambda().delete_event_source_mapping().uuid(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// By its id, without the tags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let call = cx.lambda().get_event_source_mapping().uuid(id);
        Ok(call.send().await.explain().unless(Class::NotFound)?.is_none())
    }
}

impl EventSourceMapping {
    fn invoked(&self) -> Result<String> {
        qualified::name(&self.function, self.qualifier.as_ref())
    }

    fn response_types(&self) -> Vec<FunctionResponseType> {
        if self.report_item_failures { vec![FunctionResponseType::ReportBatchItemFailures] } else { Vec::new() }
    }

    /// Without filters, none.
    fn criteria(&self) -> FilterCriteria {
        let filters = self.filters.iter().map(|pattern| Filter::builder().pattern(pattern).build());
        FilterCriteria::builder().set_filters(Some(filters.collect())).build()
    }

    fn scaling(&self) -> ScalingConfig {
        ScalingConfig::builder().set_maximum_concurrency(self.maximum_concurrency).build()
    }

    fn destinations(&self) -> Result<DestinationConfig> {
        let arn = self.on_failure.as_ref().map(Ref::known).transpose()?;
        let failure = OnFailure::builder().set_destination(arn.cloned()).build();
        Ok(DestinationConfig::builder().on_failure(failure).build())
    }
}

/// What to send: the value, or the default if it is no longer managed; nothing if neither it nor the last one is.
fn reset<T: Copy>(value: Option<T>, was: Option<T>, default: T) -> Option<T> {
    value.or(was.map(|_| default))
}

const DELETING: &str = "Deleting";

async fn live(cx: &Cx, id: &Id<EventSourceMapping>) -> Result<Live<EventSourceMapping>> {
    let found = cx.lambda().get_event_source_mapping().uuid(id).send().await.explain()?;
    let tags = match &found.event_source_mapping_arn {
        Some(arn) => tags::of(cx, arn).await?,
        None => Tags::new(),
    };
    let status = status(&found);
    let (function, qualifier) = qualified::split(qualified::in_arn(found.function_arn.as_deref().need("FunctionArn")?));
    let types = found.function_response_types.unwrap_or_default();
    let filters = found.filter_criteria.and_then(|criteria| criteria.filters).unwrap_or_default();
    let failure = found.destination_config.and_then(|destinations| destinations.on_failure);
    let args = EventSourceMapping {
        function,
        qualifier,
        source: Ref::Known(found.event_source_arn.unwrap_or_default()),
        starting_position: match found.starting_position {
            Some(EventSourcePosition::TrimHorizon) => Some(StartingPosition::TrimHorizon),
            Some(EventSourcePosition::Latest) => Some(StartingPosition::Latest),
            _ => None,
        },
        enabled: found.state.is_some_and(|state| !["Disabled", "Disabling"].contains(&state.as_str())),
        batch_size: found.batch_size.unwrap_or_default(),
        batching_window: found.maximum_batching_window_in_seconds.unwrap_or_default(),
        parallelization: found.parallelization_factor,
        maximum_age: found.maximum_record_age_in_seconds,
        maximum_retries: found.maximum_retry_attempts,
        bisect: found.bisect_batch_on_function_error,
        maximum_concurrency: found.scaling_config.and_then(|scaling| scaling.maximum_concurrency),
        report_item_failures: types.contains(&FunctionResponseType::ReportBatchItemFailures),
        filters: filters.into_iter().filter_map(|filter| filter.pattern).collect(),
        on_failure: failure.and_then(|failure| failure.destination).map(Ref::Known),
        tags,
    };
    Ok(Live { id: id.clone(), status, args, outputs: () })
}

fn status(mapping: &GetEventSourceMappingOutput) -> Status {
    match mapping.state() {
        Some("Enabled" | "Disabled") => Status::Ready,
        Some(DELETING) => Status::Deleting,
        _ => Status::Pending,
    }
}
