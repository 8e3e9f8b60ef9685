//! The services of a workspace that have two colours: a blue and a green ECS service, between which the load balancer shifts
//! requests by weight.

use std::collections::{BTreeMap, BTreeSet};

use payinfra_aws::application_autoscaling::Target;
use payinfra_aws::ecs;
use payinfra_aws::elbv2::{Listener, ListenerRule};
use payinfra_engine::{Address, Declared, Error, Graph, Region, Resource, Result, Roles, State, Values, pointers};
use serde_json::{Value, json};

use crate::existence;

const COUNT: &str = "/count";
const MIN: &str = "/min_capacity";
const MAX: &str = "/max_capacity";
/// The weights of the colours before the first deployment, which are percentages.
const INITIAL: [u64; 2] = [0, 100];

/// All of them.
#[derive(Debug)]
pub(crate) struct Services(Vec<Service>);

/// One of them, in one region.
#[derive(Debug)]
pub(crate) struct Service {
    /// What the names of its colours have in common; the same in all regions.
    pub(crate) name: String,
    /// Its colours. At first, the first one is active.
    pub(crate) colours: [Colour; 2],
}

/// A colour of a service.
#[derive(Debug)]
pub(crate) struct Colour {
    /// Its name, such as `blue`.
    pub(crate) name: String,
    /// The target group of its tasks.
    pub(crate) group: Address,
    /// The ECS service.
    pub(crate) service: Address,
    /// The listeners and rules that forward to it, with the JSON pointer of its weight.
    routers: Vec<(Address, String)>,
    definition: Address,
    /// The JSON pointer of the image in the task definition.
    image: String,
    /// The range of the number of its tasks, if auto scaling changes it.
    scaling: Option<Address>,
}

/// What a colour is like at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Current {
    /// Its share of the requests in percent.
    pub(crate) weight: u8,
    /// Its image.
    pub(crate) image: String,
    /// Whether it may have tasks.
    pub(crate) has_tasks: bool,
}

impl Services {
    /// The services that `graph` declares with two colours whose weights, images and numbers of tasks are operational.
    ///
    /// # Errors
    /// If there are none, with what one lacks; or if two of them have a part in common, so that both would change the same
    /// value.
    pub(crate) fn find(graph: &Graph) -> Result<Self> {
        let (mut found, mut lacking) = (Vec::new(), None);
        for (groups, routers) in forwarding(graph) {
            match service(graph, &groups, &routers) {
                Ok(service) => found.push(service),
                Err(why) => lacking = lacking.or(Some(why)),
            }
        }
        if found.is_empty() {
            let message = format!("workspace {} has no service with two colours", graph.workspace);
            return Err(Error::invalid(lacking.map_or(message.clone(), |why| format!("{message}: {why}"))).hint(
                "declare a listener that forwards to two target groups with the operational weights 100 and 0, and for each an \
                 ECS service with an operational `/count` and a task definition with an operational image, which is not \
                 sensitive",
            ));
        }
        let mut parts = BTreeMap::new();
        for service in &found {
            for part in service.colours.iter().flat_map(Colour::parts) {
                if let Some(other) = parts.insert(part, &service.colours[0].service) {
                    let own = &service.colours[0].service;
                    return Err(Error::invalid(format!(
                        "deployments of {own} and of {other} would both change {part}"
                    ))
                    .hint("declare one for each colour"));
                }
            }
        }
        Ok(Self(found))
    }

