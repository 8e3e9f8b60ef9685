//! Examples of `EventBridge`.

use std::collections::BTreeMap;

use payinfra_aws::eventbridge::{On, Rule, Target, Transform};
use payinfra_aws::{Aws, Need};
use payinfra_engine::{Class, Cloud, Resource, Result, Secret, Tags};
use serde_json::json;

use crate::example::{Again, Example, examples, form, graph, region};
use crate::life::{access, site};
use crate::sns::topic_for;

examples![rule, rule_by_the_clock, target];

fn args(name: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        description: "an example".to_owned(),
        on: On::Event(json!({ "source": ["aws.ecs"] })),
        enabled: true,
        tags: Tags::new(),
    }
}

fn rule() -> Result<Example> {
    let mut graph = graph("event-rule");
    let topic = topic_for(&mut graph, "topic")?;
    let pattern = json!({ "source": ["aws.rds"], "resources": [topic.outputs.arn] });
    Example::new(graph, &region(), args("contract-rule"))?
        .again(Again::Taken)
        .change(|rule: &mut Rule| rule.description.push_str(" for more"))?
        .change(|rule: &mut Rule| rule.on = On::Event(pattern))?
        .change(|rule: &mut Rule| rule.enabled = false)?
        .change(|rule: &mut Rule| rule.on = On::Schedule("rate(5 minutes)".to_owned()))
}

fn rule_by_the_clock() -> Result<Example> {
    let on = On::Schedule("cron(0 12 * * ? *)".to_owned());
    Example::new(graph("event-rule-by-the-clock"), &region(), Rule { on, ..args("contract-clock") })?
        .again(Again::Taken)
        .change(|rule: &mut Rule| rule.on = On::Schedule("rate(1 hour)".to_owned()))
}

fn target() -> Result<Example> {
    let mut graph = graph("event-target");
    let first = topic_for(&mut graph, "first")?;
    let second = topic_for(&mut graph, "second")?;
    let rule = graph.add(&region(), "rule", args("contract-target"))?;
    let transform = |template: &str| Transform {
        paths: BTreeMap::from([("cluster".to_owned(), "$.detail.clusterArn".to_owned())]),
        template: Secret::new(template.to_owned()),
    };
    let target = Target { rule: rule.id, name: "topic".to_owned(), arn: first.outputs.arn, transform: None };
    Example::new(graph, &region(), target)?
        .again(Again::Taken)
        .change(|target: &mut Target| target.arn = second.outputs.arn)?
        .change(|target: &mut Target| target.transform = Some(transform("\"<cluster> is in trouble\"")))?
        .change(|target: &mut Target| target.transform = Some(transform("\"Look at <cluster>\"")))?
        .change(|target: &mut Target| target.transform = None)
}

#[tokio::test]
async fn a_rule_of_others_is_refused_and_not_changed() -> Result<()> {
    let aws = Aws::new(access().await?);
    let (theirs, ours) = (site(&region(), Rule::KIND, "theirs")?, site(&region(), Rule::KIND, "ours")?);
    let before = form(&Rule { tags: theirs.owner.tags(), ..args("contract-taken") })?;
    let wanted = form(&Rule { tags: ours.owner.tags(), enabled: false, ..args("contract-taken") })?;
    let id = aws.create(&theirs, &before).await?;
    let class = |error: payinfra_engine::Error| error.class();
    assert_eq!(aws.create(&ours, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&ours, &wanted).await.map_err(class), Err(Class::Foreign));
    let live = aws.read(&region(), Rule::KIND, &[id]).await?.pop().need("Rule")?;
    assert_eq!(live.args, before);
    aws.delete(&theirs, &live).await
}

#[tokio::test]
async fn a_rule_goes_with_its_targets() -> Result<()> {
    let aws = Aws::new(access().await?);
    let (of_rule, of_target) = (site(&region(), Rule::KIND, "busy")?, site(&region(), Target::KIND, "busy")?);
    let rule = aws.create(&of_rule, &form(&Rule { tags: of_rule.owner.tags(), ..args("contract-busy") })?).await?;
    let arn = "arn:aws:sns:us-east-1:123456789012:any";
    let target = json!({ "rule": rule, "name": "any", "arn": arn, "transform": null });
    let target = aws.create(&of_target, &target).await?;
    let rule = aws.read(&region(), Rule::KIND, &[rule]).await?.pop().need("Rule")?;
    aws.delete(&of_rule, &rule).await?;
    assert_eq!(aws.read(&region(), Rule::KIND, std::slice::from_ref(&rule.id)).await?, []);
    assert_eq!(aws.read(&region(), Target::KIND, &[target]).await?, []);
    Ok(())
}
