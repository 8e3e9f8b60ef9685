//! A Lambda function.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_lambda::operation::get_function::GetFunctionOutput;
use aws_sdk_lambda::types::{self as sdk, LastUpdateStatus, State, TracingMode};
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Secret, Status, Tags, Text, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{qualified, tags};
use crate::ec2::{SecurityGroup, Subnet};
use crate::error::{Unless, claim};
use crate::refs::{answered, known};
use crate::{CodeSha256, Cx, Explain, Need};

/// A function with a zip package. Its id is its name.
///
/// It is ready when it is active and its last update is complete. Lambda accepts one update at a time. In a VPC, a
/// function uses network interfaces that AWS deletes up to 40 minutes after the function or its last version; until then
/// they block the deletion of subnets and security groups (AWS-FACTS §1.6).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// The name, at most 64 letters, digits, `-` and `_`; unique in the account and region.
    pub name: String,
    /// The description, at most 256 characters.
    pub description: String,
    /// The ARN of the execution role.
    pub role: Ref<String>,
    /// The digest of the package, which must be provided when the code changes; at most 50 MB.
    pub code: CodeSha256,
    /// The runtime, such as `provided.al2023`.
    pub runtime: String,
    /// The function in the code that handles events; `bootstrap` by convention in a runtime of its own.
    pub handler: String,
    /// The instruction set.
    pub architecture: Architecture,
    /// The memory in MB, 128 to 10,240; CPU power is proportional to it.
    pub memory: i32,
    /// The timeout of an invocation in seconds, 1 to 900.
    pub timeout: i32,
    /// The size of `/tmp` in MB, 512 to 10,240.
    pub storage: i32,
    /// The environment, at most 4 KB. payinfra never shows its values, but everyone with permission to read the function
    /// and to use its key can read them: secrets belong in Secrets Manager.
    pub environment: BTreeMap<String, Secret<Text>>,
    /// The ARN of the KMS key that encrypts the environment; a key of AWS if `None`.
    pub kms_key: Option<Ref<String>>,
    /// The subnets of its network interfaces; no VPC if empty.
    pub subnets: BTreeSet<Ref<Id<Subnet>>>,
    /// The security groups of its network interfaces; some if and only if there are subnets.
    pub groups: BTreeSet<Ref<Id<SecurityGroup>>>,
    /// Whether invocations are traced by X-Ray.
    pub tracing: bool,
    /// The logs.
    pub logging: Logging,
    /// The ARN of the queue or topic for asynchronous events that failed; an event invoke config is an alternative.
    pub dead_letter: Option<Ref<String>>,
    /// The number of concurrent invocations that is reserved for the function, and its maximum. 100 of the account's
    /// must remain unreserved.
    pub reserved_concurrency: Option<i32>,
    /// The tags.
    pub tags: Tags,
}

/// An instruction set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// 64-bit ARM.
    Arm64,
    /// 64-bit x86.
    X86_64,
    /// Another one, by AWS's name; only returned by reads.
    #[serde(untagged)]
    Other(String),
}

/// The logs of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Logging {
    /// The name of the log group, `/aws/lambda/NAME` by AWS's default. The execution role must be allowed to write to it.
    pub group: Ref<String>,
    /// The format.
    pub format: LogFormat,
}

/// The format of a function's logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object per entry.
    Json,
    /// Text.
    Text,
}

/// The outputs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct FunctionOutputs {
    /// The ARN, without a qualifier.
    pub arn: Ref<String>,
    /// The name, as a metric dimension.
    pub name: Ref<String>,
    /// The URI with which API Gateway invokes it.
    pub invoke_arn: Ref<String>,
}

/// What [`Function::code`] begins with after a failed update: AWS does not say which code and configuration it runs.
const UNKNOWN: &str = "unknown, because the last update failed: ";

impl Function {
    /// Whether both have the same configuration, apart from the code, the concurrency and the tags.
    fn is_configured_like(&self, other: &Self) -> bool {
        let program = |it: &Self| (it.description.clone(), it.role.clone(), it.runtime.clone(), it.handler.clone());
        let size = |it: &Self| (it.memory, it.timeout, it.storage, it.tracing);
        let environment = |it: &Self| (it.environment.clone(), it.kms_key.clone());
        let network = |it: &Self| (it.subnets.clone(), it.groups.clone());
        let rest = |it: &Self| (it.logging.clone(), it.dead_letter.clone());
        (program(self), size(self), environment(self), network(self), rest(self))
            == (program(other), size(other), environment(other), network(other), rest(other))
    }

