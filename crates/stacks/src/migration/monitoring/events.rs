//! Event rules of a region: failed deployments and database failovers.

use std::collections::BTreeMap;

use payinfra_aws::eventbridge::{On, Rule, Target, Transform};
use payinfra_aws::sns::Topic;
use payinfra_engine::{Graph, Node, Result, Secret};
use serde_json::{Value, json};

use super::Watched;

/// Declares the rules of a region, which send events to `topic`.
pub(super) fn rules(graph: &mut Graph, part: &Watched<'_>, topic: &Node<Topic>) -> Result<()> {
    let deployments = json!({
        "source": ["aws.ecs"],
        "detail-type": ["ECS Deployment State Change"],
        "resources": [part.service.arn],
        "detail": { "eventName": ["SERVICE_DEPLOYMENT_FAILED"] },
    });
    let parts = [("service", "$.resources[0]"), ("reason", "$.detail.reason")];
    let text = "\"The deployment of <service> failed: <reason>\"";
    rule(graph, part, topic, "deployments", "Deployments of the service that fail", deployments, (&parts[..], text))?;
    let databases = json!({
        "source": ["aws.rds"],
        "detail-type": ["RDS DB Cluster Event"],
        "detail": { "EventCategories": ["failover", "failure"], "SourceIdentifier": [part.database] },
    });
    let moved = [("cluster", "$.detail.SourceIdentifier"), ("message", "$.detail.Message")];
    let text = "\"The database <cluster>: <message>\"";
    rule(graph, part, topic, "databases", "Databases that fail or fail over", databases, (&moved[..], text))
}

fn rule(
    graph: &mut Graph,
    part: &Watched<'_>,
    topic: &Node<Topic>,
    name: &str,
    description: &str,
    pattern: Value,
    (paths, template): (&[(&str, &str)], &str),
) -> Result<()> {
    let site = &part.site;
    let rule = Rule {
        name: site.names.name(name),
        description: description.to_owned(),
        on: On::Event(pattern),
        enabled: true,
        tags: site.named(name),
    };
    let rule = graph.add(site.region(), name, rule)?;
    let paths = paths.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned()));
    let template = Secret::new(template.to_owned());
    let transform = Transform { paths: paths.collect::<BTreeMap<_, _>>(), template };
    let target =
        Target { rule: rule.id, name: "alarms".to_owned(), arn: topic.outputs.arn.clone(), transform: Some(transform) };
    graph.add(site.region(), name, target).map(drop)
}
