//! No task can be reached from outside, entered, or changed from inside.

use payinfra_aws::ecs::{Service, TaskDefinition};
use payinfra_engine::{Graph, Result};

use super::{Rule, Violation, all, violation};
use crate::names::Names;

pub(super) const RULE: Rule =
    Rule { name: "private-tasks", about: "no task is reached from outside, entered, or changed from inside", check };

fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let mut broken = Vec::new();
    for (address, service) in all::<Service>(graph)? {
        if service.public_ip {
            broken.push(violation(&address, "gives its tasks public addresses"));
        }
        if service.execute_command {
            broken.push(violation(&address, "lets one open a shell in its tasks"));
        }
    }
    for (address, definition) in all::<TaskDefinition>(graph)? {
        for (name, container) in definition.containers {
            if !container.read_only {
                broken.push(violation(&address, format!("lets the container {name} write to its root file system")));
            }
            if ["", "0", "root"].contains(&container.user.split(':').next().unwrap_or_default()) {
                broken.push(violation(&address, format!("runs the container {name} as root")));
            }
        }
    }
    Ok(broken)
}
