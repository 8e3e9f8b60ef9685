//! Metrics, as log lines in CloudWatch's embedded metric format: one set per minute, or per event.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use payment_core::{Outcome, Place, Repairs};
use serde_json::{Value, json};

/// The namespace of the metrics, unless the deployment has its own.
const NAMESPACE: &str = "Payinfra/Payments";

/// The metrics that are also written if they are zero, so that alarms have data.
const ALWAYS: [&str; 4] = [ACCEPTED, IN_DOUBT, REFUSED, REPAIRED];
const ACCEPTED: &str = "Accepted";
/// Payments that may or may not be stored, and payments whose audit record a sweep could not write.
const IN_DOUBT: &str = "InDoubt";
const REFUSED: &str = "Refused";
const REPAIRED: &str = "Repaired";

type Counts = BTreeMap<(&'static str, Option<&'static str>), u64>;

/// The counts since the last minute, by metric and reason.
#[derive(Debug)]
pub struct Metrics {
    place: Place,
    namespace: String,
    counts: Mutex<Counts>,
}

impl Metrics {
    /// Metrics of the service or function at `place`.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self { place, namespace: NAMESPACE.to_owned(), counts: Mutex::default() }
    }

    /// The same in the namespace of a deployment, so that several in one account and region do not share their metrics.
    #[must_use]
    pub fn in_namespace(self, namespace: String) -> Self {
        Self { namespace, ..self }
    }

    fn add(&self, metric: &'static str, reason: Option<&'static str>, count: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((metric, reason)).or_default() += count;
    }

    /// Counts the outcome of a request.
    pub fn outcome(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted { repeated: false, .. } => self.add(ACCEPTED, None, 1),
            Outcome::Accepted { repeated: true, .. } => self.add("Repeated", None, 1),
            Outcome::Refused(refusal) if refusal.card => self.refused("card"),
            Outcome::Refused(refusal) => self.refused(refusal.field.unwrap_or("body")),
            Outcome::Conflict { .. } => self.refused("conflict"),
            Outcome::Unreachable { .. } => self.refused("unreachable"),
            Outcome::Failed { transaction_id: Some(_), .. } => self.add(IN_DOUBT, None, 1),
            Outcome::Failed { transaction_id: None, .. } => self.add("Failed", None, 1),
            Outcome::Found(_) | Outcome::NotFound => {}
        }
    }

    /// Counts a request that was rejected before it reached the core.
    pub fn refused(&self, reason: &'static str) {
        self.add(REFUSED, Some(reason), 1);
    }

    /// Counts the result of a sweep.
    pub fn repairs(&self, repairs: Repairs) {
        self.add(REPAIRED, None, repairs.repaired.into());
        self.add(IN_DOUBT, None, repairs.failed.into());
    }

    /// The log lines for the counts since the last call.
    pub fn lines(&self, now: Timestamp) -> Vec<Value> {
        let mut counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        for metric in ALWAYS {
            if !counts.keys().any(|(counted, _)| *counted == metric) {
                counts.insert((metric, None), 0);
            }
        }
        self.all(now, counts)
    }

    /// The log lines for one outcome: its count, and the amount of a new payment in its currency.
    ///
    /// The amount is a number here because CloudWatch has no decimals; the record keeps the decimal.
    pub fn event(&self, now: Timestamp, outcome: &Outcome) -> Vec<Value> {
        self.outcome(outcome);
        let mut lines = self.counted(now);
        if let Outcome::Accepted { record, repeated: false } = outcome {
            let amount = record.payment.amount.to_string().parse::<f64>().unwrap_or_default();
            let mut line = self.line(now, "Amount", None, 0);
            line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = json!([["Region", "Phase", "Currency"]]);
            line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Unit"] = "None".into();
            line["Currency"] = record.payment.currency.to_string().into();
            line["Amount"] = amount.into();
            lines.push(line);
        }
        lines
    }

    /// The log lines for the counts since the last call, without those that are zero.
    pub fn counted(&self, now: Timestamp) -> Vec<Value> {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        self.all(now, counts)
    }

    fn all(&self, now: Timestamp, counts: Counts) -> Vec<Value> {
        counts.into_iter().map(|((metric, reason), count)| self.line(now, metric, reason, count)).collect()
    }

    fn line(&self, now: Timestamp, metric: &str, reason: Option<&str>, count: u64) -> Value {
        let mut dimensions = vec![json!(["Region", "Phase"])];
        dimensions.extend(reason.map(|_| json!(["Region", "Phase", "Reason"])));
        let mut line = json!({
            "_aws": {
                "Timestamp": now.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": self.namespace,
                    "Dimensions": dimensions,
                    "Metrics": [{ "Name": metric, "Unit": "Count" }],
                }],
            },
            "Region": self.place.region,
            "Phase": self.place.phase,
        });
        line[metric] = count.into();
        if let Some(reason) = reason {
            line["Reason"] = reason.into();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_in_the_lines_once() {
        let metrics = Metrics::new(Place { region: "us-east-1".to_owned(), phase: "legacy".to_owned() });
        metrics.refused("card");
        metrics.refused("card");
        metrics.repairs(Repairs { repaired: 3, failed: 1 });
        let lines = metrics.lines(Timestamp::UNIX_EPOCH);
        let counted: Vec<_> = ALWAYS.iter().map(|metric| lines.iter().find_map(|line| line[metric].as_u64())).collect();
        assert_eq!(counted, [Some(0), Some(1), Some(2), Some(3)]);
        let refused = lines.iter().find(|line| line["Refused"] == 2);
        let expected = json!({
            "_aws": {
                "Timestamp": 0,
                "CloudWatchMetrics": [{
                    "Namespace": "Payinfra/Payments",
                    "Dimensions": [["Region", "Phase"], ["Region", "Phase", "Reason"]],
                    "Metrics": [{ "Name": "Refused", "Unit": "Count" }],
                }],
            },
            "Region": "us-east-1",
            "Phase": "legacy",
            "Reason": "card",
            "Refused": 2,
        });
        assert_eq!(refused, Some(&expected));
        let metrics = metrics.in_namespace("payment-demo1-payments".to_owned());
        let again = metrics.lines(Timestamp::UNIX_EPOCH);
        let namespace = |line: &Value| line["_aws"]["CloudWatchMetrics"][0]["Namespace"].clone();
        assert!(again.iter().all(|line| namespace(line) == "payment-demo1-payments"), "{again:?}");
        assert_eq!(again.len(), ALWAYS.len());
        assert!(ALWAYS.iter().all(|metric| again.iter().any(|line| line[metric] == 0)), "{again:?}");
    }
}
