//! The records that Route 53 answers with.
//!
//! Route 53 Developer Guide, How Amazon Route 53 chooses records when health checking is configured: weighted records
//! with a weight above 0 come first; if none of them is healthy, those with weight 0; if no record is healthy, all count
//! as healthy. A failover group answers with its primary, unless only its secondary is healthy.

use serde::Deserialize;

/// A record that routes requests, as the emulators know it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Record {
    /// The name, without a dot at the end.
    pub(crate) name: String,
    /// The type: `A` or `AAAA`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The set identifier; empty for simple routing.
    pub(crate) id: String,
    /// The weight; `None` for other routing policies.
    pub(crate) weight: Option<u32>,
    /// `PRIMARY` or `SECONDARY` in a failover group.
    pub(crate) failover: Option<String>,
    /// The record's health for Route 53: its health check, and for aliases its target's health.
    pub(crate) healthy: bool,
    /// The DNS name of the load balancer that it is an alias of.
    pub(crate) balancer: Option<String>,
    /// The region of its load balancer.
    pub(crate) region: Option<String>,
    /// The ports of its load balancer's listeners.
    pub(crate) ports: Vec<u16>,
    /// Why some of its requests are not answered by a healthy target.
    pub(crate) dead_end: Option<String>,
}

impl Record {
    /// Whether it is meant to get requests.
    pub(super) fn has_weight(&self) -> bool {
        self.weight != Some(0)
    }

    /// Its place in messages.
    pub(super) fn title(&self) -> String {
        if self.id.is_empty() { self.name.clone() } else { format!("{} ({})", self.name, self.id) }
    }
}

/// The records that Route 53 can answer with, of those with one name and type.
pub(crate) fn answers<'a>(records: &[&'a Record]) -> Vec<&'a Record> {
    let is = |record: &&&Record, role: &str| record.failover.as_deref() == Some(role);
    if records.iter().any(|record| record.failover.is_some()) {
        let healthy = |role| records.iter().filter(move |record| is(record, role) && record.healthy).copied();
        let primary: Vec<_> = healthy("PRIMARY").collect();
        let secondary: Vec<_> = healthy("SECONDARY").collect();
        return match (primary.is_empty(), secondary.is_empty()) {
            (false, _) => primary,
            (true, false) => secondary,
            (true, true) => records.iter().filter(|record| is(record, "PRIMARY")).copied().collect(),
        };
    }
    let choices: [&dyn Fn(&Record) -> bool; 3] =
        [&|record| record.healthy && record.has_weight(), &|record| record.healthy, &|record| record.has_weight()];
    let chosen = choices.iter().map(|choice| records.iter().copied().filter(|record| choice(record)).collect());
    chosen.into_iter().find(|chosen: &Vec<_>| !chosen.is_empty()).unwrap_or_else(|| records.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, weight: Option<u32>, healthy: bool) -> Record {
        Record {
            name: "api.example.com".to_owned(),
            kind: "A".to_owned(),
            id: id.to_owned(),
            weight,
            failover: None,
            healthy,
            balancer: None,
            region: None,
            ports: Vec::new(),
            dead_end: None,
        }
    }

    fn answered(records: &[Record]) -> Vec<&str> {
        answers(&records.iter().collect::<Vec<_>>()).iter().map(|record| record.id.as_str()).collect()
    }

    #[test]
    fn weighted_records_that_are_healthy_come_first() {
        let weighted = |one, two, three| {
            [record("one", Some(90), one), record("two", Some(10), two), record("three", Some(0), three)]
        };
        assert_eq!(answered(&weighted(true, true, true)), ["one", "two"]);
        assert_eq!(answered(&weighted(true, false, true)), ["one"]);
        assert_eq!(answered(&weighted(false, false, true)), ["three"]);
        // All count as healthy.
        assert_eq!(answered(&weighted(false, false, false)), ["one", "two"]);
        // Without any weight, all get the same share.
        assert_eq!(answered(&[record("one", Some(0), true), record("two", Some(0), true)]), ["one", "two"]);
        assert_eq!(answered(&[record("", None, false)]), [""]);
    }

    #[test]
    fn a_failover_group_answers_with_its_primary_unless_only_the_secondary_is_healthy() {
        let group = |primary, secondary| {
            let of = |id, role: &str, healthy| Record { failover: Some(role.to_owned()), ..record(id, None, healthy) };
            [of("one", "PRIMARY", primary), of("two", "SECONDARY", secondary)]
        };
        assert_eq!(answered(&group(true, true)), ["one"]);
        assert_eq!(answered(&group(false, true)), ["two"]);
        assert_eq!(answered(&group(false, false)), ["one"]);
    }
}
