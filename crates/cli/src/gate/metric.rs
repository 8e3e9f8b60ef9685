//! A gate that compares a metric with a threshold.

use std::collections::BTreeMap;
use std::fmt;

use payinfra_aws::cloudwatch::MetricStat;
use payinfra_aws::probe::Finding;
use payinfra_engine::{Region, Text};

use super::Gate;

/// The period of the values in seconds.
const PERIOD: i32 = 60;
/// The statistic unless another one is given.
const STATISTIC: &str = "Average";

const FORM: &str = "write metric:NAMESPACE/NAME{DIMENSION=VALUE,…}:STATISTIC@REGION<NUMBER, such as \
                    metric:AWS/ApplicationELB/TargetResponseTime{LoadBalancer=app/api/1}:p99@us-east-1<0.2; the dimensions \
                    and the statistic (by default Average) can be omitted";

/// A comparison with a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Comparison {
    operator: Operator,
    threshold: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// With their texts, the longer ones first.
    const ALL: [(&'static str, Self); 4] =
        [("<=", Self::LessOrEqual), (">=", Self::GreaterOrEqual), ("<", Self::Less), (">", Self::Greater)];

    fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, operator)| *operator == self).map_or("", |(text, _)| text)
    }
}

impl Comparison {
    /// No value above `threshold`.
    pub(super) fn at_most(threshold: f64) -> Self {
        Self { operator: Operator::LessOrEqual, threshold }
    }

    /// Judges the newest value. A metric without data has nothing to report.
    pub(super) fn judge(self, value: Option<f64>) -> Finding {
        let Self { operator, threshold } = self;
        let Some(value) = value else {
            return Finding::good("has no data in the last 5 minutes, which counts as OK");
        };
        let good = match operator {
            Operator::Less => value < threshold,
            Operator::LessOrEqual => value <= threshold,
            Operator::Greater => value > threshold,
            Operator::GreaterOrEqual => value >= threshold,
        };
        let not = if good { "" } else { "not " };
        Finding { good, reason: format!("{value} is {not}{} {threshold}", operator.as_str()) }
    }
}

/// Parses what follows `metric:`.
pub(super) fn parse(text: &str) -> Result<Gate, String> {
    let form = || FORM.to_owned();
    let (metric, condition) = text.rsplit_once('@').ok_or_else(form)?;
    let at = condition.find(['<', '>']).ok_or_else(form)?;
    let (region, comparison) = condition.split_at(at);
    let (symbol, operator) =
        Operator::ALL.into_iter().find(|(symbol, _)| comparison.starts_with(symbol)).ok_or_else(form)?;
    let threshold: f64 = comparison[symbol.len()..].trim().parse().map_err(|_| form())?;
    let (path, dimensions, statistic) = match metric.split_once('{') {
        None => (metric, "", STATISTIC),
        Some((path, rest)) => {
            let (dimensions, statistic) = rest.rsplit_once('}').ok_or_else(form)?;
            let statistic = if statistic.is_empty() { Some(STATISTIC) } else { statistic.strip_prefix(':') };
            (path, dimensions, statistic.ok_or_else(form)?)
        }
    };
    let (namespace, name) = path.rsplit_once('/').ok_or_else(form)?;
    let is_empty = [namespace, name, region, statistic].iter().any(|part| part.trim().is_empty());
    if is_empty || !threshold.is_finite() {
        return Err(form());
    }
    let pairs = dimensions.split(',').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), Text::from(value))));
    let metric = MetricStat {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dimensions: pairs.collect::<Option<BTreeMap<_, _>>>().ok_or_else(form)?,
        statistic: statistic.to_owned(),
        period: PERIOD,
    };
    Ok(Gate::Metric { metric, region: Region::new(region), comparison: Comparison { operator, threshold } })
}

/// Writes what [`parse`] reads.
pub(super) fn write(
    f: &mut fmt::Formatter<'_>,
    metric: &MetricStat,
    region: &Region,
    Comparison { operator, threshold }: Comparison,
) -> fmt::Result {
    let MetricStat { namespace, name, dimensions, statistic, .. } = metric;
    write!(f, "metric:{namespace}/{name}")?;
    if !dimensions.is_empty() || statistic != STATISTIC {
        let pairs = dimensions.iter().map(|(name, value)| format!("{name}={}", value.known().unwrap_or_default()));
        write!(f, "{{{}}}", pairs.collect::<Vec<_>>().join(","))?;
    }
    if statistic != STATISTIC {
        write!(f, ":{statistic}")?;
    }
    write!(f, "@{region}{}{threshold}", operator.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str, value: Option<f64>) -> Result<(bool, String), String> {
        match parse(text)? {
            Gate::Metric { comparison, .. } => {
                let Finding { good, reason } = comparison.judge(value);
                Ok((good, reason))
            }
            other => Err(format!("{other} is not a metric")),
        }
    }

    #[test]
    fn the_newest_value_is_compared_with_the_threshold() {
        assert_eq!(judged("A/b@us-east-1<5", Some(4.5)), Ok((true, "4.5 is < 5".to_owned())));
        assert_eq!(judged("A/b@us-east-1<5", Some(5.0)), Ok((false, "5 is not < 5".to_owned())));
        for (text, good) in [("A/b@r<=5", true), ("A/b@r>=5", true), ("A/b@r>5", false), ("A/b@r>-5", true)] {
            assert_eq!(judged(text, Some(5.0)).map(|(good, _)| good), Ok(good), "{text}");
        }
        assert!(judged("A/b@r>5", None).is_ok_and(|(good, reason)| good && reason.contains("no data")));
    }

    #[test]
    fn dimensions_may_contain_slashes_and_the_statistic_follows_them() {
        let text = "AWS/ApplicationELB/Latency{LoadBalancer=app/api/1,Zone=a}:p99@us-east-1<0.2";
        let gate = parse(text);
        assert!(matches!(&gate, Ok(Gate::Metric { metric, .. })
            if metric.namespace == "AWS/ApplicationELB" && metric.name == "Latency" && metric.statistic == "p99"
                && metric.dimensions.len() == 2 && metric.dimensions["LoadBalancer"] == Text::from("app/api/1")));
        for wrong in
            ["A/b", "A/b@r", "b@r<1", "A/b@r<x", "A/b@<1", "A/b{c}@r<1", "A/b{c=1@r<1", "A/b{}p99@r<1", "A/b@r<NaN"]
        {
            assert_eq!(parse(wrong), Err(FORM.to_owned()), "{wrong}");
        }
    }
}
