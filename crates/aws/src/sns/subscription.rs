//! An SNS subscription: who gets what is published to a topic.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use serde::{Deserialize, Serialize};

use super::Topic;
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A subscription. E-mail and web addresses have to confirm it; it counts as ready without, because only its receiver
/// can. One that nobody confirmed cannot be deleted: AWS forgets it after some days, and with its topic.
#[derive(Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// The topic.
    pub topic: Ref<Id<Topic>>,
    /// How it is delivered: `email`, `https`, `sqs`, `lambda`, …
    pub protocol: String,
    /// Where to: an address, or the ARN of a queue or function.
    pub endpoint: Ref<String>,
    /// Whether queues and web addresses get the message as it was published, without SNS's envelope.
    pub raw: bool,
}

const RAW: &str = "RawMessageDelivery";

/// What AWS lists in place of the ARN of a subscription that nobody has confirmed yet.
const PENDING: &str = "PendingConfirmation";

impl Resource for Subscription {
    type Cx = Cx;
    const KIND: &'static str = "sns.subscription";
    const REPLACE: Fields = fields!(Self: topic, protocol, endpoint);
    const EXPECTED: Expected = Expected::millis(600, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    /// The same subscription again is the same one.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.sns().subscribe().topic_arn(self.topic.known()?).protocol(&self.protocol);
        let mut call = call.endpoint(self.endpoint.known()?).return_subscription_arn(true);
        if self.raw {
            call = call.attributes(RAW, "true");
        }
        Ok(Id::new(call.send().await.explain()?.subscription_arn.need("SubscriptionArn")?))
    }

    /// By topic, protocol and endpoint. One that waits to be confirmed is listed without its ARN: asking for it once
    /// more is the only way to know that, and sends its receiver another message.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.sns().list_subscriptions_by_topic().topic_arn(self.topic.known()?);
        let found = call.into_paginator().items().send().try_collect().await.explain().unless(Class::NotFound)?;
        let endpoint = self.endpoint.known()?;
        let ours = found.unwrap_or_default().into_iter().find(|it| {
            it.protocol.as_ref() == Some(&self.protocol) && it.endpoint.as_deref() == Some(endpoint.as_str())
        });
        match ours.and_then(|found| found.subscription_arn) {
            Some(arn) if arn == PENDING => self.create(cx).await.map(Some),
            arn => Ok(arn.map(Id::new)),
        }
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move { attributes(cx, id).await?.map(|it| live(id, it)).transpose() });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.raw != live.args.raw {
            let call = cx.sns().set_subscription_attributes().subscription_arn(&live.id).attribute_name(RAW);
            call.attribute_value(self.raw.to_string()).send().await.explain()?;
        }
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let Some(attributes) = attributes(cx, &live.id).await? else { return Ok(()) };
        if attributes.get(PENDING).is_some_and(|pending| pending == "true") {
            // As far as anyone can do anything about it, it is gone.
            return Err(Error::new(Class::NotFound, "nobody has confirmed it, so that AWS removes it by itself"));
        }
        cx.sns().unsubscribe().subscription_arn(&live.id).send().await.explain().unless(Class::NotFound).map(drop)
    }
}

/// `None` if it does not exist.
async fn attributes(cx: &Cx, id: &Id<Subscription>) -> Result<Option<HashMap<String, String>>> {
    let call = cx.sns().get_subscription_attributes().subscription_arn(id);
    let found = call.send().await.explain().unless(Class::NotFound)?;
    Ok(found.map(|found| found.attributes.unwrap_or_default()))
}

fn live(id: &Id<Subscription>, mut attributes: HashMap<String, String>) -> Result<Live<Subscription>> {
    let mut take = |name: &str| attributes.remove(name).need(name);
    let args = Subscription {
        topic: Ref::Known(Id::new(take("TopicArn")?)),
        protocol: take("Protocol")?,
        endpoint: Ref::Known(take("Endpoint")?),
        raw: take(RAW).is_ok_and(|raw| raw == "true"),
    };
    Ok(Live { id: id.clone(), status: Status::Ready, args, outputs: () })
}
