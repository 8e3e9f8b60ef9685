//! Variables of the payment service (M-15, M-17, M-18).

use payinfra_engine::Region;
use payinfra_stack::{Problem, Spanned, number};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::super::phase::Phase;
use super::retention::retention;

/// The variables as they are written.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceVariables {
    /// The container image: repository with tag or digest.
    #[schemars(with = "Option<String>")]
    image: Option<Spanned<String>>,
    /// The port that the container listens on; by default 8080.
    #[schemars(with = "Option<u16>", range(min = 1))]
    port: Option<Spanned<u16>>,
    /// Who may use the service: the ARN of the secret with the hashes of the API keys, or `none` for unauthenticated
    /// access.
    #[schemars(with = "Option<String>")]
    pub(super) auth: Option<Spanned<String>>,
    /// The CPU architecture of the image; by default `x86_64`.
    architecture: Option<Architecture>,
    /// The CPU units of a task (1/1024 vCPU); by default 512, and 1024 in the phase `production`.
    #[schemars(with = "Option<i32>")]
    cpu: Option<Spanned<i32>>,
    /// The memory of a task in MiB, in a combination with the CPU that Fargate supports; by default twice the CPU
    /// units.
    #[schemars(with = "Option<i32>")]
    memory: Option<Spanned<i32>>,
    /// The minimum number of tasks in a region; by default 2, and 3 in the phase `production`.
    #[schemars(with = "Option<i32>", range(min = 1, max = 5000))]
    min_tasks: Option<Spanned<i32>>,
    /// The maximum number of tasks in a region; by default 4, and 12 in the phase `production`.
    #[schemars(with = "Option<i32>", range(min = 1, max = 5000))]
    max_tasks: Option<Spanned<i32>>,
    /// The target for average CPU utilization in percent; by default 60.
    #[schemars(with = "Option<i32>", range(min = 10, max = 95))]
    cpu_target: Option<Spanned<i32>>,
    /// The target for requests per task and minute; by default 1000.
    #[schemars(with = "Option<i32>", range(min = 1))]
    requests_per_target: Option<Spanned<i32>>,
    /// The retention of the service's logs in days; by default 90.
    #[schemars(with = "Option<i32>")]
    log_retention_days: Option<Spanned<i32>>,
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
/// The maximum number of tasks of a service (ECS's quota).
const TASKS: i32 = 5_000;

impl ServiceVariables {
    pub(super) fn check(self, phase: Phase) -> Result<ServiceConfig, Problem> {
        let production = phase == Phase::Production;
        let (cpu, memory) = size(self.cpu.as_ref(), self.memory.as_ref(), if production { 1_024 } else { 512 })?;
        let (fewest, most) = if production { (3, 12) } else { (2, 4) };
        let min = number("min_tasks", self.min_tasks.as_ref(), fewest, 1..=TASKS)?;
        let max = number("max_tasks", self.max_tasks.as_ref(), most.max(min), 1..=TASKS)?;
        let min = if self.min_tasks.is_none() { min.min(max) } else { min };
        if let Some(place) = self.max_tasks.as_ref().filter(|_| max < min) {
            return Err(Problem::new(format!("`max_tasks` ({max}) is less than `min_tasks` ({min})"), place.span())
                .hint("raise `max_tasks` or lower `min_tasks`"));
        }
        Ok(ServiceConfig {
            image: self.image.map_or_else(|| Ok("public.ecr.aws/payinfra/payment-service:1.0.0".to_owned()), image)?,
            port: number("port", self.port.as_ref(), 8_080, 1..=u16::MAX)?,
            auth: self.auth.map_or(Ok(None), auth)?,
            architecture: self.architecture.unwrap_or_default(),
            cpu,
            memory,
            min_tasks: min,
            max_tasks: max,
            cpu_target: number("cpu_target", self.cpu_target.as_ref(), 60, 10..=95)?,
            requests_per_target: number("requests_per_target", self.requests_per_target.as_ref(), 1_000, 1..=i32::MAX)?,
            log_retention_days: self.log_retention_days.as_ref().map_or(Ok(90), retention)?,
        })
    }
}

impl ServiceConfig {
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
    serializer.serialize_str(auth.as_deref().unwrap_or("none"))
}

/// The ARN of a secret, or `none`.
fn auth(given: Spanned<String>) -> Result<Option<String>, Problem> {
    let text = given.get_ref();
    if text == "none" {
        return Ok(None);
    }
    let parts: Vec<&str> = text.split(':').collect();
    let secret = matches!(parts[..], ["arn", "aws", "secretsmanager", region, account, "secret", name]
        if !region.is_empty() && account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty());
    if !secret {
        let hint = "write the ARN of a Secrets Manager secret that is replicated to each region, or \"none\"";
        return Err(Problem::new(format!("`{text}` is not the ARN of a secret"), given.span()).hint(hint));
    }
    Ok(Some(given.into_inner()))
}

/// Checks a repository with optional registry, tag and digest.
fn image(given: Spanned<String>) -> Result<String, Problem> {
    let text = given.get_ref();
    let name = text.split('@').next().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"./:@_-".contains(&byte);
    if name.is_empty() || !text.bytes().all(fits) || text.contains("//") || text.ends_with([':', '@', '/']) {
        return Err(Problem::new(format!("`{text}` is not a container image"), given.span()).hint(
            "write the repository and a tag, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com/payments:1.0.0",
        ));
    }
    Ok(given.into_inner())
}

fn size(cpu: Option<&Spanned<i32>>, memory: Option<&Spanned<i32>>, default: i32) -> Result<(i32, i32), Problem> {
    let wanted = cpu.map_or(default, |cpu| *cpu.get_ref());
    let offer = FARGATE.iter().find(|(offered, ..)| *offered == wanted);
    let Some((_, least, most, step)) = offer else {
        let offered: Vec<_> = FARGATE.iter().map(|(offered, ..)| offered.to_string()).collect();
        let place = cpu.map_or(0..0, Spanned::span);
        return Err(Problem::new(format!("Fargate does not support tasks with {wanted} CPU units"), place)
            .hint(format!("use one of {}", offered.join(", "))));
    };
    let Some(memory) = memory else { return Ok((wanted, *least)) };
    let given = *memory.get_ref();
    // The smallest size supports only 512, 1024 and 2048.
    let offered = (*least..=*most).contains(&given) && (given - least) % step == 0 && (wanted != 256 || given != 1_536);
    if !offered {
        let choice = if wanted == 256 {
            "512, 1024 or 2048".to_owned()
        } else {
            format!("{least} to {most} in increments of {step}")
        };
        return Err(Problem::new(
            format!("Fargate does not support {given} MiB of memory with {wanted} CPU units"),
            memory.span(),
        )
        .hint(format!("use {choice}")));
    }
    Ok((wanted, given))
}