    fn sdk_environment(&self) -> Result<sdk::Environment> {
        let pairs =
            self.environment.iter().map(|(name, value)| Ok((name.clone(), value.expose()?.known()?.to_owned())));
        Ok(sdk::Environment::builder().set_variables(Some(pairs.collect::<Result<_>>()?)).build())
    }

    fn sdk_vpc(&self) -> Result<sdk::VpcConfig> {
        let vpc = sdk::VpcConfig::builder().set_subnet_ids(Some(known(&self.subnets)?));
        Ok(vpc.set_security_group_ids(Some(known(&self.groups)?)).build())
    }

    fn sdk_logging(&self) -> Result<sdk::LoggingConfig> {
        let format = match self.logging.format {
            LogFormat::Json => sdk::LogFormat::Json,
            LogFormat::Text => sdk::LogFormat::Text,
        };
        Ok(sdk::LoggingConfig::builder().log_group(self.logging.group.known()?).log_format(format).build())
    }

    fn sdk_tracing(&self) -> sdk::TracingConfig {
        let mode = if self.tracing { TracingMode::Active } else { TracingMode::PassThrough };
        sdk::TracingConfig::builder().mode(mode).build()
    }

    fn sdk_storage(&self) -> Result<sdk::EphemeralStorage> {
        sdk::EphemeralStorage::builder().size(self.storage).build().explain()
    }

    /// Omitted values stay unchanged, so what is no longer managed is reset (AWS-FACTS §6.2).
    async fn configure(&self, cx: &Cx, was: &Self) -> Result<()> {
        let call = cx.lambda().update_function_configuration().function_name(&self.name);
        let call = call.description(&self.description).role(self.role.known()?);
        let call = call.runtime(sdk::Runtime::from(self.runtime.as_str())).handler(&self.handler);
        let call = call.memory_size(self.memory).timeout(self.timeout).ephemeral_storage(self.sdk_storage()?);
        let mut call = call
            .environment(self.sdk_environment()?)
            .tracing_config(self.sdk_tracing())
            .logging_config(self.sdk_logging()?);
        if self.kms_key != was.kms_key {
            call = call.kms_key_arn(self.kms_key.as_ref().map(Ref::known).transpose()?.cloned().unwrap_or_default());
        }
        if (&self.subnets, &self.groups) != (&was.subnets, &was.groups) {
            call = call.vpc_config(self.sdk_vpc()?);
        }
        if self.dead_letter != was.dead_letter {
            let target = self.dead_letter.as_ref().map(Ref::known).transpose()?.cloned().unwrap_or_default();
            call = call.dead_letter_config(sdk::DeadLetterConfig::builder().target_arn(target).build());
        }
        call.send().await.explain().map(drop)
    }
}

impl Architecture {
    fn sdk(&self) -> sdk::Architecture {
        match self {
            Self::Arm64 => sdk::Architecture::Arm64,
            Self::X86_64 => sdk::Architecture::X8664,
            Self::Other(name) => sdk::Architecture::from(name.as_str()),
        }
    }

    fn from(architecture: Option<&sdk::Architecture>) -> Self {
        match architecture {
            Some(sdk::Architecture::Arm64) => Self::Arm64,
            Some(sdk::Architecture::X8664) | None => Self::X86_64,
            Some(other) => Self::Other(other.as_str().to_owned()),
        }
    }
}

impl Resource for Function {
    type Cx = Cx;
    const KIND: &'static str = "lambda.function";
    const REPLACE: Fields = fields!(Self: name);
    const KEY: Fields = fields!(Self: name);
    const HOLDS: Fields = fields!(Self: subnets, groups);
    /// The first function in a subnet with these groups waits for its network interface.
    const TIMEOUT: Duration = Duration::from_mins(10);
    const EXPECTED: Expected = Expected::millis(5_000, 1_000);
    type Outputs = FunctionOutputs;