    /// The names of all services.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.0.iter().map(|service| service.name.as_str()).collect()
    }

    /// All of them, in all regions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.0.iter()
    }

    /// The service with this name, or the only one, in all regions.
    ///
    /// # Errors
    /// If there is no such service, or none is named and there are several.
    pub(crate) fn named(&self, name: Option<&str>) -> Result<Vec<&Service>> {
        let names: Vec<_> = self.names().into_iter().collect();
        let all = names.join(", ");
        let name = match (name, &names[..]) {
            (Some(name), names) if names.contains(&name) => name,
            (Some(name), _) => {
                return Err(Error::invalid(format!("there is no service `{name}` with two colours"))
                    .hint(format!("the services are {all}")));
            }
            (None, [only]) => only,
            (None, _) => {
                return Err(
                    Error::invalid("there are several services").hint(format!("add --service with one of {all}"))
                );
            }
        };
        Ok(self.0.iter().filter(|service| service.name == name).collect())
    }

    /// The service that has the ECS service at `address`, and the index of its colour.
    ///
    /// # Errors
    /// If it is no longer declared.
    pub(crate) fn with(&self, address: &Address) -> Result<(&Service, usize)> {
        let found = self.0.iter().find_map(|service| {
            let index = service.colours.iter().position(|colour| colour.service == *address)?;
            Some((service, index))
        });
        found.ok_or_else(|| {
            Error::invalid(format!("the configuration no longer has {address} as a colour of a service"))
                .hint("declare it again until the deployment has ended")
        })
    }
}

impl Service {
    /// The region.
    pub(crate) fn region(&self) -> &Region {
        &self.colours[0].service.region
    }

    /// What both colours are like, according to `graph`, the one with the current values.
    ///
    /// # Errors
    /// If a part does not exist yet, or the weights are not percentages.
    pub(crate) fn current(&self, graph: &Graph, state: &State) -> Result<[Current; 2]> {
        let parts = self.colours.iter().flat_map(Colour::parts);
        existence::check(parts.chain(self.colours.iter().map(|colour| &colour.group)), state)?;
        let [first, second] = self.colours.each_ref().map(|colour| colour.current(graph));
        let (first, second) = (first?, second?);
        if first.weight + second.weight != 100 {
            let message = format!(
                "the weights of {} and {} in {} are {} and {}, not percentages",
                self.colours[0].name,
                self.colours[1].name,
                self.region(),
                first.weight,
                second.weight
            );
            return Err(Error::invalid(message).hint("run `payinfra apply`, which restores them"));
        }
        Ok([first, second])
    }

    /// The values that give the colour `to` this share in percent, and the other one the rest.
    pub(crate) fn weights(&self, to: usize, share: u8) -> Values {
        let mut values = Values::new();
        for (index, colour) in self.colours.iter().enumerate() {
            let weight = if index == to { share } else { 100 - share };
            for (router, pointer) in &colour.routers {
                values.entry(router.clone()).or_default().insert(pointer.clone(), weight.into());
            }
        }
        values
    }
}

impl Colour {
    /// The declared resources that a deployment changes.
    fn parts(&self) -> impl Iterator<Item = &Address> {
        [&self.service, &self.definition].into_iter().chain(&self.scaling)
    }

    /// The listeners and rules that forward to it.
    pub(crate) fn routers(&self) -> impl Iterator<Item = &Address> {
        self.routers.iter().map(|(router, _)| router)
    }

    /// What its tasks are started with: the ECS service and the task definition.
    pub(crate) fn tasks(&self) -> [&Address; 2] {
        [&self.service, &self.definition]
    }

    /// The range of the number of its tasks, if auto scaling changes it.
    pub(crate) fn scaling(&self) -> Option<&Address> {
        self.scaling.as_ref()
    }

    /// The value that gives it this image.
    pub(crate) fn image(&self, image: &str) -> Values {
        Values::from([(self.definition.clone(), BTreeMap::from([(self.image.clone(), image.into())]))])
    }

    /// The value with which it begins with this number of tasks, if auto scaling changes it. Like that of
    /// [`at_least`](Self::at_least), it is for the time of a deployment: later plans use the value of the colour's role.
    pub(crate) fn beginning_with(&self, tasks: i32) -> Values {
        let count = || BTreeMap::from([(COUNT.to_owned(), json!(ecs::Count::Initial(tasks)))]);
        self.scaling.iter().map(|_| (self.service.clone(), count())).collect()
    }

