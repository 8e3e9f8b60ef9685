//! The topic for all alerts of a region, and its subscriptions.

use payinfra_aws::sns::{Endpoint, Subscription, Topic};
use payinfra_aws::{Policy, Statement};
use payinfra_engine::{Graph, Node, Result};

use crate::migration::Site;
use crate::migration::keys::Keys;

const ALARMS: &str = "cloudwatch.amazonaws.com";
const EVENTS: &str = "events.amazonaws.com";

/// Declares the topic of a region, and its subscriptions.
pub(super) fn topic(graph: &mut Graph, site: &Site<'_>, keys: &Keys) -> Result<Node<Topic>> {
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
        kms_key: Some(keys.application.outputs.arn.clone()),
        policy: Policy::new([alarms, events]),
        tags: site.named("alarms"),
    };
    let topic = graph.add(site.region(), "alarms", topic)?;
    for (number, given) in (1..).zip(&site.settings.alarms.subscriptions) {
        let subscription = Subscription {
            topic: topic.id.clone(),
            protocol: given.protocol.clone(),
            endpoint: Endpoint::new(&given.protocol, &given.endpoint),
            raw: false,
        };
        graph.add(site.region(), &format!("alarms-{number}"), subscription)?;
    }
    Ok(topic)
}

fn name(site: &Site<'_>) -> String {
    site.names.name("alarms")
}

/// The topic's ARN, known before it exists: the policies of the topic and its key contain it, and it refers to the key.
fn arn(site: &Site<'_>) -> String {
    site.arn("sns", &name(site))
}

/// The key policy statements for publishers.
pub(in crate::migration) fn key_statement(site: &Site<'_>) -> Statement {
    Statement::allow("PublishToAlarms", ["kms:Decrypt", "kms:GenerateDataKey"])
        .principal("Service", ALARMS)
        .principal("Service", EVENTS)
        .on("*")
        .when("StringEquals", "kms:EncryptionContext:aws:sns:topicArn", arn(site))
}