    fn expected(&self) -> Expected {
        if self.subnets.is_empty() { Self::EXPECTED } else { Self::EXPECTED.and(Expected::millis(60_000, 60_000)) }
    }

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let code = sdk::FunctionCode::builder().zip_file(cx.package(&self.code)?).build();
        let call = cx.lambda().create_function().function_name(&self.name).description(&self.description);
        let call = call.role(self.role.known()?).code(code).package_type(sdk::PackageType::Zip);
        let call = call.runtime(sdk::Runtime::from(self.runtime.as_str())).handler(&self.handler);
        let call = call.architectures(self.architecture.sdk()).memory_size(self.memory).timeout(self.timeout);
        let call = call.ephemeral_storage(self.sdk_storage()?).environment(self.sdk_environment()?);
        let call = call.set_kms_key_arn(self.kms_key.as_ref().map(Ref::known).transpose()?.cloned());
        let call = call.vpc_config(self.sdk_vpc()?).tracing_config(self.sdk_tracing());
        let mut call = call.logging_config(self.sdk_logging()?).set_tags(Some(tags::sdk(&self.tags)));
        if let Some(target) = &self.dead_letter {
            call = call.dead_letter_config(sdk::DeadLetterConfig::builder().target_arn(target.known()?).build());
        }
        Ok(Id::new(call.send().await.explain()?.function_name.need("FunctionName")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let Some(found) = found(cx, &self.name).await? else { return Ok(None) };
        claim("function", &self.name, Id::new(&self.name), &tags::from(found.tags), owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = ids.iter().map(|id| async move {
            let Some(found) = found(cx, id.as_str()).await? else { return Ok::<_, Error>(None) };
            live(cx, found).map(Some)
        });
        Ok(try_join_all(found).await?.into_iter().flatten().collect())
    }

    /// Configuration first, so that new code finds its environment. Each of the two starts an update that rejects others
    /// until it is complete, so the engine calls this again for the code.
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (lambda, was) = (cx.lambda(), &live.args);
        tags::sync(cx, live.outputs.arn.known()?, &was.tags, &self.tags).await?;
        if self.reserved_concurrency != was.reserved_concurrency {
            match self.reserved_concurrency {
                Some(count) => {
                    let call = lambda.put_function_concurrency().function_name(&self.name);
                    call.reserved_concurrent_executions(count).send().await.explain()?;
                }
                None => drop(lambda.delete_function_concurrency().function_name(&self.name).send().await.explain()?),
            }
        }
        if !self.is_configured_like(was) || was.code.as_str().starts_with(UNKNOWN) {
            return self.configure(cx, was).await;
        }
        if self.code != was.code || self.architecture != was.architecture {
            let call = lambda.update_function_code().function_name(&self.name).zip_file(cx.package(&self.code)?);
            call.architectures(self.architecture.sdk()).send().await.explain()?;
        }
        Ok(())
    }

    /// Leaves the VPC first: the network interfaces are released sooner than those of a deleted function, whose delete
    /// would interrupt that (AWS-FACTS §1.6).
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let Some(now) = found(cx, live.id.as_str()).await? else { return Ok(()) };
        let function = now.configuration.need("Configuration")?;
        if function.last_update_status == Some(LastUpdateStatus::InProgress) {
            return Err(Error::new(Class::Conflict, format!("an update of the function {} is in progress", live.id)));
        }
        if function.vpc_config.is_some_and(|vpc| !vpc.subnet_ids().is_empty()) {
            let call = cx.lambda().update_function_configuration().function_name(&live.id);
            let none = sdk::VpcConfig::builder().set_subnet_ids(Some(Vec::new()));
            call.vpc_config(none.set_security_group_ids(Some(Vec::new())).build()).send().await.explain()?;
            return Err(Error::new(Class::Conflict, format!("the function {} is leaving its VPC", live.id)));
        }
        cx.lambda().delete_function().function_name(&live.id).send().await.explain().unless(Class::NotFound).map(drop)
    }
}

async fn found(cx: &Cx, name: &str) -> Result<Option<GetFunctionOutput>> {
    // Not `GetFunctionConfiguration`, which shares its limit with all other calls (AWS-FACTS §1.6).
    let found = cx.lambda().get_function().function_name(name).send().await.explain().unless(Class::NotFound)?;
    let is_deleting = |found: &GetFunctionOutput| {
        found.configuration().is_some_and(|function| function.state() == Some(&State::Deleting))
    };
    Ok(found.filter(|found| !is_deleting(found)))
}

