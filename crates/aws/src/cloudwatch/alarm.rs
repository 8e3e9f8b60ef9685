//! A `CloudWatch` alarm on a metric, or on an expression of several metrics.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cloudwatch::types::{self as sdk, AlarmType};
use futures_util::future::try_join_all;
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::metric::{MetricStat, named};
use super::tags;
use crate::error::{Unless, claim, foreign, shown};
use crate::refs::{answered, known};
use crate::{Cx, Explain, Need};

/// An alarm. It starts without data, and keeps its state when it is updated.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// The name, unique in the account and region.
    pub name: String,
    /// What it means when it fires, and what to do then.
    pub description: String,
    /// The metric or expression.
    pub watch: Watch,
    /// The comparison with the threshold, such as `GreaterThanThreshold`.
    pub comparison: String,
    /// The threshold.
    pub threshold: f64,
    /// The number of periods to evaluate.
    pub periods: i32,
    /// The number of these periods that must breach the threshold.
    pub datapoints: i32,
    /// How missing data is treated.
    pub missing: Missing,
    /// The ARNs of the actions when it fires.
    pub alarm_actions: BTreeSet<Ref<String>>,
    /// The ARNs of the actions when it returns to OK.
    pub ok_actions: BTreeSet<Ref<String>>,
    /// The tags.
    pub tags: Tags,
}

/// The source of an alarm's values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Watch {
    /// One metric.
    Metric(MetricStat),
    /// The result of an expression on metrics.
    Math {
        /// The metrics and expressions by id; ids start with a lower-case letter.
        queries: BTreeMap<String, Query>,
        /// The id of the result.
        result: String,
    },
}

/// A part of an expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Query {
    /// A metric.
    Metric(MetricStat),
    /// An expression on the others, such as `100 * failed / FILL(all, 1)`.
    Expression(String),
}

/// How missing data is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// As missing: the state becomes unknown. AWS's default.
    #[default]
    Unknown,
    /// As breaching the threshold.
    Breaching,
    /// As not breaching the threshold.
    NotBreaching,
    /// Ignored: the state is kept.
    Ignore,
}

impl Missing {
    const ALL: [Self; 4] = [Self::Unknown, Self::Breaching, Self::NotBreaching, Self::Ignore];

    fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "missing",
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
            Self::Ignore => "ignore",
        }
    }
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AlarmOutputs {
    /// The alarm's ARN.
    pub arn: Ref<String>,
}

impl Alarm {
    async fn put(&self, cx: &Cx, tags: Option<&Tags>) -> Result<()> {
        let call = cx.cloudwatch().put_metric_alarm().alarm_name(&self.name).alarm_description(&self.description);
        let call = call.comparison_operator(self.comparison.as_str().into()).threshold(self.threshold);
        let call = call.evaluation_periods(self.periods).datapoints_to_alarm(self.datapoints);
        let call = call.treat_missing_data(self.missing.as_str()).actions_enabled(true);
        let call = call.set_alarm_actions(Some(known(&self.alarm_actions)?));
        let call = call.set_ok_actions(Some(known(&self.ok_actions)?)).set_tags(tags.map(tags::sdk));
        let call = match &self.watch {
            Watch::Metric(metric) => {
                let call = call.namespace(&metric.namespace).metric_name(&metric.name).period(metric.period);
                let call = call.set_dimensions(Some(metric.dimensions()?));
                match metric.statistic.as_str() {
                    simple @ ("Average" | "Maximum" | "Minimum" | "SampleCount" | "Sum") => {
                        call.statistic(simple.into())
                    }
                    extended => call.extended_statistic(extended),
                }
            }
            Watch::Math { queries, result } => {
                let queries = queries.iter().map(|(name, query)| {
                    let part = sdk::MetricDataQuery::builder().id(name).return_data(name == result);
                    Ok(match query {
                        Query::Metric(metric) => part.metric_stat(metric.sdk()?),
                        Query::Expression(expression) => part.expression(expression),
                    }
                    .build())
                });
                call.set_metrics(Some(queries.collect::<Result<_>>()?))
            }
        };
        call.send().await.explain().map(drop)
    }
}

