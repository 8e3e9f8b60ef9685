//! Examples of `CloudWatch` Logs.

use payinfra_aws::logs::{LogGroup, MetricFilter};
use payinfra_aws::{Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Resource, Result, Site, Tags};
use serde_json::json;

use crate::example::{Again, Example, examples, graph, region};
use crate::kms::key_for;
use crate::life::{access, site};

examples![log_group, metric_filter];

fn log_group() -> Result<Example> {
    let mut graph = graph("log-group");
    let key = key_for(&mut graph, "key", &["logs.us-east-1.amazonaws.com"])?;
    let name = "/contract/example".to_owned();
    let group = LogGroup { name: name.into(), retention_days: Some(7), kms_key: None, tags: Tags::new() };
    Example::new(graph, &region(), group)?
        .again(Again::Taken)
        .change(|group: &mut LogGroup| group.retention_days = Some(30))?
        .change(|group: &mut LogGroup| group.kms_key = Some(key.outputs.arn))?
        .change(|group: &mut LogGroup| (group.retention_days, group.kms_key) = (None, None))
}

fn metric_filter() -> Result<Example> {
    let mut graph = graph("metric-filter");
    let name = "/contract/metric-filter".to_owned();
    let group = LogGroup { name: name.into(), retention_days: None, kms_key: None, tags: Tags::new() };
    let group = graph.add(&region(), "group", group)?;
    let filter = MetricFilter {
        group: group.id,
        name: "errors".to_owned(),
        pattern: "ERROR".to_owned(),
        metric_namespace: "Contract".to_owned(),
        metric_name: "Errors".to_owned(),
        metric_value: "1".to_owned(),
        default_value: None,
    };
    Example::new(graph, &region(), filter)?
        .again(Again::Taken)
        .change(|filter: &mut MetricFilter| "{ $.level = \"error\" }".clone_into(&mut filter.pattern))?
        .change(|filter: &mut MetricFilter| filter.metric_namespace.push_str("/More"))?
        .change(|filter: &mut MetricFilter| "Slow".clone_into(&mut filter.metric_name))?
        .change(|filter: &mut MetricFilter| "$.latency".clone_into(&mut filter.metric_value))?
        .change(|filter: &mut MetricFilter| filter.default_value = Some(0.0))?
        .change(|filter: &mut MetricFilter| filter.default_value = None)
}

#[tokio::test]
async fn a_group_that_a_service_made_is_ours_after_a_create_of_ours_only() -> Result<()> {
    let access = access().await?;
    let (cx, aws) = (access.cx(&region()), Aws::new(access.clone()));
    let name = "/contract/adopted";
    let site = site(&region(), LogGroup::KIND, "adopted")?;
    let wanted = json!({ "name": name, "retention_days": 7, "kms_key": null, "tags": site.owner.tags() });
    let class = |error: payinfra_engine::Error| error.class();
    cx.logs().create_log_group().log_group_name(name).send().await.explain()?;
    assert_eq!(aws.create(&site, &wanted).await.map_err(class), Err(Class::Foreign));
    assert_eq!(aws.recover(&site, &wanted).await.map_err(class), Err(Class::Foreign), "no create of ours was started");
    let begun = Site { begun: true, ..site.clone() };
    assert_eq!(aws.recover(&begun, &wanted).await?.as_deref(), Some(name));
    cx.logs().put_retention_policy().log_group_name(name).retention_in_days(1).send().await.explain()?;
    assert_eq!(aws.recover(&begun, &wanted).await.map_err(class), Err(Class::Foreign));
    let live = aws.read(&region(), LogGroup::KIND, &[name.to_owned()]).await?.pop().need("LogGroup")?;
    aws.update(&site, &wanted, &live).await?;
    assert_eq!(aws.recover(&site, &wanted).await?.as_deref(), Some(name));
    aws.delete(&site, &live).await
}