fn live(cx: &Cx, found: GetFunctionOutput) -> Result<Live<Function>> {
    let function = found.configuration.need("Configuration")?;
    let status = status(&function);
    let name = function.function_name.need("FunctionName")?;
    let arn = function.function_arn.need("FunctionArn")?;
    let code = match &function.last_update_status {
        Some(LastUpdateStatus::Failed) => {
            let why = function.last_update_status_reason.as_deref().unwrap_or("AWS gave no reason");
            format!("{UNKNOWN}{why}")
        }
        _ => function.code_sha256.unwrap_or_default(),
    };
    let vpc = function.vpc_config;
    let (subnets, groups) = vpc.map(|vpc| (vpc.subnet_ids, vpc.security_group_ids)).unwrap_or_default();
    let environment = function.environment.and_then(|environment| environment.variables).unwrap_or_default();
    let some = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Ref::Known);
    let args = Function {
        description: function.description.unwrap_or_default(),
        role: Ref::Known(function.role.unwrap_or_default()),
        code: CodeSha256::from_aws(code),
        runtime: function.runtime.map(|runtime| runtime.as_str().to_owned()).unwrap_or_default(),
        handler: function.handler.unwrap_or_default(),
        architecture: Architecture::from(function.architectures.unwrap_or_default().first()),
        memory: function.memory_size.unwrap_or(128),
        timeout: function.timeout.unwrap_or(3),
        storage: function.ephemeral_storage.map_or(512, |storage| storage.size),
        environment: environment.into_iter().map(|(name, value)| (name, Secret::new(Text::from(value)))).collect(),
        kms_key: some(function.kms_key_arn),
        subnets: answered(subnets.map(ids)),
        groups: answered(groups.map(ids)),
        tracing: function.tracing_config.and_then(|tracing| tracing.mode) == Some(TracingMode::Active),
        logging: logging(function.logging_config, &name),
        dead_letter: some(function.dead_letter_config.and_then(|config| config.target_arn)),
        reserved_concurrency: found.concurrency.and_then(|concurrency| concurrency.reserved_concurrent_executions),
        tags: tags::from(found.tags),
        name: name.clone(),
    };
    let outputs = FunctionOutputs {
        invoke_arn: Ref::Known(qualified::invoke_arn(cx.region().as_str(), &arn)),
        arn: Ref::Known(arn),
        name: Ref::Known(name.clone()),
    };
    Ok(Live { id: Id::new(name), status, args, outputs })
}

fn ids<R>(ids: Vec<String>) -> Vec<Id<R>> {
    ids.into_iter().map(Id::new).collect()
}

fn logging(logging: Option<sdk::LoggingConfig>, name: &str) -> Logging {
    let (group, format) = logging.map(|logging| (logging.log_group, logging.log_format)).unwrap_or_default();
    let format = match format {
        Some(sdk::LogFormat::Json) => LogFormat::Json,
        _ => LogFormat::Text,
    };
    Logging { group: Ref::Known(group.unwrap_or_else(|| format!("/aws/lambda/{name}"))), format }
}

/// A failed update leaves a function that serves requests, which must not be replaced; see [`UNKNOWN`].
pub(super) fn status(function: &sdk::FunctionConfiguration) -> Status {
    let updating = function.last_update_status == Some(LastUpdateStatus::InProgress);
    match &function.state {
        Some(State::Failed) => Status::Failed(function.state_reason().unwrap_or("AWS gave no reason").to_owned()),
        Some(State::Pending) => Status::Pending,
        Some(State::Deleting) => Status::Deleting,
        _ if updating => Status::Pending,
        // An inactive one wakes up with its next invocation.
        _ => Status::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_it_is_active_and_its_update_is_complete() {
        let function = |state: State, update: LastUpdateStatus| {
            let built = sdk::FunctionConfiguration::builder().state(state).last_update_status(update);
            status(&built.state_reason("no permission").build())
        };
        for (state, update, expected) in [
            (State::Pending, LastUpdateStatus::Successful, Status::Pending),
            (State::Active, LastUpdateStatus::InProgress, Status::Pending),
            (State::Active, LastUpdateStatus::Successful, Status::Ready),
            (State::Inactive, LastUpdateStatus::Successful, Status::Ready),
            (State::Active, LastUpdateStatus::Failed, Status::Ready),
            (State::Failed, LastUpdateStatus::Successful, Status::Failed("no permission".to_owned())),
        ] {
            assert_eq!(function(state.clone(), update.clone()), expected, "{state:?} {update:?}");
        }
    }
}