    /// The value with which auto scaling keeps at least this number of tasks.
    pub(crate) fn at_least(&self, tasks: i32) -> Values {
        let least = || BTreeMap::from([(MIN.to_owned(), tasks.into())]);
        self.scaling.iter().map(|scaling| (scaling.clone(), least())).collect()
    }

    /// The least and the most tasks that are declared for the active colour, if this is the one that is active at first.
    pub(crate) fn bounds(&self, graph: &Graph) -> Option<(i32, i32)> {
        let operational = &graph.nodes().get(self.scaling.as_ref()?)?.operational;
        let bound = |pointer: &str| operational.get(pointer)?.as_i64()?.try_into().ok();
        Some((bound(MIN)?, bound(MAX)?))
    }

    /// The number of tasks that is declared for the active colour, if this is the one that is active at first.
    pub(crate) fn count(&self, graph: &Graph) -> Option<i32> {
        let count = graph.nodes().get(&self.service)?.operational.get(COUNT)?;
        match serde_json::from_value(count.clone()).ok()? {
            ecs::Count::Fixed(count) | ecs::Count::Initial(count) => Some(count),
        }
    }

    /// The role of its ECS service: that of `as_if`, the colour of the same service that had it at first.
    pub(crate) fn service_role(&self, as_if: &Self) -> Roles {
        Roles::from([(self.service.clone(), as_if.service.clone())])
    }

    /// The same of the range of its tasks.
    pub(crate) fn scaling_role(&self, as_if: &Self) -> Roles {
        self.scaling.clone().zip(as_if.scaling.clone()).into_iter().collect()
    }

    /// The operational values that `state` has for it.
    pub(crate) fn kept(&self, state: &State) -> Values {
        let pointers = [(&self.service, COUNT)].into_iter();
        let bounds = self.scaling.iter().flat_map(|scaling| [(scaling, MIN), (scaling, MAX)]);
        let mut values = Values::new();
        for (address, pointer) in pointers.chain(bounds) {
            if let Some(value) = state.resources.get(address).and_then(|record| record.args.pointer(pointer)) {
                values.entry(address.clone()).or_default().insert(pointer.to_owned(), value.clone());
            }
        }
        values
    }

    fn current(&self, graph: &Graph) -> Result<Current> {
        let value = |address: &Address, pointer: &str| graph.nodes().get(address)?.args.pointer(pointer);
        let weight = |(router, pointer): &(Address, String)| value(router, pointer).and_then(percent);
        let weights: Vec<_> = self.routers.iter().map(weight).collect();
        let (Some(Some(weight)), true) = (weights.first(), weights.windows(2).all(|pair| pair[0] == pair[1])) else {
            let routers: Vec<_> = self.routers().map(ToString::to_string).collect();
            let message = format!("{} has no single weight in percent in {}", self.name, routers.join(", "));
            return Err(Error::invalid(message).hint("run `payinfra apply`, which restores the weights"));
        };
        let idle = json!(ecs::Count::Fixed(0));
        Ok(Current {
            weight: *weight,
            image: value(&self.definition, &self.image).and_then(Value::as_str).unwrap_or_default().to_owned(),
            has_tasks: value(&self.service, COUNT) != Some(&idle)
                && self.scaling.as_ref().is_none_or(|scaling| value(scaling, MAX) != Some(&json!(0))),
        })
    }
}

fn percent(value: &Value) -> Option<u8> {
    value.as_u64().and_then(|weight| u8::try_from(weight).ok()).filter(|weight| *weight <= 100)
}

