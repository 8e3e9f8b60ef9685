//! Examples of `CloudWatch`.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::cloudwatch::{Alarm, CompositeAlarm, Dashboard, MetricStat, Missing, Query, Watch};
use payinfra_aws::{Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Metric, Resource, Result, Tags, Text};
use serde_json::json;

use crate::example::{Again, Example, examples, form, graph, region};
use crate::life::{access, site};
use crate::sns::topic_for;

examples![alarm, alarm_by_percentile, alarm_by_math, composite_alarm, dashboard];

fn metric(name: &str, statistic: &str) -> MetricStat {
    MetricStat {
        namespace: "Contract".to_owned(),
        name: name.to_owned(),
        dimensions: BTreeMap::from([("Zone".to_owned(), "z".into()), ("Cluster".to_owned(), "c".into())]),
        statistic: statistic.to_owned(),
        period: 60,
    }
}

fn args(name: &str) -> Alarm {
    Alarm {
        name: name.to_owned(),
        description: "an example".to_owned(),
        watch: Watch::Metric(metric("CPUUtilization", "Average")),
        comparison: "GreaterThanThreshold".to_owned(),
        threshold: 80.0,
        periods: 3,
        datapoints: 3,
        missing: Missing::Unknown,
        alarm_actions: BTreeSet::new(),
        ok_actions: BTreeSet::new(),
        tags: Tags::new(),
    }
}

fn alarm() -> Result<Example> {
    let mut graph = graph("alarm");
    let topic = topic_for(&mut graph, "topic")?;
    let (alarm_topic, ok_topic) = (topic.outputs.arn.clone(), topic.outputs.arn);
    Example::new(graph, &region(), args("contract-alarm"))?
        .again(Again::Taken)
        .change(|alarm: &mut Alarm| alarm.description.push_str(" for more"))?
        .change(|alarm: &mut Alarm| (alarm.threshold, alarm.comparison) = (0.5, "LessThanThreshold".to_owned()))?
        .change(|alarm: &mut Alarm| (alarm.periods, alarm.datapoints) = (5, 2))?
        .change(|alarm: &mut Alarm| alarm.missing = Missing::Breaching)?
        .change(|alarm: &mut Alarm| alarm.alarm_actions = BTreeSet::from([alarm_topic]))?
        .change(|alarm: &mut Alarm| alarm.ok_actions = BTreeSet::from([ok_topic]))?
        .change(|alarm: &mut Alarm| alarm.watch = Watch::Metric(metric("MemoryUtilization", "Maximum")))?
        .change(|alarm: &mut Alarm| (alarm.alarm_actions, alarm.ok_actions) = (BTreeSet::new(), BTreeSet::new()))
}

fn alarm_by_percentile() -> Result<Example> {
    let watch = Watch::Metric(metric("Latency", "p99"));
    let alarm = Alarm { watch, missing: Missing::NotBreaching, ..args("contract-percentile") };
    Example::new(graph("alarm-by-percentile"), &region(), alarm)?
        .again(Again::Taken)
        .change(|alarm: &mut Alarm| alarm.watch = Watch::Metric(metric("Latency", "p99.9")))?
        .change(|alarm: &mut Alarm| alarm.watch = Watch::Metric(metric("Latency", "Average")))
}

fn alarm_by_math() -> Result<Example> {
    let math = |expression: &str| Watch::Math {
        queries: BTreeMap::from([
            ("all".to_owned(), Query::Metric(metric("Requests", "Sum"))),
            ("failed".to_owned(), Query::Metric(metric("Failures", "Sum"))),
            ("percent".to_owned(), Query::Expression(expression.to_owned())),
        ]),
        result: "percent".to_owned(),
    };
    let alarm = Alarm { watch: math("100 * failed / all"), ..args("contract-math") };
    Example::new(graph("alarm-by-math"), &region(), alarm)?
        .again(Again::Taken)
        .change(|alarm: &mut Alarm| alarm.watch = math("100 * failed / FILL(all, 1)"))
}

fn composite_alarm() -> Result<Example> {
    let mut graph = graph("composite-alarm");
    let topic = topic_for(&mut graph, "topic")?;
    let (alarm_topic, ok_topic) = (topic.outputs.arn.clone(), topic.outputs.arn);
    let first = graph.add(&region(), "first", args("contract-composite-first"))?;
    let second = graph.add(&region(), "second", args("contract-composite-second"))?;
    let fires = |alarm: &payinfra_engine::Node<Alarm>| Text::from("ALARM(\"").and(&alarm.id).and("\")");
    let either = fires(&first).and(" OR ").and(fires(&second));
    let alarm = CompositeAlarm {
        name: "contract-composite".to_owned(),
        description: "an example".to_owned(),
        rule: fires(&first),
        alarm_actions: BTreeSet::new(),
        ok_actions: BTreeSet::new(),
        tags: Tags::new(),
    };
    Example::new(graph, &region(), alarm)?
        .again(Again::Taken)
        .change(|alarm: &mut CompositeAlarm| alarm.rule = either)?
        .change(|alarm: &mut CompositeAlarm| alarm.description.push_str(" for more"))?
        .change(|alarm: &mut CompositeAlarm| alarm.alarm_actions = BTreeSet::from([alarm_topic]))?
        .change(|alarm: &mut CompositeAlarm| alarm.ok_actions = BTreeSet::from([ok_topic]))
}

