//! Event rules of a region: failed deployments and database failovers.

use payinfra_aws::sns::Topic;
use payinfra_components::events::{Alert, alert};
use payinfra_engine::{Graph, Node, Result};
use serde_json::json;

use super::Watched;

/// Declares the rules of a region, which send events to `topic`.
pub(super) fn rules(graph: &mut Graph, part: &Watched<'_>, topic: &Node<Topic>) -> Result<()> {
    let services: Vec<_> = part.service.colours.iter().map(|(_, outputs)| &outputs.arn).collect();
    let deployments = Alert {
        name: "deployments",
        description: "Deployments of the service that fail",
        pattern: json!({
            "source": ["aws.ecs"],
            "detail-type": ["ECS Deployment State Change"],
            "resources": services,
            "detail": { "eventName": ["SERVICE_DEPLOYMENT_FAILED"] },
        }),
        paths: &[("service", "$.resources[0]"), ("reason", "$.detail.reason")],
        text: "\"The deployment of <service> failed: <reason>\"",
    };
    let databases = Alert {
        name: "databases",
        description: "Databases that fail or fail over",
        pattern: json!({
            "source": ["aws.rds"],
            "detail-type": ["RDS DB Cluster Event"],
            "detail": { "EventCategories": ["failover", "failure"], "SourceIdentifier": [part.database] },
        }),
        paths: &[("cluster", "$.detail.SourceIdentifier"), ("message", "$.detail.Message")],
        text: "\"The database <cluster>: <message>\"",
    };
    alert(graph, &part.site, topic, deployments)?;
    alert(graph, &part.site, topic, databases)?;
    Ok(())
}
