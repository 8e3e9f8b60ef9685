//! A container of a task definition, in normalized form.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_ecs::types as sdk;
use payinfra_engine::{Error, Ref, Result, Secret, Sensitive, Text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Cx, Explain, Need};

/// A container. All other members that ECS returns are defaults (AWS-FACTS §6.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// The image, with its registry and a tag or, preferably, a digest.
    pub image: Sensitive<String>,
    /// The TCP ports that it listens on; with `awsvpc` they are the task's ports.
    pub ports: BTreeSet<u16>,
    /// The environment. payinfra never shows its values, but everyone with permission to describe the task definition
    /// can read them: secrets belong in `secrets`.
    pub environment: BTreeMap<String, Secret<Text>>,
    /// Variables whose values the execution role reads when the container starts: the ARN of a secret or parameter, for
    /// a secret optionally followed by `:key:stage:version`.
    pub secrets: BTreeMap<String, Text>,
    /// Its log group; no logs if `None`.
    pub log: Option<Log>,
    /// ECS's own health check, in addition to the load balancer's.
    pub health_check: Option<HealthCheck>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// The user, optionally with a group after a colon; if empty, the image's user, or root.
    pub user: String,
    /// Whether the task stops when this container stops.
    pub essential: bool,
}

/// A log group in the container's own region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The name of the log group, which must exist.
    pub group: Ref<String>,
    /// The prefix of its streams' names.
    pub prefix: String,
}

/// Checks that `text` can be the name of an image: a repository with an optional registry, tag and digest.
///
/// # Errors
/// If it cannot.
pub fn image_name(text: &str) -> Result<()> {
    let name = text.split('@').next().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"./:@_-".contains(&byte);
    if name.is_empty() || !text.bytes().all(fits) || text.contains("//") || text.ends_with([':', '@', '/']) {
        return Err(Error::invalid(format!("`{text}` is not a container image")).hint(
            "write the repository and a tag, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com/payments:1.0.0",
        ));
    }
    Ok(())
}

/// A command in the container that exits with 0 if the container is healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// `CMD` with a program and its arguments, or `CMD-SHELL` with a shell command; it may contain a token.
    pub command: Secret<Vec<String>>,
    /// The interval between two checks in seconds, 5 to 300.
    pub interval: i32,
    /// The timeout of a check in seconds, 2 to 60.
    pub timeout: i32,
    /// The number of consecutive failures after which it is unhealthy, 1 to 10.
    pub retries: i32,
    /// The start period in seconds, in which failures do not count, 0 to 300.
    pub start_period: i32,
}

/// The names of the options of the log driver `awslogs`.
const GROUP: &str = "awslogs-group";
const PREFIX: &str = "awslogs-stream-prefix";
const REGION: &str = "awslogs-region";

/// In ECS's form.
pub(super) fn sdk(cx: &Cx, name: &str, container: &Container) -> Result<sdk::ContainerDefinition> {
    let mut call = sdk::ContainerDefinition::builder().name(name).image(container.image.expose()?);
    call = call.essential(container.essential).readonly_root_filesystem(container.read_only);
    for port in &container.ports {
        let mapping = sdk::PortMapping::builder().container_port(i32::from(*port)).host_port(i32::from(*port));
        call = call.port_mappings(mapping.protocol(sdk::TransportProtocol::Tcp).build());
    }
    for (name, value) in &container.environment {
        call = call.environment(sdk::KeyValuePair::builder().name(name).value(value.expose()?.known()?).build());
    }
    for (name, from) in &container.secrets {
        call = call.secrets(sdk::Secret::builder().name(name).value_from(from.known()?).build().explain()?);
    }
    if let Some(log) = &container.log {
        let driver = sdk::LogConfiguration::builder().log_driver(sdk::LogDriver::Awslogs);
        let driver = driver.options(GROUP, log.group.known()?).options(PREFIX, &log.prefix);
        call = call.log_configuration(driver.options(REGION, cx.region().as_str()).build().explain()?);
    }
    if let Some(check) = &container.health_check {
        let built =
            sdk::HealthCheck::builder().set_command(Some(check.command.expose()?.clone())).interval(check.interval);
        let built = built.timeout(check.timeout).retries(check.retries).start_period(check.start_period);
        call = call.health_check(built.build().explain()?);
    }
    if !container.user.is_empty() {
        call = call.user(&container.user);
    }
    Ok(call.build())
}

/// From ECS's form, with its name.
pub(super) fn from(container: sdk::ContainerDefinition) -> Result<(String, Container)> {
    let ports = container.port_mappings.unwrap_or_default().into_iter();
    let environment = container.environment.unwrap_or_default().into_iter();
    let secrets = container.secrets.unwrap_or_default().into_iter();
    let read = Container {
        image: container.image.unwrap_or_default().into(),
        ports: ports.filter_map(|mapping| mapping.container_port?.try_into().ok()).collect(),
        environment: environment
            .filter_map(|pair| Some((pair.name?, Secret::new(Text::from(pair.value.unwrap_or_default())))))
            .collect(),
        secrets: secrets.map(|secret| (secret.name, Text::from(secret.value_from))).collect(),
        log: container.log_configuration.map(log),
        health_check: container.health_check.map(health_check),
        read_only: container.readonly_root_filesystem.unwrap_or_default(),
        user: container.user.unwrap_or_default(),
        essential: container.essential.unwrap_or(true),
    };
    Ok((container.name.need("Name")?, read))
}

fn log(log: sdk::LogConfiguration) -> Log {
    let options: HashMap<String, String> = log.options.unwrap_or_default();
    let option = |name: &str| options.get(name).cloned().unwrap_or_default();
    Log { group: Ref::Known(option(GROUP)), prefix: option(PREFIX) }
}

/// With ECS's defaults for omitted values.
fn health_check(check: sdk::HealthCheck) -> HealthCheck {
    HealthCheck {
        command: Secret::new(check.command),
        interval: check.interval.unwrap_or(30),
        timeout: check.timeout.unwrap_or(5),
        retries: check.retries.unwrap_or(3),
        start_period: check.start_period.unwrap_or(0),
    }
}