fn dashboard() -> Result<Example> {
    let mut graph = graph("dashboard");
    let topic = topic_for(&mut graph, "topic")?;
    let text = |text: &str| {
        let widget =
            json!({ "type": "text", "x": 0, "y": 0, "width": 24, "height": 2, "properties": { "markdown": text } });
        json!({ "widgets": [widget], "start": "-PT3H" })
    };
    let name = Text::from("# Topic ").and(&topic.outputs.name);
    let mut named = text("");
    named["widgets"][0]["properties"]["markdown"] = json!(name);
    let dashboard = Dashboard { name: "contract-example".to_owned(), body: text("# First") };
    Example::new(graph, &region(), dashboard)?
        .again(Again::Taken)
        .change(|dashboard: &mut Dashboard| dashboard.body = text("# Second"))?
        .change(|dashboard: &mut Dashboard| dashboard.body = named)
}

#[tokio::test]
async fn an_alarm_of_others_is_refused_and_not_changed() -> Result<()> {
    let aws = Aws::new(access().await?);
    let (theirs, ours) = (site(&region(), Alarm::KIND, "theirs")?, site(&region(), Alarm::KIND, "ours")?);
    let before = form(&Alarm { tags: theirs.owner.tags(), ..args("contract-taken") })?;
    let wanted = form(&Alarm { tags: ours.owner.tags(), threshold: 1.0, ..args("contract-taken") })?;
    let id = aws.create(&theirs, &before).await?;
    let class = |error: payinfra_engine::Error| error.class();
    assert_eq!(aws.create(&ours, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&ours, &wanted).await.map_err(class), Err(Class::Foreign));
    let live = aws.read(&region(), Alarm::KIND, &[id]).await?.pop().need("Alarm")?;
    assert_eq!(live.args, before);
    aws.delete(&theirs, &live).await
}

#[tokio::test]
async fn a_dashboard_of_others_is_refused_and_not_changed() -> Result<()> {
    let aws = Aws::new(access().await?);
    let site = site(&region(), Dashboard::KIND, "theirs")?;
    let before = json!({ "name": "contract-taken", "body": { "widgets": [] } });
    let wanted = json!({ "name": "contract-taken", "body": { "widgets": [], "start": "-PT1H" } });
    let id = aws.create(&site, &before).await?;
    let class = |error: payinfra_engine::Error| error.class();
    assert_eq!(aws.create(&site, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&site, &wanted).await.map_err(class), Err(Class::Foreign));
    let live = aws.read(&region(), Dashboard::KIND, &[id]).await?.pop().need("Dashboard")?;
    assert_eq!(live.args, before);
    aws.delete(&site, &live).await
}

#[tokio::test]
async fn an_alarm_that_a_composite_alarm_names_stays() -> Result<()> {
    let aws = Aws::new(access().await?);
    let (of_child, of_parent) =
        (site(&region(), Alarm::KIND, "named")?, site(&region(), CompositeAlarm::KIND, "named")?);
    let child = form(&Alarm { tags: of_child.owner.tags(), ..args("contract-named") })?;
    let child = aws.create(&of_child, &child).await?;
    let parent = CompositeAlarm {
        name: "contract-naming".to_owned(),
        description: String::new(),
        rule: "ALARM(\"contract-named\")".into(),
        alarm_actions: BTreeSet::new(),
        ok_actions: BTreeSet::new(),
        tags: of_parent.owner.tags(),
    };
    let parent = aws.create(&of_parent, &form(&parent)?).await?;
    let child = aws.read(&region(), Alarm::KIND, &[child]).await?.pop().need("Alarm")?;
    let parent = aws.read(&region(), CompositeAlarm::KIND, &[parent]).await?.pop().need("CompositeAlarm")?;
    assert_eq!(aws.delete(&of_child, &child).await.map_err(|error| error.class()), Err(Class::Conflict));
    aws.delete(&of_parent, &parent).await?;
    aws.delete(&of_child, &child).await
}

#[tokio::test]
async fn metrics_are_published() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let metric = Metric {
        region: region(),
        namespace: "Contract/Published".to_owned(),
        name: "Phase".to_owned(),
        dimensions: BTreeMap::from([("Workspace".to_owned(), "contract".to_owned())]),
        value: 2.0,
    };
    aws.publish(&metric).await?;
    let found = cx.cloudwatch().list_metrics().namespace("Contract/Published").send().await.explain()?;
    let names: Vec<_> = found.metrics().iter().filter_map(|metric| metric.metric_name()).collect();
    assert_eq!(names, ["Phase"]);
    Ok(())
}
