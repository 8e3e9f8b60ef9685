//! The topic for all alerts of a region, and its subscriptions.

use payinfra_aws::sns::{Endpoint, Subscription, Topic};
use payinfra_aws::{Policy, Statement};
use payinfra_engine::{Graph, Node, Ref, Result};
use payinfra_stack::Site;

/// The name of the topic in addresses, and its resource type in names.
const TOPIC: &str = "alarms";
const ALARMS: &str = "cloudwatch.amazonaws.com";
const EVENTS: &str = "events.amazonaws.com";

/// A subscriber to alerts.
#[derive(Clone, Copy)]
pub struct Subscriber<'a> {
    /// The protocol: `email`, `email-json`, `https`, `lambda`, `sms` or `sqs`.
    pub protocol: &'a str,
    /// The address in that protocol. A web address is a secret.
    pub endpoint: &'a str,
}

/// Declares the topic to which alarms and event rules of a region publish, and its subscriptions. The policy of `key`
/// must have [`key_statement`].
///
/// # Errors
/// If the graph has a topic of alarms in this region already.
pub fn topic(
    graph: &mut Graph,
    site: &Site<'_>,
    key: &Ref<String>,
    subscribers: &[Subscriber<'_>],
) -> Result<Node<Topic>> {
    let publish = |sid, service| Statement::allow(sid, ["sns:Publish"]).principal("Service", service).on(arn(site));
    let alarms = publish("PublishAlarms", ALARMS).when("StringEquals", "aws:SourceAccount", site.account()).when(
        "ArnLike",
        "aws:SourceArn",
        site.arn("cloudwatch", "alarm:*"),
    );
    // EventBridge does not set condition keys for topic policies (its user guide, "Amazon SNS permissions").
    let events = publish("PublishEvents", EVENTS);
    let topic = Topic {
        name: name(site),
        kms_key: Some(key.clone()),
        policy: Policy::new([alarms, events]),
        tags: site.named(TOPIC),
    };
    let topic = graph.add(site.region(), TOPIC, topic)?;
    for (number, subscriber) in (1..).zip(subscribers) {
        let subscription = Subscription {
            topic: topic.id.clone(),
            protocol: subscriber.protocol.to_owned(),
            endpoint: Endpoint::new(subscriber.protocol, subscriber.endpoint),
            raw: false,
        };
        graph.add(site.region(), &format!("{TOPIC}-{number}"), subscription)?;
    }
    site.output(graph, "alarm_topic_arn", &topic.outputs.arn);
    Ok(topic)
}

fn name(site: &Site<'_>) -> String {
    site.names.name(TOPIC)
}

/// The topic's ARN, known before it exists: the policies of the topic and its key contain it, and it refers to the key.
fn arn(site: &Site<'_>) -> String {
    site.arn("sns", &name(site))
}

/// The key policy statement for publishers.
#[must_use]
pub fn key_statement(site: &Site<'_>) -> Statement {
    Statement::allow("PublishToAlarms", ["kms:Decrypt", "kms:GenerateDataKey"])
        .principal("Service", ALARMS)
        .principal("Service", EVENTS)
        .on("*")
        .when("StringEquals", "kms:EncryptionContext:aws:sns:topicArn", arn(site))
}
