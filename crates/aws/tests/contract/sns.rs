//! Examples of SNS.

use payinfra_aws::sns::{Endpoint, Subscription, Topic};
use payinfra_aws::{Aws, Explain, Need, Policy, Statement};
use payinfra_engine::{Class, Cloud, Graph, Node, Resource, Result, Tags};
use serde_json::json;

use crate::example::{Again, Example, examples, form, graph, region};
use crate::kms::key_for;
use crate::life::{access, site};

examples![subscription, topic];

fn policy(name: &str, services: &[&str]) -> Policy {
    Policy::new(services.iter().map(|service| {
        Statement::allow("", ["sns:Publish"])
            .principal("Service", *service)
            .on(format!("arn:aws:sns:us-east-1:123456789012:{name}"))
    }))
}

fn args(name: &str) -> Topic {
    let policy = policy(name, &["cloudwatch.amazonaws.com"]);
    Topic { name: name.to_owned(), kms_key: None, policy, tags: Tags::new() }
}

/// A topic that alarms and events can go to.
pub(crate) fn topic_for(graph: &mut Graph, name: &str) -> Result<Node<Topic>> {
    let args = args(&format!("contract-{}-{name}", graph.workspace));
    graph.add(&region(), name, args)
}

fn topic() -> Result<Example> {
    let mut graph = graph("topic");
    let key = key_for(&mut graph, "key", &["cloudwatch.amazonaws.com"])?;
    let services = ["cloudwatch.amazonaws.com", "events.amazonaws.com"];
    Example::new(graph, &region(), args("contract-example"))?
        .again(Again::Taken)
        .change(|topic: &mut Topic| topic.kms_key = Some(key.outputs.arn))?
        .change(|topic: &mut Topic| topic.policy = policy("contract-example", &services))?
        .change(|topic: &mut Topic| topic.kms_key = None)
}

fn subscription() -> Result<Example> {
    let mut graph = graph("subscription");
    let topic = topic_for(&mut graph, "topic")?;
    let endpoint = Endpoint::new("sqs", "arn:aws:sqs:us-east-1:123456789012:contract-example");
    let subscription = Subscription { topic: topic.id, protocol: "sqs".to_owned(), endpoint, raw: false };
    Example::new(graph, &region(), subscription)?
        .again(Again::Taken)
        .change(|subscription: &mut Subscription| subscription.raw = true)
}

#[tokio::test]
async fn a_topic_of_others_is_refused() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let site = site(&region(), Topic::KIND, "theirs")?;
    let wanted = form(&Topic { tags: site.owner.tags(), ..args("contract-theirs") })?;
    let theirs = cx.sns().create_topic().name("contract-theirs").send().await.explain()?.topic_arn.need("TopicArn")?;
    let class = |error: payinfra_engine::Error| error.class();
    assert_eq!(aws.create(&site, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&site, &wanted).await.map_err(class), Err(Class::Foreign));
    let live = aws.read(&region(), Topic::KIND, &[theirs]).await?.pop().need("Topic")?;
    aws.delete(&site, &live).await
}

#[tokio::test]
async fn a_subscription_that_nobody_confirmed_is_found_again_and_goes_by_itself() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let topic = cx.sns().create_topic().name("contract-pending").send().await.explain()?.topic_arn.need("TopicArn")?;
    let site = site(&region(), Subscription::KIND, "pending")?;
    let wanted = json!({ "topic": topic, "protocol": "email", "endpoint": "nobody@example.com", "raw": false });
    let id = aws.create(&site, &wanted).await?;
    assert_eq!(aws.recover(&site, &wanted).await?.as_ref(), Some(&id));
    let live = aws.read(&region(), Subscription::KIND, &[id]).await?.pop().need("Subscription")?;
    assert_eq!(live.args, wanted);
    let refused = aws.delete(&site, &live).await.map_err(|error| error.class());
    assert_eq!(refused, Err(Class::NotFound), "the engine does not wait for it");
    cx.sns().delete_topic().topic_arn(topic).send().await.explain()?;
    aws.delete(&site, &live).await
}
