//! Variables of the payment service (M-15, M-17, M-18).

use payinfra_aws::ecs::image_name;
use payinfra_components::load_balancer::Strategy as Shift;
use payinfra_engine::{Error, Region, Result};
use payinfra_stack::Section;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::super::phase::Phase;
use crate::settings::retention::{self, retention};

/// The variables as they are written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServiceVariables {
    /// The container image: repository with tag or digest.
    image: String,
    /// The port that the container listens on.
    #[schemars(range(min = 1))]
    port: u16,
    /// Who may use the service: the ARN of the secret with the hashes of the API keys, or `none` for unauthenticated
    /// access.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(super) auth: Option<String>,
    /// The CPU architecture of the image.
    architecture: Architecture,
    /// The CPU units of a task (1/1024 vCPU); by default 512, and 1024 in the phase `production`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<i32>,
    /// The memory of a task in MiB, in a combination with the CPU that Fargate supports; by default twice the CPU
    /// units.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<i32>,
    /// The minimum number of tasks in a region; by default 2, and 3 in the phase `production`, but at most `max_tasks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = TASKS))]
    min_tasks: Option<i32>,
    /// The maximum number of tasks in a region; by default 4, and 12 in the phase `production`, but at least `min_tasks`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = TASKS))]
    max_tasks: Option<i32>,
    /// The target for average CPU utilization in percent.
    #[schemars(range(min = 10, max = 95))]
    cpu_target: i32,
    /// The target for requests per task and minute.
    #[schemars(range(min = 1))]
    requests_per_target: i32,
    /// The retention of the service's logs in days.
    log_retention_days: i32,
    /// Who shifts requests to the tasks of a new image.
    strategy: Strategy,
    /// How long the old tasks are kept after a deployment with the strategy `native`, in minutes; by default 5. With
    /// `stepwise`, this is `payinfra deploy --bake`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = BAKE))]
    bake_minutes: Option<i32>,
}

impl Default for ServiceVariables {
    fn default() -> Self {
        Self {
            image: "public.ecr.aws/payinfra/payment-service:1.0.0".to_owned(),
            port: 8_080,
            auth: None,
            architecture: Architecture::default(),
            cpu: None,
            memory: None,
            min_tasks: None,
            max_tasks: None,
            cpu_target: 60,
            requests_per_target: 1_000,
            log_retention_days: retention::DEFAULT,
            strategy: Strategy::default(),
            bake_minutes: None,
        }
    }
}

/// The service of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceConfig {
    /// The container image.
    pub image: String,
    /// The port that the container listens on.
    pub port: u16,
    /// The ARN of the secret with the hashes of the API keys; without one, access is unauthenticated.
    #[serde(serialize_with = "or_none")]
    pub auth: Option<String>,
    /// The CPU architecture of the image.
    pub architecture: Architecture,
    /// The CPU units of a task (1/1024 vCPU).
    pub cpu: i32,
    /// The memory of a task in MiB.
    pub memory: i32,
    /// The minimum number of tasks in a region.
    pub min_tasks: i32,
    /// The maximum number of tasks in a region.
    pub max_tasks: i32,
    /// The target for average CPU utilization in percent.
    pub cpu_target: i32,
    /// The target for requests per task and minute.
    pub requests_per_target: i32,
    /// The retention of the service's logs in days.
    pub log_retention_days: i32,
    /// Who shifts requests to the tasks of a new image.
    pub strategy: Strategy,
    /// How long the old tasks are kept after a deployment with the strategy `native`, in minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bake_minutes: Option<i32>,
}

/// Who shifts requests to the tasks of a new image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// `payinfra deploy`, in steps, between two ECS services.
    #[default]
    Stepwise,
    /// ECS, all at once, with its own blue/green deployments of one service.
    Native,
}

/// A CPU architecture of Fargate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Intel and AMD.
    #[default]
    #[serde(rename = "x86_64")]
    X86_64,
    /// Graviton: cheaper, for images built for it.
    Arm64,
}

/// The sizes that Fargate supports: CPU, then minimum, maximum and increment of memory in MiB.
const FARGATE: [(i32, i32, i32, i32); 7] = [
    (256, 512, 2_048, 512),
    (512, 1_024, 4_096, 1_024),
    (1_024, 2_048, 8_192, 1_024),
    (2_048, 4_096, 16_384, 1_024),
    (4_096, 8_192, 30_720, 1_024),
    (8_192, 16_384, 61_440, 4_096),
    (16_384, 32_768, 122_880, 8_192),
];
/// How the configuration says that access is unauthenticated.
const OPEN: &str = "none";
/// The maximum number of tasks of a service (ECS's quota).
pub(super) const TASKS: i32 = 5_000;
/// The maximum bake time of ECS in minutes, and the default.
const BAKE: i32 = 1_440;
const DEFAULT_BAKE: i32 = 5;

