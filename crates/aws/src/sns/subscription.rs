//! An SNS subscription.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use payinfra_engine::secret::is_same;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Secret, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Topic;
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A subscription. E-mail and web endpoints have to confirm it. It counts as ready without confirmation, because only
/// the receiver can confirm. An unconfirmed subscription cannot be deleted: AWS deletes it after some days, and with
/// its topic.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// The topic.
    pub topic: Ref<Id<Topic>>,
    /// The protocol: `email`, `https`, `sqs`, `lambda`, …
    pub protocol: String,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Whether queues and web endpoints get the raw message, without SNS's envelope.
    pub raw: bool,
}

/// The endpoint of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Endpoint {
    /// A web endpoint: anyone who knows it can post to it, and many contain a token. Other endpoints, if they are
    /// declared secret.
    Secret(Secret<String>),
    /// Any other address, or the ARN of a queue or function.
    Other(Ref<String>),
}

impl Endpoint {
    /// The endpoint for `protocol`: web endpoints are secret.
    pub fn new(protocol: &str, address: impl Into<String>) -> Self {
        let address = address.into();
        if is_web(protocol) { Self::Secret(Secret::new(address)) } else { Self::Other(Ref::Known(address)) }
    }

    fn known(&self) -> Result<&str> {
        match self {
            Self::Secret(address) => address.expose().map(String::as_str),
            Self::Other(address) => address.known().map(String::as_str),
        }
    }
}

fn is_web(protocol: &str) -> bool {
    matches!(protocol, "http" | "https")
}

const RAW: &str = "RawMessageDelivery";

/// The placeholder that AWS lists instead of the ARN of an unconfirmed subscription.
const PENDING: &str = "PendingConfirmation";

impl Resource for Subscription {
    type Cx = Cx;
    const KIND: &'static str = "sns.subscription";
    const REPLACE: Fields = fields!(Self: topic, protocol, endpoint);
    const IDENTITY: Identity = Identity::Part("topic");
    const KEY: Fields = fields!(Self: topic, protocol, endpoint);
    const EXPECTED: Expected = Expected::millis(600, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    /// AWS returns an existing subscription, so look for one first. An unconfirmed one does not count.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        if is_web(&self.protocol) && matches!(self.endpoint, Endpoint::Other(_)) {
            return Err(Error::failed("the endpoint of an HTTP or HTTPS subscription must be declared as a secret"));
        }
        match self.found(cx, "").await?.filter(|arn| arn != PENDING) {
            None => self.subscribe(cx).await,
            // Without the endpoint, which may be secret.
            Some(arn) => Err(Error::new(Class::Foreign, format!("{arn} already exists")).taken(arn)),
        }
    }

    /// By topic, protocol and endpoint. An unconfirmed one is listed without its ARN: the only way to get it is to
    /// subscribe again, which sends the receiver another message.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        match self.found(cx, &owner.lineage).await? {
            Some(arn) if arn == PENDING && cx.begun() => self.subscribe(cx).await.map(Some),
            Some(arn) if arn == PENDING => Ok(None),
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
            // Nothing more can be done about it, so it counts as gone.
            return Err(Error::new(Class::NotFound, "it is not confirmed, so AWS deletes it on its own"));
        }
        cx.sns().unsubscribe().subscription_arn(&live.id).send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl Subscription {
    async fn subscribe(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.sns().subscribe().topic_arn(self.topic.known()?).protocol(&self.protocol);
        let mut call = call.endpoint(self.endpoint.known()?).return_subscription_arn(true);
        if self.raw {
            call = call.attributes(RAW, "true");
        }
        Ok(Id::new(call.send().await.explain()?.subscription_arn.need("SubscriptionArn")?))
    }

    /// The ARN of the existing subscription, or [`PENDING`]. Of a recorded secret endpoint, only the digest in the
    /// deployment of `lineage` may be known.
    async fn found(&self, cx: &Cx, lineage: &str) -> Result<Option<String>> {
        let call = cx.sns().list_subscriptions_by_topic().topic_arn(self.topic.known()?);
        let found = call.into_paginator().items().send().try_collect().await.explain().unless(Class::NotFound)?;
        for it in found.unwrap_or_default() {
            let Some(endpoint) = it.endpoint.filter(|_| it.protocol.as_ref() == Some(&self.protocol)) else { continue };
            let same = match &self.endpoint {
                Endpoint::Secret(address) => is_same(address, &Secret::new(endpoint), lineage)?,
                Endpoint::Other(address) => *address.known()? == endpoint,
            };
            if same {
                return Ok(it.subscription_arn);
            }
        }
        Ok(None)
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
    let protocol = take("Protocol")?;
    let args = Subscription {
        topic: Ref::Known(Id::new(take("TopicArn")?)),
        endpoint: Endpoint::new(&protocol, take("Endpoint")?),
        protocol,
        raw: take(RAW).is_ok_and(|raw| raw == "true"),
    };
    Ok(Live { id: id.clone(), status: Status::Ready, args, outputs: () })
}
