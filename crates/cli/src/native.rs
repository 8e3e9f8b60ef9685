//! The services of a workspace whose images ECS deploys itself, blue/green.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use payinfra_aws::ecs;
use payinfra_engine::{Address, Error, Graph, Region, Resource, Result, State, Values};
use serde_json::Value;

use crate::colours::image_of;
use crate::existence;

/// All of them.
#[derive(Debug)]
pub(crate) struct Services(Vec<Service>);

/// One of them, in one region.
#[derive(Debug)]
pub(crate) struct Service {
    /// The ECS service.
    pub(crate) address: Address,
    /// The task definition.
    pub(crate) definition: Address,
    /// How long ECS keeps the old tasks.
    pub(crate) bake: Duration,
    /// The JSON pointer of the image in the task definition.
    image: String,
}

/// The member of the record of a deployment that says that ECS makes it.
pub(crate) const MARK: &str = "native";

impl Services {
    /// The services that `graph` declares with `blue_green`.
    ///
    /// # Errors
    /// If the image of one is not operational.
    pub(crate) fn find(graph: &Graph) -> Result<Self> {
        let declared = graph.nodes().iter().filter(|(address, _)| &*address.kind == ecs::Service::KIND);
        let declared = declared.filter(|(_, node)| node.args["blue_green"].is_object());
        let services = declared.map(|(service, node)| {
            let (definition, image) = image_of(graph, service, node).map_err(|why| {
                Error::invalid(why).hint("make the image of a task definition operational; it cannot be sensitive")
            })?;
            let minutes = node.args["blue_green"]["bake_minutes"].as_u64().unwrap_or_default();
            let bake = Duration::from_secs(minutes.saturating_mul(60));
            Ok(Service { address: service.clone(), definition, bake, image })
        });
        services.collect::<Result<_>>().map(Self)
    }

    /// Whether a command is about these services: by the deployment in progress, or else by the name, or else because there are
    /// some.
    pub(crate) fn are_meant(&self, name: Option<&str>, state: &State) -> bool {
        match (state.operations.get("deploy"), name) {
            (Some(recorded), _) => recorded.get(MARK) == Some(&Value::Bool(true)),
            (None, Some(name)) => self.0.iter().any(|service| service.name() == name),
            (None, None) => !self.0.is_empty(),
        }
    }

    /// All of them, in all regions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.0.iter()
    }

    /// The service with this name, or the only one, in all regions.
    ///
    /// # Errors
    /// If none is named, and there are several.
    pub(crate) fn named(&self, name: Option<&str>) -> Result<Vec<&Service>> {
        let names: BTreeSet<_> = self.0.iter().map(Service::name).collect();
        if name.is_none() && names.len() > 1 {
            let all: Vec<_> = names.into_iter().collect();
            return Err(Error::invalid("there are several services")
                .hint(format!("add --service with one of {}", all.join(", "))));
        }
        Ok(self.0.iter().filter(|service| name.is_none_or(|name| service.name() == name)).collect())
    }

    /// The service at `address`.
    ///
    /// # Errors
    /// If it is no longer declared.
    pub(crate) fn at(&self, address: &Address) -> Result<&Service> {
        self.0.iter().find(|service| service.address == *address).ok_or_else(|| {
            Error::invalid(format!("the configuration no longer has {address} as a service that ECS deploys itself"))
                .hint("declare it again until the deployment has ended")
        })
    }
}

impl Service {
    /// The name; the same in all regions.
    pub(crate) fn name(&self) -> &str {
        &self.address.name
    }

    /// The region.
    pub(crate) fn region(&self) -> &Region {
        &self.address.region
    }

    /// What a deployment changes.
    pub(crate) fn parts(&self) -> [&Address; 2] {
        [&self.address, &self.definition]
    }

    /// The image, according to `graph`, the one with the current values.
    ///
    /// # Errors
    /// If it does not exist yet.
    pub(crate) fn current(&self, graph: &Graph, state: &State) -> Result<String> {
        existence::check(self.parts(), state)?;
        let value = graph.nodes().get(&self.definition).and_then(|node| node.args.pointer(&self.image));
        Ok(value.and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// The value that gives it this image.
    pub(crate) fn image(&self, image: &str) -> Values {
        Values::from([(self.definition.clone(), BTreeMap::from([(self.image.clone(), image.into())]))])
    }
}