impl ServiceVariables {
    /// The service in `phase`.
    pub(super) fn in_phase(self, phase: Phase) -> ServiceConfig {
        let (cpu, fewest, most) = if phase == Phase::Production { (1_024, 3, 12) } else { (512, 2, 4) };
        let cpu = self.cpu.unwrap_or(cpu);
        let (min, max) = match (self.min_tasks, self.max_tasks) {
            (Some(min), Some(max)) => (min, max),
            // A given number that is invalid does not make the default of the other one invalid.
            (Some(min), None) => (min, most.max(min).min(TASKS)),
            (None, Some(max)) => (fewest.min(max).max(1), max),
            (None, None) => (fewest, most),
        };
        ServiceConfig {
            image: self.image,
            port: self.port,
            auth: self.auth.filter(|auth| auth != OPEN),
            architecture: self.architecture,
            cpu,
            memory: self.memory.unwrap_or(cpu.saturating_mul(2)),
            min_tasks: min,
            max_tasks: max,
            cpu_target: self.cpu_target,
            requests_per_target: self.requests_per_target,
            log_retention_days: self.log_retention_days,
            strategy: self.strategy,
            bake_minutes: self.bake_minutes.or((self.strategy == Strategy::Native).then_some(DEFAULT_BAKE)),
        }
    }
}

impl ServiceConfig {
    /// Checks what does not depend on the phase.
    pub(super) fn check(&self, section: &mut Section<'_>) {
        section.check("image", image_name(&self.image));
        section.number("port", self.port, 1..=u16::MAX);
        section.check("auth", self.auth.as_deref().map_or(Ok(()), secret));
        section.number("cpu_target", self.cpu_target, 10..=95);
        section.number("requests_per_target", self.requests_per_target, 1..=i32::MAX);
        section.check("log_retention_days", retention(self.log_retention_days));
        if let Some(minutes) = self.bake_minutes
            && section.number("bake_minutes", minutes, 0..=BAKE)
            && self.strategy == Strategy::Stepwise
        {
            let message = "`bake_minutes` has no effect with the strategy `stepwise`".to_owned();
            let hint = "remove it and use `payinfra deploy --bake`, or set `strategy` to \"native\"";
            section.wrong("bake_minutes", message, hint);
        }
    }

    /// Checks the size and number of tasks. Returns the maximum number of tasks, if it is valid.
    pub(super) fn check_tasks(&self, section: &mut Section<'_>) -> Option<i32> {
        if let Some(offer) = section.check("cpu", offer(self.cpu)) {
            section.check("memory", memory(self.cpu, self.memory, offer));
        }
        let (min, max) = (self.min_tasks, self.max_tasks);
        let valid = [("min_tasks", min), ("max_tasks", max)].map(|(it, count)| section.number(it, count, 1..=TASKS));
        if valid == [true, true] && max < min {
            let message = format!("`max_tasks` ({max}) is less than `min_tasks` ({min})");
            section.wrong("max_tasks", message, "raise `max_tasks` or lower `min_tasks`");
            return None;
        }
        valid[1].then_some(max)
    }

    /// Who changes the weights of the load balancer.
    #[must_use]
    pub fn shift(&self) -> Shift {
        match self.strategy {
            Strategy::Stepwise => Shift::Stepwise,
            Strategy::Native => Shift::Native { bake_minutes: self.bake_minutes.unwrap_or(DEFAULT_BAKE) },
        }
    }

    /// The warning on every plan if the service is unauthenticated.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        let open = "`service.auth` is \"none\": anyone who can reach the service can create and read payments";
        self.auth.is_none().then_some(open)
    }

    /// The ARN of the secret with the API keys in `region`. The replica of a secret has the same ARN except for the
    /// region.
    #[must_use]
    pub fn keys_in(&self, region: &Region) -> Option<String> {
        let mut parts: Vec<&str> = self.auth.as_deref()?.splitn(5, ':').collect();
        *parts.get_mut(3)? = region.as_str();
        Some(parts.join(":"))
    }
}

/// Shows who may use the service as the configuration says it.
#[expect(clippy::ref_option, reason = "what serde calls")]
fn or_none<S: Serializer>(auth: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(auth.as_deref().unwrap_or(OPEN))
}

/// Checks that `text` is the ARN of a secret.
fn secret(text: &str) -> Result<()> {
    let parts: Vec<&str> = text.split(':').collect();
    let secret = matches!(parts[..], ["arn", "aws", "secretsmanager", region, account, "secret", name]
        if !region.is_empty() && account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty());
    if secret {
        return Ok(());
    }
    let hint = "write the ARN of a Secrets Manager secret that is replicated to each region, or \"none\"";
    Err(Error::invalid(format!("`{text}` is not the ARN of a secret")).hint(hint))
}

/// The minimum, maximum and increment of memory that Fargate supports with `cpu` units.
fn offer(cpu: i32) -> Result<(i32, i32, i32)> {
    let offer = FARGATE.iter().find(|(offered, ..)| *offered == cpu);
    offer.map(|(_, least, most, step)| (*least, *most, *step)).ok_or_else(|| {
        let offered: Vec<_> = FARGATE.iter().map(|(offered, ..)| offered.to_string()).collect();
        Error::invalid(format!("Fargate does not support tasks with {cpu} CPU units"))
            .hint(format!("use one of {}", offered.join(", ")))
    })
}

/// Checks that `memory` is one of those offered with `cpu`: minimum, maximum and increment.
fn memory(cpu: i32, memory: i32, (least, most, step): (i32, i32, i32)) -> Result<()> {
    // The smallest size supports only 512, 1024 and 2048.
    let offered = (least..=most).contains(&memory) && (memory - least) % step == 0 && (cpu != 256 || memory != 1_536);
    if offered {
        return Ok(());
    }
    let choice =
        if cpu == 256 { "512, 1024 or 2048".to_owned() } else { format!("{least} to {most} in increments of {step}") };
    Err(Error::invalid(format!("Fargate does not support {memory} MiB of memory with {cpu} CPU units"))
        .hint(format!("use {choice}")))
}
