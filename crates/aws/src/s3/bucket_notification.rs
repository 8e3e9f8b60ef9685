//! The event notifications of a bucket.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::operation::get_bucket_notification_configuration::GetBucketNotificationConfigurationOutput;
use aws_sdk_s3::types::{
    self as sdk, EventBridgeConfiguration, FilterRule, FilterRuleName, LambdaFunctionConfiguration,
    NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter, TopicConfiguration,
};
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Bucket;
use crate::error::{Unless, vacant};
use crate::{Cx, Explain};

/// The event notifications of a bucket, as a whole, because S3 only replaces all of them. Its id is the bucket's name.
///
/// S3 checks that every destination exists and lets it publish, so the permission or policy of the destination has to
/// exist before (S3 UG: Granting permissions to publish event notification messages to a destination).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BucketNotification {
    /// The bucket.
    pub bucket: Ref<Id<Bucket>>,
    /// Whether all events are sent to `EventBridge`.
    pub event_bridge: bool,
    /// The rules by id. Two rules for the same event must not have prefixes and suffixes that overlap.
    pub rules: BTreeMap<String, NotificationRule>,
}

/// Which events are sent, and to which destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationRule {
    /// The destination.
    pub destination: Destination,
    /// The events, such as `s3:ObjectCreated:*`.
    pub events: BTreeSet<String>,
    /// The prefix of the keys; all keys if it is empty.
    pub prefix: String,
    /// The suffix of the keys; all keys if it is empty.
    pub suffix: String,
}

/// The destination of events, in the region of the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Destination {
    /// The ARN of a function, version or alias.
    Function(Ref<String>),
    /// The ARN of a standard queue.
    Queue(Ref<String>),
    /// The ARN of a standard topic.
    Topic(Ref<String>),
}

impl Resource for BucketNotification {
    type Cx = Cx;
    const KIND: &'static str = "s3.bucket-notification";
    const REPLACE: Fields = fields!(Self: bucket);
    const HOLDS: Fields = fields!(Self: rules);
    const IDENTITY: Identity = Identity::Part("bucket");
    const KEY: Fields = fields!(Self: bucket);
    const EXPECTED: Expected = Expected::millis(500, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    /// The call would replace existing notifications, so look for them first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        if self.rules.is_empty() && !self.event_bridge {
            return Err(Error::invalid("a bucket notification has neither rules nor `event_bridge`")
                .hint("declare a rule, or remove the bucket notification"));
        }
        vacant(self.found(cx).await?, "notifications of the bucket")?;
        self.put(cx).await?;
        self.id()
    }

    /// By its natural key.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        self.found(cx).await
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let call = cx.s3().get_bucket_notification_configuration().bucket(id).expected_bucket_owner(cx.account());
            let found = call.send().await.explain().unless(Class::NotFound)?;
            Ok::<_, Error>(found.and_then(|found| live(id, found)))
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, _: &Live<Self>) -> Result<()> {
        self.put(cx).await
    }

    /// S3 has no call to delete them: an empty configuration is the same.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        put(cx, live.id.as_str(), NotificationConfiguration::builder().build()).await.unless(Class::NotFound).map(drop)
    }
}

impl BucketNotification {
    fn id(&self) -> Result<Id<Self>> {
        Ok(Id::new(self.bucket.known()?.as_str()))
    }

    async fn found(&self, cx: &Cx) -> Result<Option<Id<Self>>> {
        Ok(Self::read(cx, &[self.id()?]).await?.pop().map(|live| live.id))
    }

    async fn put(&self, cx: &Cx) -> Result<()> {
        let bridge = self.event_bridge.then(|| EventBridgeConfiguration::builder().build());
        let mut all = NotificationConfiguration::builder().set_event_bridge_configuration(bridge);
        for (id, rule) in &self.rules {
            let events = Some(rule.events.iter().map(|event| sdk::Event::from(event.as_str())).collect());
            let filter = rule.filter();
            all = match &rule.destination {
                Destination::Function(arn) => {
                    let one = LambdaFunctionConfiguration::builder().id(id).lambda_function_arn(arn.known()?);
                    all.lambda_function_configurations(one.set_events(events).set_filter(filter).build().explain()?)
                }
                Destination::Queue(arn) => {
                    let one = QueueConfiguration::builder().id(id).queue_arn(arn.known()?);
                    all.queue_configurations(one.set_events(events).set_filter(filter).build().explain()?)
                }
                Destination::Topic(arn) => {
                    let one = TopicConfiguration::builder().id(id).topic_arn(arn.known()?);
                    all.topic_configurations(one.set_events(events).set_filter(filter).build().explain()?)
                }
            };
        }
        put(cx, self.bucket.known()?.as_str(), all.build()).await
    }
}

impl NotificationRule {
    fn filter(&self) -> Option<NotificationConfigurationFilter> {
        let parts = [(FilterRuleName::Prefix, &self.prefix), (FilterRuleName::Suffix, &self.suffix)];
        let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
        let parts: Vec<_> = parts.map(|(name, value)| FilterRule::builder().name(name).value(value).build()).collect();
        if parts.is_empty() {
            return None;
        }
        let key = S3KeyFilter::builder().set_filter_rules(Some(parts)).build();
        Some(NotificationConfigurationFilter::builder().key(key).build())
    }

    fn from(destination: Destination, events: &[sdk::Event], filter: Option<NotificationConfigurationFilter>) -> Self {
        let parts = filter.and_then(|filter| filter.key?.filter_rules).unwrap_or_default();
        // S3 returns the names as they were written: `prefix` or `Prefix`.
        let part = |wanted: &str| {
            let named = |it: &&FilterRule| it.name().is_some_and(|name| name.as_str().eq_ignore_ascii_case(wanted));
            parts.iter().find(named).and_then(|it| it.value.clone()).unwrap_or_default()
        };
        Self {
            destination,
            events: events.iter().map(|event| event.as_str().to_owned()).collect(),
            prefix: part("prefix"),
            suffix: part("suffix"),
        }
    }
}

async fn put(cx: &Cx, bucket: &str, all: NotificationConfiguration) -> Result<()> {
    let call = cx.s3().put_bucket_notification_configuration().bucket(bucket).notification_configuration(all);
    call.expected_bucket_owner(cx.account()).send().await.explain().map(drop)
}

/// `None` if the bucket has no notifications.
fn live(
    id: &Id<BucketNotification>,
    found: GetBucketNotificationConfigurationOutput,
) -> Option<Live<BucketNotification>> {
    let mut rules = BTreeMap::new();
    for it in found.lambda_function_configurations.unwrap_or_default() {
        let destination = Destination::Function(Ref::Known(it.lambda_function_arn));
        rules.insert(it.id.unwrap_or_default(), NotificationRule::from(destination, &it.events, it.filter));
    }
    for it in found.queue_configurations.unwrap_or_default() {
        let destination = Destination::Queue(Ref::Known(it.queue_arn));
        rules.insert(it.id.unwrap_or_default(), NotificationRule::from(destination, &it.events, it.filter));
    }
    for it in found.topic_configurations.unwrap_or_default() {
        let destination = Destination::Topic(Ref::Known(it.topic_arn));
        rules.insert(it.id.unwrap_or_default(), NotificationRule::from(destination, &it.events, it.filter));
    }
    let event_bridge = found.event_bridge_configuration.is_some();
    if rules.is_empty() && !event_bridge {
        return None;
    }
    let bucket = Ref::Known(Id::new(id.as_str()));
    let args = BucketNotification { bucket, event_bridge, rules };
    Some(Live { id: id.clone(), status: Status::Ready, args, outputs: () })
}
