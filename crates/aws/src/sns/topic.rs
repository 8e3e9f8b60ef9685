//! An SNS topic, to which alarms and events are published.

use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::error::{Unless, claim, foreign, same_owner};
use crate::{Cx, Explain, Need, Policy};

/// A topic. Its id is its ARN, which contains its name.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// The name, at most 256 letters, digits, `-` and `_`; unique in the account and region.
    pub name: String,
    /// The ARN of the KMS key; its policy must allow the publishers to use it.
    pub kms_key: Option<Ref<String>>,
    /// The topic policy. AWS's default allows everyone whom the account's IAM policies allow.
    pub policy: Policy,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TopicOutputs {
    /// The topic's ARN.
    pub arn: Ref<String>,
    /// The topic's name, as a metric dimension.
    pub name: Ref<String>,
}

const KEY: &str = "KmsMasterKeyId";
const POLICY: &str = "Policy";

impl Resource for Topic {
    type Cx = Cx;
    const KIND: &'static str = "sns.topic";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    const SERVES: Fields = fields!(Self: policy);
    const EXPECTED: Expected = Expected::millis(600, 300);
    type Outputs = TopicOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// If an existing topic has the same tags and attributes, AWS returns it, so check its owner first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let arn = self.arn(cx);
        if let Some(theirs) = self.tags_there(cx).await?
            && !same_owner(&self.tags, &theirs)
        {
            return Err(foreign("topic", &self.name, &arn));
        }
        let mut call = cx.sns().create_topic().name(&self.name).attributes(POLICY, self.policy.document()?);
        if let Some(key) = &self.kms_key {
            call = call.attributes(KEY, key.known()?);
        }
        let topic = call.set_tags(Some(tags::sdk(&self.tags)?)).send().await.explain()?;
        Ok(Id::new(topic.topic_arn.need("TopicArn")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let arn = self.arn(cx);
        let Some(tags) = self.tags_there(cx).await? else { return Ok(None) };
        claim("topic", &self.name, Id::new(arn), &tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move { live(cx, id).await.unless(Class::NotFound) });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let set = |name: &str, value: String| {
            let call = cx.sns().set_topic_attributes().topic_arn(&live.id).attribute_name(name);
            async move { call.attribute_value(value).send().await.explain() }
        };
        if self.policy != live.args.policy {
            set(POLICY, self.policy.document()?).await?;
        }
        if self.kms_key != live.args.kms_key {
            // An empty key disables encryption (AWS-FACTS §6.2).
            let key = self.kms_key.as_ref().map(Ref::known).transpose()?.cloned();
            set(KEY, key.unwrap_or_default()).await?;
        }
        tags::sync(cx, live.id.as_str(), &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        cx.sns().delete_topic().topic_arn(&live.id).send().await.explain().unless(Class::NotFound).map(drop)
    }

    /// Regardless of its tags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let found = cx.sns().get_topic_attributes().topic_arn(id).send().await.explain();
        Ok(found.unless(Class::NotFound)?.is_none())
    }
}

impl Topic {
    /// The tags of the topic with this name, if it exists. For a missing topic, AWS may return no tags instead of an
    /// error.
    async fn tags_there(&self, cx: &Cx) -> Result<Option<Tags>> {
        Ok(live(cx, &Id::new(self.arn(cx))).await.unless(Class::NotFound)?.map(|live| live.args.tags))
    }

    fn arn(&self, cx: &Cx) -> String {
        format!("arn:aws:sns:{}:{}:{}", cx.region(), cx.account(), self.name)
    }
}

async fn live(cx: &Cx, id: &Id<Topic>) -> Result<Live<Topic>> {
    let (found, tags) = tokio::try_join!(
        async { cx.sns().get_topic_attributes().topic_arn(id).send().await.explain() },
        tags::of(cx, id.as_str()),
    )?;
    let mut attributes = found.attributes.unwrap_or_default();
    let name = id.as_str().rsplit(':').next().unwrap_or_default().to_owned();
    Ok(Live {
        id: id.clone(),
        status: Status::Ready,
        outputs: TopicOutputs { arn: Ref::Known(id.into()), name: Ref::Known(name.clone()) },
        args: Topic {
            name,
            kms_key: attributes.remove(KEY).filter(|key| !key.is_empty()).map(Ref::Known),
            policy: Policy::parse(&attributes.remove(POLICY).need(POLICY)?)?,
            tags,
        },
    })
}
