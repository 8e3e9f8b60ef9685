//! Tasks have no public address, no shell access and no writable root file system, and do not run as root.

use payinfra_aws::ecs::{Service, TaskDefinition};
use payinfra_engine::{Graph, Result};

use payinfra_stack::{Names, Rule, Violation};

use super::all;

pub(super) const RULE: Rule = Rule {
    name: "private-tasks",
    about: "tasks have no public address, shell access, writable root or root user",
    check,
};

fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let mut broken = Vec::new();
    for (address, service) in all::<Service>(graph)? {
        if service.public_ip {
            broken.push(Violation::new(&address, "assigns public IP addresses to its tasks"));
        }
        if service.execute_command {
            broken.push(Violation::new(&address, "allows shell access to its tasks (ECS Exec)"));
        }
    }
    for (address, definition) in all::<TaskDefinition>(graph)? {
        for (name, container) in definition.containers {
            if !container.read_only {
                broken.push(Violation::new(
                    &address,
                    format!("runs the container {name} with a writable root file system"),
                ));
            }
            if ["", "0", "root"].contains(&container.user.split(':').next().unwrap_or_default()) {
                broken.push(Violation::new(&address, format!("runs the container {name} as root")));
            }
        }
    }
    Ok(broken)
}