/// The listeners and rules that forward to two target groups with operational weights, each with the pointers of the weights.
fn forwarding(graph: &Graph) -> BTreeMap<[Address; 2], Vec<(Address, [String; 2])>> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for (address, node) in graph.nodes() {
        if ![Listener::KIND, ListenerRule::KIND].contains(&&*address.kind) {
            continue;
        }
        let targets = node.operational.keys().filter_map(|pointer| {
            let target = pointer.strip_suffix("/weight").filter(|target| target.contains("/forward/"))?;
            Some((referred(node, &format!("{target}/group"))?, pointer.clone()))
        });
        let mut targets: Vec<_> = targets.collect();
        targets.sort();
        if let Ok([(one, first), (other, second)]) = <[_; 2]>::try_from(targets) {
            found.entry([one, other]).or_default().push((address.clone(), [first, second]));
        }
    }
    found
}

/// The resource that the value at `pointer` refers to.
fn referred(node: &Declared, pointer: &str) -> Option<Address> {
    Some(pointers(node.args.pointer(pointer)?).into_iter().next()?.address)
}

/// The service with these target groups, or what it lacks.
fn service(graph: &Graph, groups: &[Address; 2], routers: &[(Address, [String; 2])]) -> Result<Service, String> {
    let [first, second] = [0, 1].map(|index: usize| {
        let routers: Vec<_> = routers.iter().map(|(router, at)| (router.clone(), at[index].clone())).collect();
        let weights = routers.iter().map(|(router, at)| graph.nodes()[router].operational[at].as_u64());
        let weights: Vec<_> = weights.collect();
        let weight = weights.first().copied().flatten().filter(|weight| weights.iter().all(|it| *it == Some(*weight)));
        colour(graph, &groups[index], routers).map(|colour| (weight, colour))
    });
    let mut colours = [first?, second?];
    colours.sort_by_key(|(weight, _)| *weight);
    let [(idle, idle_colour), (active, active_colour)] = colours;
    if [idle, active] != INITIAL.map(Some) {
        let routers: Vec<_> = routers.iter().map(|(router, _)| router.to_string()).collect();
        return Err(format!("the initial weights of {} are not 100 and 0", routers.join(", ")));
    }
    let mut colours = [active_colour, idle_colour];
    if colours[0].scaling.is_some() != colours[1].scaling.is_some() {
        return Err(format!("only one of {} and {} is scaled", colours[0].service, colours[1].service));
    }
    let [_, idle] = &colours;
    let value = |address: &Address, pointer: &str| graph.nodes().get(address)?.operational.get(pointer);
    if value(&idle.service, COUNT) != Some(&json!(ecs::Count::Fixed(0))) {
        return Err(format!("`{COUNT}` of {} is not {{\"fixed\": 0}}, although it is idle at first", idle.service));
    }
    if let Some(scaling) = idle.scaling.as_ref().filter(|scaling| value(scaling, MAX) != Some(&json!(0))) {
        return Err(format!("auto scaling could start tasks of the idle colour: `{MAX}` of {scaling} is not 0"));
    }
    let names = colours.each_ref().map(|colour| colour.service.name.to_string());
    let common: String =
        names[0].chars().zip(names[1].chars()).take_while(|(one, other)| one == other).map(|(one, _)| one).collect();
    for (colour, name) in colours.iter_mut().zip(&names) {
        let rest = name[common.len()..].trim_matches('-');
        colour.name = if rest.is_empty() { name.clone() } else { rest.to_owned() };
    }
    let name = common.trim_end_matches('-');
    let name = if name.is_empty() { routers[0].0.name.to_string() } else { name.to_owned() };
    Ok(Service { name, colours })
}

