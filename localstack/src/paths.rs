//! Where the requests of a client go, for tests that send some.
//!
//! It is the account as the invariant checker sees it, at one moment: Route 53 answers with a load balancer, and the
//! default action of its listener forwards to a healthy target. Rules of listeners are not evaluated.

use serde::Deserialize;

use crate::checker::traffic::{Record, answers};

/// The paths of requests at one moment.
#[derive(Debug, Clone, Deserialize)]
pub struct Paths {
    records: Vec<Record>,
    balancers: Vec<Balancer>,
    groups: Vec<Group>,
}

/// A load balancer that Route 53 answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The load balancer's DNS name.
    pub balancer: String,
    /// Its share of the answers, in relation to the others; above 0.
    pub weight: u32,
}

/// A target of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Target {
    /// Its IP address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Its health: `healthy`, `initial`, `draining` and so on, as in `DescribeTargetHealth`.
    pub state: String,
    /// The ARN of its task definition, if ECS registered it.
    pub task_definition: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Balancer {
    name: String,
    listeners: Vec<Listener>,
}

#[derive(Debug, Clone, Deserialize)]
struct Listener {
    port: u16,
    groups: Vec<Forward>,
}

#[derive(Debug, Clone, Deserialize)]
struct Forward {
    arn: String,
    weight: u32,
}

#[derive(Debug, Clone, Deserialize)]
struct Group {
    arn: String,
    deregistration_delay: u32,
    targets: Vec<Target>,
}

impl Paths {
    /// The load balancers that Route 53 answers with for the IPv4 addresses of a name.
    #[must_use]
    pub fn answers(&self, name: &str) -> Vec<Endpoint> {
        let records: Vec<_> = self.records.iter().filter(|record| record.name == name && record.kind == "A").collect();
        let found = if records.is_empty() { Vec::new() } else { answers(&records) };
        // Where no record has a weight, all have the same share.
        let endpoint = |record: &&Record| {
            Some(Endpoint { balancer: record.balancer.clone()?, weight: record.weight.unwrap_or(1).max(1) })
        };
        found.iter().filter_map(endpoint).collect()
    }

    /// The healthy targets to which a load balancer forwards requests to a port, by the weight of their target group.
    ///
    /// # Errors
    /// Why it forwards to none.
    pub fn targets(&self, balancer: &str, port: u16) -> Result<Vec<(u32, Vec<&Target>)>, &'static str> {
        let balancer = self.balancers.iter().find(|found| found.name == balancer).ok_or("no load balancer")?;
        let listener = balancer.listeners.iter().find(|listener| listener.port == port).ok_or("no listener")?;
        let healthy = |forward: &Forward| {
            let group = self.groups.iter().find(|group| group.arn == forward.arn);
            let targets = group.into_iter().flat_map(|group| &group.targets);
            (forward.weight, targets.filter(|target| target.state == "healthy").collect())
        };
        let groups: Vec<(u32, Vec<_>)> = listener.groups.iter().map(healthy).collect();
        // A request to a group without healthy targets fails, even if others have some.
        if groups.is_empty() || groups.iter().any(|(_, targets)| targets.is_empty()) {
            return Err("no healthy target");
        }
        Ok(groups)
    }

    /// The ARNs of the task definitions of all registered and draining targets, with the longest deregistration delay
    /// of their target groups in seconds.
    #[must_use]
    pub fn tasks(&self) -> Vec<(&str, u32)> {
        let mut tasks: Vec<(&str, u32)> = Vec::new();
        for group in &self.groups {
            for arn in group.targets.iter().filter_map(|target| target.task_definition.as_deref()) {
                match tasks.iter_mut().find(|(known, _)| *known == arn) {
                    Some((_, delay)) => *delay = group.deregistration_delay.max(*delay),
                    None => tasks.push((arn, group.deregistration_delay)),
                }
            }
        }
        tasks
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_follows_answers_listeners_and_weights() {
        let record = |id: &str, weight, healthy| {
            json!({
                "name": "api.example.com", "type": "A", "id": id, "weight": weight, "failover": null, "healthy": healthy,
                "balancer": format!("{id}.elb.amazonaws.com"), "region": id, "ports": [443], "dead_end": null,
            })
        };
        let target =
            |address, state| json!({ "address": address, "port": 8080, "state": state, "task_definition": "app:1" });
        let paths: Paths = serde_json::from_value(json!({
            "records": [record("east", 90, true), record("west", 10, true), record("north", 0, true)],
            "balancers": [
                { "name": "east.elb.amazonaws.com", "listeners": [
                    { "port": 443, "groups": [{ "arn": "blue", "weight": 2 }] },
                    { "port": 444, "groups": [{ "arn": "blue", "weight": 2 }, { "arn": "green", "weight": 1 }] },
                    { "port": 80, "groups": [] },
                ] },
            ],
            "groups": [
                { "arn": "blue", "deregistration_delay": 30, "targets": [target("10.0.0.1", "healthy"), target("10.0.0.2", "draining")] },
                { "arn": "green", "deregistration_delay": 60, "targets": [target("10.0.0.3", "initial")] },
            ],
        }))
        .unwrap();
        let answers = paths.answers("api.example.com");
        let shares: Vec<_> = answers.iter().map(|answer| (answer.balancer.as_str(), answer.weight)).collect();
        assert_eq!(shares, [("east.elb.amazonaws.com", 90), ("west.elb.amazonaws.com", 10)]);
        assert_eq!(paths.answers("example.com"), []);
        let groups = paths.targets("east.elb.amazonaws.com", 443).unwrap();
        let found: Vec<_> = groups.iter().map(|(weight, targets)| (*weight, targets[0].address.as_str())).collect();
        assert_eq!((found, groups[0].1.len()), (vec![(2, "10.0.0.1")], 1));
        for (balancer, port, reason) in [
            ("west.elb.amazonaws.com", 443, "no load balancer"),
            ("east.elb.amazonaws.com", 8443, "no listener"),
            ("east.elb.amazonaws.com", 444, "no healthy target"),
            ("east.elb.amazonaws.com", 80, "no healthy target"),
        ] {
            assert_eq!(paths.targets(balancer, port), Err(reason), "{balancer}:{port}");
        }
        assert_eq!(paths.tasks(), [("app:1", 60)]);
    }
}
