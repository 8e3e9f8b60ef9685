//! An SNS subscription: who gets what is published to a topic.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use payinfra_engine::secret::is_same;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Secret, Status, Tags, fields,
};
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
    /// Where to.
    pub endpoint: Endpoint,
    /// Whether queues and web addresses get the message as it was published, without SNS's envelope.
    pub raw: bool,
}

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Endpoint {
    /// A web address: anyone who knows it can post there, and many carry a token. Others, where they are declared
    /// secret.
    Secret(Secret<String>),
    /// Any other address, or the ARN of a queue or function.
    Other(Ref<String>),
}

impl Endpoint {
    /// What `protocol` delivers to: the web addresses are secret.
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

/// What AWS lists in place of the ARN of a subscription that nobody has confirmed yet.
const PENDING: &str = "PendingConfirmation";

impl Resource for Subscription {
    type Cx = Cx;
    const KIND: &'static str = "sns.subscription";
    const REPLACE: Fields = fields!(Self: topic, protocol, endpoint);
    const IDENTITY: Identity = Identity::Part("topic");
    const EXPECTED: Expected = Expected::millis(600, 300);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    /// AWS returns the subscription that exists: so this looks first. One that nobody has confirmed is nobody's loss.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        if is_web(&self.protocol) && matches!(self.endpoint, Endpoint::Other(_)) {
            return Err(Error::failed("the endpoint of a subscription by the web is declared in the clear"));
        }
        match self.found(cx, "").await?.filter(|arn| arn != PENDING) {
            None => self.subscribe(cx).await,
            // Without the endpoint, which may be secret.
            Some(arn) => Err(Error::new(Class::Foreign, format!("{arn} exists already")).taken(arn)),
        }
    }

    /// By topic, protocol and endpoint. One that waits to be confirmed is listed without its ARN: asking for it once
    /// more is the only way to know that, and sends its receiver another message.
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
            // As far as anyone can do anything about it, it is gone.
            return Err(Error::new(Class::NotFound, "nobody has confirmed it, so that AWS removes it by itself"));
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

    /// The ARN of the subscription that exists, or [`PENDING`]. Of a secret endpoint that was declared once, only what
    /// the deployment of `lineage` keeps of it may be known.
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