/// The colour whose tasks are targets of `group`, or what it lacks.
fn colour(graph: &Graph, group: &Address, routers: Vec<(Address, String)>) -> Result<Colour, String> {
    let nodes = |kind: &'static str| graph.nodes().iter().filter(move |(address, _)| &*address.kind == kind);
    let registers = |node: &Declared| {
        let groups = node.args["load_balancers"].as_array().into_iter().flatten();
        groups.flat_map(|balancer| pointers(&balancer["target_group"])).any(|pointer| pointer.address == *group)
    };
    let mut services = nodes(ecs::Service::KIND).filter(|(_, node)| registers(node));
    let (Some((service, node)), None) = (services.next(), services.next()) else {
        return Err(format!("not exactly one {} registers its tasks in {group}", ecs::Service::KIND));
    };
    if !node.operational.contains_key(COUNT) {
        return Err(format!("`{COUNT}` of {service} is not operational"));
    }
    let (definition, image) = image_of(graph, service, node)?;
    let scaled = |(_, node): &(&Address, &Declared)| referred(node, "/resource").as_ref() == Some(service);
    let scaling = nodes(Target::KIND).find(scaled);
    if let Some((scaling, node)) = scaling
        && ![MIN, MAX].iter().all(|bound| node.operational.contains_key(*bound))
    {
        return Err(format!("`{MIN}` and `{MAX}` of {scaling} are not operational"));
    }
    Ok(Colour {
        name: String::new(),
        group: group.clone(),
        service: service.clone(),
        routers,
        definition,
        image,
        scaling: scaling.map(|(address, _)| address.clone()),
    })
}

/// The task definition of a service, and the JSON pointer of its operational image; or what it lacks.
pub(crate) fn image_of(graph: &Graph, service: &Address, node: &Declared) -> Result<(Address, String), String> {
    let definition = referred(node, "/task_definition").filter(|at| &*at.kind == ecs::TaskDefinition::KIND);
    let Some((definition, declared)) = definition.and_then(|at| graph.nodes().get_key_value(&at)) else {
        return Err(format!("{service} refers to no {}", ecs::TaskDefinition::KIND));
    };
    let is_image = |pointer: &&String| pointer.starts_with("/containers/") && pointer.ends_with("/image");
    let mut images = declared.operational.keys().filter(is_image);
    let (Some(image), None) = (images.next(), images.next()) else {
        return Err(format!("{definition} has not exactly one operational image"));
    };
    Ok((definition.clone(), image.clone()))
}

#[cfg(test)]
mod tests {
    use payinfra_aws::application_autoscaling as scaling;
    use payinfra_aws::ecs::{Architecture, Container, Count, LoadBalancer, PropagateTags, TaskDefinition};
    use payinfra_aws::elbv2::{self, Action, TargetGroup};
    use payinfra_engine::{Id, Record, Ref, Tags};

    use super::*;

    const WEIGHTS: [i32; 2] = [0, 100];