impl Resource for Alarm {
    type Cx = Cx;
    const KIND: &'static str = "cloudwatch.alarm";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    const EXPECTED: Expected = Expected::millis(600, 300);
    type Outputs = AlarmOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// The call would update an existing alarm, so look for one first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        if !alarms(cx, std::slice::from_ref(&self.name)).await?.is_empty() {
            return Err(foreign("alarm", &self.name, &self.name));
        }
        self.put(cx, Some(&self.tags)).await?;
        Ok(Id::new(&self.name))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let Some(found) = alarms(cx, std::slice::from_ref(&self.name)).await?.pop() else { return Ok(None) };
        let tags = shown("alarm", &self.name, tags::of(cx, &found.alarm_arn.need("AlarmArn")?).await)?;
        claim("alarm", &self.name, Id::new(&self.name), &tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let names: Vec<_> = ids.iter().map(String::from).collect();
        let found = alarms(cx, &names).await?.into_iter();
        let found = try_join_all(found.map(|alarm| async { live(cx, alarm).await.unless(Class::NotFound) })).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The call replaces everything except the tags, so it sets all values.
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let same = self.description == was.description
            && self.watch == was.watch
            && self.comparison == was.comparison
            && self.threshold.to_bits() == was.threshold.to_bits()
            && (self.periods, self.datapoints, self.missing) == (was.periods, was.datapoints, was.missing)
            && (&self.alarm_actions, &self.ok_actions) == (&was.alarm_actions, &was.ok_actions);
        if !same {
            self.put(cx, None).await?;
        }
        tags::sync(cx, live.outputs.arn.known()?, &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        super::delete(cx, live.id.as_str()).await
    }

    /// Regardless of its tags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        Ok(alarms(cx, &[id.into()]).await?.is_empty())
    }
}

/// The metric alarms with these names: at most 100.
async fn alarms(cx: &Cx, names: &[String]) -> Result<Vec<sdk::MetricAlarm>> {
    let call = cx.cloudwatch().describe_alarms().set_alarm_names(Some(names.to_vec()));
    let call = call.alarm_types(AlarmType::MetricAlarm);
    Ok(call.send().await.explain()?.metric_alarms.unwrap_or_default())
}

fn watch(alarm: &mut sdk::MetricAlarm) -> Result<Watch> {
    let queries = alarm.metrics.take().unwrap_or_default();
    if queries.is_empty() {
        let statistic = alarm.statistic.as_ref().map(|it| it.as_str().to_owned());
        return Ok(Watch::Metric(MetricStat {
            namespace: alarm.namespace.take().need("Namespace")?,
            name: alarm.metric_name.take().need("MetricName")?,
            dimensions: named(alarm.dimensions.take()),
            statistic: statistic.or(alarm.extended_statistic.take()).need("Statistic")?,
            period: alarm.period.need("Period")?,
        }));
    }
    let result = queries.iter().find(|query| query.return_data != Some(false)).and_then(|query| query.id.clone());
    let queries = queries.into_iter().map(|query| {
        let part = match query.metric_stat {
            Some(stat) => Query::Metric(MetricStat::parse(stat)?),
            None => Query::Expression(query.expression.need("Expression")?),
        };
        Ok((query.id.need("Id")?, part))
    });
    Ok(Watch::Math { queries: queries.collect::<Result<_>>()?, result: result.unwrap_or_default() })
}

async fn live(cx: &Cx, mut alarm: sdk::MetricAlarm) -> Result<Live<Alarm>> {
    let watch = watch(&mut alarm)?;
    let name = alarm.alarm_name.need("AlarmName")?;
    let arn = alarm.alarm_arn.need("AlarmArn")?;
    let periods = alarm.evaluation_periods.need("EvaluationPeriods")?;
    let missing = alarm.treat_missing_data.as_deref();
    Ok(Live {
        id: Id::new(&name),
        status: Status::Ready,
        args: Alarm {
            name,
            description: alarm.alarm_description.unwrap_or_default(),
            watch,
            comparison: alarm.comparison_operator.need("ComparisonOperator")?.as_str().to_owned(),
            threshold: alarm.threshold.need("Threshold")?,
            periods,
            datapoints: alarm.datapoints_to_alarm.unwrap_or(periods),
            missing: Missing::ALL.into_iter().find(|it| Some(it.as_str()) == missing).unwrap_or_default(),
            alarm_actions: answered(alarm.alarm_actions),
            ok_actions: answered(alarm.ok_actions),
            tags: tags::of(cx, &arn).await?,
        },
        outputs: AlarmOutputs { arn: Ref::Known(arn) },
    })
}