    /// A shop in one region: a rule of an existing listener, and a service per colour. Red is active at first, although black
    /// comes first by name.
    fn shop() -> Result<Graph> {
        let (region, tags) = (Region::new("eu-west-1"), Tags::new());
        let mut graph = Graph::new("shop", "live", tags.clone());
        let (mut targets, mut pointers) = (BTreeSet::new(), Vec::new());
        for (index, (colour, weight)) in ["black", "red"].into_iter().zip(WEIGHTS).enumerate() {
            let health_check = elbv2::HealthCheck {
                protocol: elbv2::Protocol::Http,
                port: "traffic-port".to_owned(),
                path: payinfra_engine::Secret::new("/".to_owned()),
                codes: "200".to_owned(),
                interval: 10,
                timeout: 5,
                healthy: 2,
                unhealthy: 2,
            };
            let group = TargetGroup {
                name: colour.to_owned(),
                vpc: Ref::Known(Id::new("vpc-1")),
                protocol: elbv2::Protocol::Http,
                port: 80,
                health_check,
                deregistration_delay: None,
                slow_start: None,
                tags: tags.clone(),
            };
            let group = graph.add(&region, colour, group)?;
            targets.insert(elbv2::Target { group: group.id.clone(), weight: Some(weight) });
            pointers.push(format!("/action/forward/{index}/weight"));
            let container = Container {
                image: "shop:1".to_owned().into(),
                ports: BTreeSet::from([80]),
                environment: BTreeMap::new(),
                secrets: BTreeMap::new(),
                log: None,
                health_check: None,
                read_only: true,
                user: "1".to_owned(),
                essential: true,
            };
            let definition = TaskDefinition {
                family: colour.to_owned(),
                cpu: 256,
                memory: 512,
                architecture: Architecture::Arm64,
                execution_role: Ref::Known("role".to_owned()),
                task_role: Ref::Known("role".to_owned()),
                containers: BTreeMap::from([("web".to_owned(), container)]),
                tags: tags.clone(),
            };
            let definition = graph.add(&region, colour, definition)?;
            graph.operational(&definition.address, "/containers/web/image")?;
            let service = ecs::Service {
                cluster: Ref::Known(Id::new("cluster")),
                name: colour.to_owned(),
                task_definition: definition.id.clone(),
                count: if weight == 0 { Count::Fixed(0) } else { Count::Initial(3) },
                subnets: BTreeSet::new(),
                groups: BTreeSet::new(),
                public_ip: false,
                load_balancers: BTreeSet::from([LoadBalancer {
                    target_group: group.outputs.arn.clone(),
                    container: "web".to_owned(),
                    port: 80,
                    alternate: None,
                }]),
                health_check_grace: 0,
                minimum_healthy: 100,
                maximum: 200,
                circuit_breaker: true,
                blue_green: None,
                propagate_tags: PropagateTags::None,
                execute_command: false,
                tags: tags.clone(),
            };
            let service = graph.add(&region, &format!("web-{colour}"), service)?;
            graph.operational(&service.address, COUNT)?;
            let range = scaling::Target {
                resource: service.outputs.scalable.clone(),
                dimension: "ecs:service:DesiredCount".to_owned(),
                min_capacity: if weight == 0 { 0 } else { 3 },
                max_capacity: if weight == 0 { 0 } else { 9 },
                tags: tags.clone(),
            };
            let range = graph.add(&region, colour, range)?;
            graph.operational(&range.address, MIN)?;
            graph.operational(&range.address, MAX)?;
        }
        let rule = ListenerRule {
            listener: Ref::Known(Id::new("listener")),
            priority: 1,
            conditions: BTreeSet::new(),
            action: Action::Forward(targets),
            tags,
        };
        let rule = graph.add(&region, "shop", rule)?;
        pointers.iter().try_for_each(|pointer| graph.operational(&rule.address, pointer))?;
        Ok(graph)
    }

    /// The shop with a change of the JSON of its graph.
    fn changed(change: impl Fn(&mut Value)) -> Result<Graph> {
        let failed = |error: serde_json::Error| Error::failed(error.to_string());
        let mut graph = serde_json::to_value(shop()?).map_err(failed)?;
        change(&mut graph["nodes"]);
        serde_json::from_value(graph).map_err(failed)
    }

    #[test]
    fn m17_a_service_is_found_by_what_it_has() -> Result<()> {
        let services = Services::find(&shop()?)?;
        assert_eq!(services.names().into_iter().collect::<Vec<_>>(), ["web"]);
        let service = services.named(None)?[0];
        assert_eq!(service.colours.each_ref().map(|colour| &*colour.name), ["red", "black"]);
        let rule: Address = "eu-west-1/elbv2.listener-rule/shop".parse()?;
        let weights = |share: u8| service.weights(1, share)[&rule].values().cloned().collect::<Vec<_>>();
        assert_eq!((weights(0), weights(30)), (vec![json!(0), json!(100)], vec![json!(30), json!(70)]));
        let active = &service.colours[0];
        assert_eq!((active.count(&shop()?), active.bounds(&shop()?)), (Some(3), Some((3, 9))));
        let (found, index) = services.with(&"eu-west-1/ecs.service/web-black".parse()?)?;
        assert_eq!((&*found.name, index), ("web", 1));
        assert!(services.named(Some("api")).is_err_and(|error| error.get_hint() == Some("the services are web")));
        Ok(())
    }

    /// A change of the graph, and what is told about it.
    type Case<'a> = (&'a dyn Fn(&mut Value), &'a str);

    #[test]
    fn m17_what_a_service_lacks_is_told() -> Result<()> {
        let node = |name: &str| format!("eu-west-1/{name}");
        let cases: [Case<'_>; 9] = [
            (&|nodes| nodes[node("elbv2.listener-rule/shop")]["operational"] = json!({}), "with two colours"),
            (
                &|nodes| nodes[node("elbv2.listener-rule/shop")]["operational"]["/action/forward/0/weight"] = json!(50),
                "the initial weights of eu-west-1/elbv2.listener-rule/shop are not 100 and 0",
            ),
            (
                &|nodes| nodes[node("ecs.service/web-red")]["operational"] = json!({}),
                "`/count` of eu-west-1/ecs.service/web-red is not operational",
            ),
            (
                &|nodes| nodes[node("ecs.service/web-red")]["args"]["load_balancers"] = json!([]),
                "not exactly one ecs.service registers its tasks in eu-west-1/elbv2.target-group/red",
            ),
            (
                &|nodes| nodes[node("ecs.task-definition/red")]["operational"] = json!({}),
                "eu-west-1/ecs.task-definition/red has not exactly one operational image",
            ),
            (
                &|nodes| nodes[node("application-autoscaling.target/black")]["operational"][MAX] = json!(4),
                "auto scaling could start tasks of the idle colour",
            ),
            (
                &|nodes| {
                    drop(nodes.as_object_mut().and_then(|all| all.remove(&node("application-autoscaling.target/red"))));
                },
                "only one of eu-west-1/ecs.service/web-red and eu-west-1/ecs.service/web-black is scaled",
            ),
            (
                &|nodes| nodes[node("ecs.service/web-black")]["operational"][COUNT] = json!({ "fixed": 1 }),
                "`/count` of eu-west-1/ecs.service/web-black is not {\"fixed\": 0}",
            ),
            (
                &|nodes| {
                    let definition = json!({ "$ref": "eu-west-1/ecs.task-definition/red#id" });
                    nodes[node("ecs.service/web-black")]["args"]["task_definition"] = definition;
                },
                "would both change eu-west-1/ecs.task-definition/red",
            ),
        ];
        for (change, told) in cases {
            let error = Services::find(&changed(change)?).err().map(|error| error.message().to_owned());
            assert!(error.as_ref().is_some_and(|error| error.contains(told)), "{told}: {error:?}");
        }
        Ok(())
    }

    #[test]
    fn m17_a_service_that_does_not_exist_or_has_other_weights_is_refused() -> Result<()> {
        let graph = shop()?;
        let services = Services::find(&graph)?;
        let service = services.named(None)?[0];
        let mut state = State::new("shop", "live", "1");
        let error = service.current(&graph, &state).err().map(|error| error.message().to_owned());
        assert!(error.is_some_and(|error| error.ends_with("does not exist yet")));
        for address in graph.nodes().keys() {
            state.resources.insert(address.clone(), Record { id: Some("1".to_owned()), ..Record::default() });
        }
        let [red, black] = service.current(&graph, &state)?;
        assert_eq!(red, Current { weight: 100, image: "shop:1".to_owned(), has_tasks: true });
        assert_eq!(black, Current { weight: 0, image: "shop:1".to_owned(), has_tasks: false });
        let other = changed(|nodes| {
            nodes["eu-west-1/elbv2.listener-rule/shop"]["args"]["action"]["forward"][0]["weight"] = json!(30);
        })?;
        let error = service.current(&other, &state).err().map(|error| error.message().to_owned());
        assert!(error.is_some_and(|error| error.contains("are 100 and 30, not percentages")));
        Ok(())
    }
}
