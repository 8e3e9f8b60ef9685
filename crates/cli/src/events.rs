//! The events of `--json`: one per line, described by `payinfra schema --events` and in `EVENTS.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use payinfra_engine::plan::{Differs, Drifted, Summary};
use payinfra_engine::{Action, Address, Change, Class, Error, Event, Graph, Observer, Plan, Waiver, Wanted};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::program::named;
use crate::{screen, value_view};

/// The version of the event format. Removing a member or changing its meaning raises it; adding one does not.
pub(crate) const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Line {
    /// The version of the event format: 1.
    v: u32,
    /// The time of the event, RFC 3339.
    at: String,
    #[serde(flatten)]
    message: Message,
}

/// An event.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Message {
    /// The planned changes; the first event of plan, apply, destroy, rollback and phase, and the beginning of each change of
    /// `traffic` and `deploy`.
    Plan(Planned),
    /// Drift: changes made outside payinfra; the only event of drift.
    Drift {
        /// The resources that have drifted.
        resources: Vec<Drifted>,
    },
    /// Differences between regions; the only event of drift --between-regions.
    Differences {
        /// The differences, resource by resource and field by field.
        differences: Vec<Differs>,
    },
    /// Orphaned resources: they have the workspace's owner tags but are not in its state; the only event of sweep.
    Sweep {
        /// The orphaned resources.
        orphans: Vec<Swept>,
    },
    /// The workspaces of a valid configuration; the only event of validate.
    Validate {
        /// The workspaces.
        workspaces: Vec<Valid>,
    },
    /// An operation on a resource has started.
    Started {
        /// The address of the resource.
        address: String,
        /// The operation.
        action: StepAction,
        /// How long it usually takes, in seconds.
        expected: f64,
    },
    /// A resource exists and has an id; it may not be ready yet.
    Exists {
        /// The address of the resource.
        address: String,
        /// Its id.
        id: String,
    },
    /// An operation is waiting for a resource to reach a status.
    Waiting {
        /// The address of the resource.
        address: String,
        /// The status: `ready` or `gone`.
        until: String,
        /// Why it takes longer than usual, as far as known.
        #[serde(skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
    /// An operation on a resource has finished.
    Done {
        /// The address of the resource.
        address: String,
        /// The operation.
        action: StepAction,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// An operation on a resource failed; an `error` event with all details follows at the end.
    Failed {
        /// The address of the resource.
        address: String,
        /// The error message.
        error: String,
    },
    /// An operation on a resource was not started, because a dependency failed.
    Skipped {
        /// The address of the resource.
        address: String,
        /// The address of the failed dependency.
        because: String,
    },
    /// The result of an apply, destroy, rollback or phase, or of a change of `traffic` or `deploy`.
    Summary(Ended),
    /// The traffic weights by region; the only event of `traffic` without new weights.
    Traffic {
        /// The regions.
        regions: Vec<RegionWeight>,
        /// The shift in progress, if any.
        #[serde(skip_serializing_if = "Option::is_none")]
        shift: Option<Shifting>,
    },
    /// A shift of traffic, before its first step.
    Shift(Shifting),
    /// The results of the gates.
    Gates {
        /// All gates.
        gates: Vec<GateResult>,
    },
    /// A step of a shift of traffic has been made.
    Weights {
        /// The number of the step, from 1.
        step: usize,
        /// The number of steps.
        of: usize,
        /// The weights in percent by region.
        weights: BTreeMap<String, u8>,
    },
    /// The end of a shift of traffic.
    ShiftEnded {
        /// How it ended.
        outcome: ShiftOutcome,
        /// The weights in percent by region.
        weights: BTreeMap<String, u8>,
        /// Why it did not reach its target.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The services with two colours; the only event of `deploy` without an image.
    Services {
        /// The services, per region.
        services: Vec<ServiceStatus>,
        /// The deployment in progress, if any.
        #[serde(skip_serializing_if = "Option::is_none")]
        deploy: Option<Deploying>,
    },
    /// A deployment, before its first change.
    Deploy(Deploying),
    /// A step of a deployment has been made.
    Share {
        /// The number of the step, from 1.
        step: usize,
        /// The number of steps.
        of: usize,
        /// The share of the new image in the requests, in percent.
        percent: u8,
    },
    /// The services whose images ECS deploys itself; the only event of `deploy` without an image.
    NativeServices {
        /// The services, per region.
        services: Vec<NativeStatus>,
        /// The deployment in progress, if any.
        #[serde(skip_serializing_if = "Option::is_none")]
        deploy: Option<NativeDeploying>,
    },
    /// A deployment that ECS makes itself, before its first change.
    NativeDeploy(NativeDeploying),
    /// ECS has reached another stage of a deployment.
    NativeStage {
        /// The region.
        region: String,
        /// The stage, by AWS's name, such as `BAKE_TIME`.
        stage: String,
    },
    /// The end of a deployment.
    DeployEnded {
        /// How it ended.
        outcome: ShiftOutcome,
        /// The new image.
        image: String,
        /// Why it is not active.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The functions whose versions can be deployed; the only event of `deploy` without an image and a function in a workspace
    /// without services.
    Functions {
        /// The functions, per region.
        functions: Vec<FunctionStatus>,
        /// The deployment in progress, if any.
        #[serde(skip_serializing_if = "Option::is_none")]
        deploy: Option<FunctionDeploying>,
    },
    /// A deployment of a function, before its first change.
    FunctionDeploy(FunctionDeploying),
    /// A step of a deployment of a function has been made.
    FunctionShare {
        /// The number of the step, from 1.
        step: usize,
        /// The number of steps in all regions.
        of: usize,
        /// The region.
        region: String,
        /// The share of the new version in the invocations there, in percent.
        percent: u8,
    },
    /// The end of a deployment of a function.
    FunctionDeployEnded {
        /// How it ended.
        outcome: ShiftOutcome,
        /// The name of the function.
        function: String,
        /// Why the new version is not active.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The roles of the clusters of global databases; the only event of `failover` without a target.
    Databases {
        /// The global databases.
        databases: Vec<DatabaseRoles>,
    },
    /// The end of a failover.
    FailoverEnded {
        /// How it ended.
        outcome: ShiftOutcome,
        /// The writer's region.
        writer: String,
        /// Why it did not reach its target.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The outputs of the stack after a successful apply, rollback or phase.
    Outputs {
        /// Value by name.
        outputs: BTreeMap<String, String>,
    },
    /// A failure of one resource or of the command.
    Error(Failed),
}

/// The roles of the clusters of a global database.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DatabaseRoles {
    /// The address of the global cluster.
    pub(crate) address: String,
    /// Its name.
    pub(crate) name: String,
    /// The writer's region; null before the first cluster has joined.
    pub(crate) writer: Option<String>,
    /// The regions of the secondaries.
    pub(crate) secondaries: Vec<String>,
    /// The regions of the secondaries that are not in sync, after an outage.
    pub(crate) resynchronizing: Vec<String>,
    /// Whether no change of roles is in progress.
    pub(crate) available: bool,
}

/// The traffic weight of a region.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RegionWeight {
    /// The region.
    pub(crate) region: String,
    /// Its current weight; null if its record does not exist yet.
    pub(crate) weight: Option<u8>,
    /// Its initial weight in the configuration.
    pub(crate) initial: u8,
}

/// A shift of traffic.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Shifting {
    /// The weights before, in percent by region.
    pub(crate) from: BTreeMap<String, u8>,
    /// The weights after.
    pub(crate) to: BTreeMap<String, u8>,
    /// The weights after each step that is still to be made.
    pub(crate) steps: Vec<BTreeMap<String, u8>>,
    /// The wait after each step, in seconds.
    pub(crate) every: f64,
    /// The gates, as on the command line.
    pub(crate) gates: Vec<String>,
}

/// A service with two colours in one region.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ServiceStatus {
    /// The name of the service, the same in all regions.
    pub(crate) service: String,
    /// The region.
    pub(crate) region: String,
    /// Its colours; the first one is active before the first deployment.
    pub(crate) colours: Vec<ColourStatus>,
}

/// A colour of a service.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ColourStatus {
    /// Its name, such as `blue`.
    pub(crate) name: String,
    /// Its share of the requests in percent.
    pub(crate) weight: u8,
    /// Its image.
    pub(crate) image: String,
    /// Whether it is idle, which means without tasks.
    pub(crate) idle: bool,
}

/// A deployment.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deploying {
    /// The name of the service.
    pub(crate) service: String,
    /// The new image.
    pub(crate) image: String,
    /// The regions in which the image is not active yet.
    pub(crate) regions: Vec<RegionColours>,
    /// The shares of the new image after each step that is still to be made, in percent.
    pub(crate) steps: Vec<u8>,
    /// The wait after each step, in seconds.
    pub(crate) every: f64,
    /// The wait after the last step before the old tasks stop, in seconds.
    pub(crate) bake: f64,
    /// The gates, as on the command line.
    pub(crate) gates: Vec<String>,
}

/// A deployment in one region.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RegionColours {
    /// The region.
    pub(crate) region: String,
    /// The colour that is active before.
    pub(crate) from: String,
    /// The colour that gets the new image.
    pub(crate) to: String,
    /// The number of its tasks at first.
    pub(crate) tasks: i32,
}

/// A service whose images ECS deploys itself, in one region.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NativeStatus {
    /// The name of the service.
    pub(crate) service: String,
    /// The region.
    pub(crate) region: String,
    /// The image, also while ECS is still deploying it.
    pub(crate) image: String,
    /// Whether ECS is deploying, or rolling back.
    pub(crate) in_progress: bool,
    /// What it does at the moment, by AWS's name, such as `BAKE_TIME`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stage: Option<String>,
    /// Why its newest deployment failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

/// A deployment that ECS makes itself.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NativeDeploying {
    /// The name of the service.
    pub(crate) service: String,
    /// The new image.
    pub(crate) image: String,
    /// The regions in which the image is not active yet.
    pub(crate) regions: Vec<String>,
    /// How long ECS keeps the old tasks after the shift, in seconds.
    pub(crate) bake: f64,
    /// The gates, as on the command line.
    pub(crate) gates: Vec<String>,
}

/// A function, in one region.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FunctionStatus {
    /// The name of the function.
    pub(crate) function: String,
    /// The region.
    pub(crate) region: String,
    /// The versions that its callers invoke.
    pub(crate) versions: Vec<FunctionVersion>,
}

/// A version of a function.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FunctionVersion {
    /// Its number.
    pub(crate) version: String,
    /// Its share of the invocations in percent.
    pub(crate) weight: u8,
}

/// A deployment of a function.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FunctionDeploying {
    /// The name of the function.
    pub(crate) function: String,
    /// The regions in which the new version is not active yet, in the order in which they follow one another.
    pub(crate) regions: Vec<String>,
    /// The shares of the new version after each step in a region, in percent.
    pub(crate) steps: Vec<u8>,
    /// The number of steps in all regions that are still to be made.
    pub(crate) left: usize,
    /// The wait after each step, in seconds.
    pub(crate) every: f64,
    /// The wait after the last step before the old version is deleted, in seconds.
    pub(crate) bake: f64,
    /// The gates, as on the command line.
    pub(crate) gates: Vec<String>,
}

/// The result of a gate.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GateResult {
    /// The gate, as on the command line.
    pub(crate) gate: String,
    /// Whether it holds.
    pub(crate) holds: bool,
    /// What it found.
    pub(crate) reason: String,
}

/// How a shift of traffic, a deployment or a failover ended.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ShiftOutcome {
    /// It reached its target.
    Complete,
    /// All is as it was before it.
    Returned,
    /// It can be resumed or aborted.
    Stopped,
}

/// A plan.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Planned {
    /// The stack.
    stack: String,
    /// The workspace.
    workspace: String,
    /// The account.
    account: String,
    /// The number of steps by action.
    summary: Counts,
    /// The data that the plan destroys.
    losses: Vec<Loss>,
    /// The steps that change something.
    steps: Vec<Step>,
    /// The records that move to another address.
    moved: Vec<Moved>,
    /// Drift: changes made outside payinfra.
    drift: Vec<Drifted>,
    /// The operational values that differ from the configuration.
    operational: Vec<Operational>,
    /// The addresses that `--target` excluded.
    left_out: Vec<String>,
    /// The estimated duration of the critical path, in seconds: a lower bound for the apply, from AWS's usual
    /// durations.
    expected: f64,
}

/// A record that moves to another address in the state.
#[derive(Debug, Serialize, JsonSchema)]
struct Moved {
    /// The new address.
    address: String,
    /// The recorded address.
    from: String,
}

/// A value that a command has set, and that the configuration does not change.
#[derive(Debug, Serialize, JsonSchema)]
struct Operational {
    /// The address of the resource.
    address: String,
    /// The JSON pointer in its arguments.
    pointer: String,
    /// The value in the configuration.
    initial: Value,
    /// The current value.
    value: Value,
}

/// The number of steps by action.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the events' members")]
struct Counts {
    to_create: usize,
    to_update: usize,
    to_replace: usize,
    to_delete: usize,
    to_forget: usize,
    to_restore: usize,
    to_move: usize,
}

/// A planned change of one resource.
#[derive(Debug, Serialize, JsonSchema)]
struct Step {
    /// The address of the resource.
    address: String,
    /// The action.
    action: StepAction,
    /// The fields that change; for a create, all fields that are set.
    changes: Vec<Changed>,
    /// The reason, if the changes do not show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    /// The data that the step destroys, part by part.
    loses: Vec<String>,
    /// The changes that AWS refuses. If there are any, the plan cannot be applied.
    refused: Vec<String>,
}

/// Data that a plan destroys.
#[derive(Debug, Serialize, JsonSchema)]
struct Loss {
    /// The address of the resource.
    address: String,
    /// The parts that are lost.
    parts: Vec<String>,
    /// How much data that is, in words, if AWS says so.
    contents: Option<String>,
}

/// The action on a resource.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StepAction {
    /// No change.
    Keep,
    /// Create it.
    Create,
    /// Update it in place.
    Update,
    /// Delete the old resource, then create the new one.
    Replace,
    /// Create the new resource, then delete the old one.
    ReplaceCreateFirst,
    /// Delete it.
    Delete,
    /// Remove it from the state, because it no longer exists.
    Forget,
    /// Cancel its scheduled deletion.
    Restore,
}

/// A changed field.
#[derive(Debug, Serialize, JsonSchema)]
struct Changed {
    /// The path of the field.
    path: String,
    /// The current value; null if there is none.
    old: Value,
    /// The new value; null if the field is removed, absent if it is known only after apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Value>,
    /// Whether the new value is known only after apply.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    known_after_apply: bool,
    /// What is already known of a value that is known only after apply. In it, `{"$ref": "address#output"}` stands for an
    /// output that is not known yet, and `{"$text": [...]}` for a text with such outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<Value>,
}

/// An orphaned resource.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Swept {
    /// The address in its owner tags.
    address: String,
    /// The workspace in its owner tags.
    workspace: String,
    /// The region it is in. Differs from the address if it is a replica of a resource in another region.
    region: String,
    /// Its id.
    id: String,
}

/// A workspace whose graph is valid.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Valid {
    /// The workspace.
    workspace: String,
    /// The number of resources.
    pub(crate) resources: usize,
    /// The number of lookups.
    pub(crate) lookups: usize,
    /// The number of outputs.
    pub(crate) outputs: usize,
    /// Where rules do not apply, with the reasons.
    waivers: Vec<Waived>,
}

/// A rule that does not apply somewhere.
#[derive(Debug, Serialize, JsonSchema)]
struct Waived {
    /// The name of the rule.
    rule: String,
    /// The address of the resource to which the rule does not apply, or `everywhere`.
    at: String,
    /// Why it does not apply.
    reason: String,
}

impl Valid {
    /// The valid workspace that `graph` declares.
    pub(crate) fn of(graph: &Graph) -> Self {
        let lookups = graph.nodes().values().filter(|node| node.lookup).count();
        let waived = |waiver: &Waiver| Waived {
            rule: waiver.rule.clone(),
            at: waiver.at.to_string(),
            reason: waiver.reason.clone(),
        };
        Self {
            workspace: graph.workspace.clone(),
            resources: graph.nodes().len() - lookups,
            lookups,
            outputs: graph.outputs().len(),
            waivers: graph.waivers().iter().map(waived).collect(),
        }
    }
}

/// The result of an apply, destroy or rollback.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Ended {
    /// Whether all steps succeeded.
    pub(crate) complete: bool,
    /// Whether Ctrl-C interrupted it.
    pub(crate) cancelled: bool,
    /// The number of steps that succeeded.
    pub(crate) done: usize,
    /// The number of steps that failed.
    pub(crate) failed: usize,
    /// The addresses whose steps were not started.
    pub(crate) skipped: Vec<String>,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
}

/// A failure.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Failed {
    /// The address of the resource, if the failure concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// The class of the failure: `denied`, `locked`, `stale`, `invalid` and so on.
    class: String,
    /// The error message.
    message: String,
    /// The API call.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    /// The error code from AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The request id from AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

/// Prints events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Emitter;

impl Emitter {
    #[expect(clippy::unused_self, reason = "a value of this type shows that the caller prints events")]
    pub(crate) fn emit(self, message: Message) {
        let line = Line { v: VERSION, at: jiff::Timestamp::now().to_string(), message };
        if let Ok(text) = serde_json::to_string(&line) {
            screen::line(&text);
        }
    }

    pub(crate) fn error(self, address: Option<&Address>, error: &Error) {
        let help = crate::failure::help(address, error);
        self.emit(Message::Error(Failed {
            address: address.map(ToString::to_string),
            class: class(error.class()).to_owned(),
            message: named(error.message()).into_owned(),
            call: error.get_call().map(str::to_owned),
            code: error.get_code().map(str::to_owned),
            request_id: error.get_request_id().map(str::to_owned),
            help: help.map(|help| named(&help).into_owned()),
        }));
    }

    pub(crate) fn plan(self, plan: &Plan, expected: Duration) {
        let Summary { create, update, replace, delete, forget, restore, moved } = plan.summary();
        let steps = plan.steps.iter().filter(|(_, step)| step.action != Action::Keep);
        self.emit(Message::Plan(Planned {
            stack: plan.graph.stack.clone(),
            workspace: plan.graph.workspace.clone(),
            account: plan.account.clone(),
            summary: Counts {
                to_create: create,
                to_update: update,
                to_replace: replace,
                to_delete: delete,
                to_forget: forget,
                to_restore: restore,
                to_move: moved,
            },
            losses: plan
                .losses()
                .into_iter()
                .map(|(address, parts)| Loss {
                    address: address.to_string(),
                    parts: parts.to_vec(),
                    contents: plan.steps[address].contents.clone(),
                })
                .collect(),
            steps: steps
                .map(|(address, step)| Step {
                    address: address.to_string(),
                    action: step.action.into(),
                    changes: step.changes.iter().map(changed).collect(),
                    because: step.because.clone(),
                    loses: step.loses.clone(),
                    refused: step.refused.clone(),
                })
                .collect(),
            moved: plan
                .moved
                .iter()
                .map(|(to, from)| Moved { address: to.to_string(), from: from.to_string() })
                .collect(),
            drift: Drifted::of(&plan.drift),
            operational: plan
                .deviations()
                .into_iter()
                .map(|it| Operational {
                    address: it.address.to_string(),
                    pointer: it.pointer.to_owned(),
                    initial: it.initial.clone(),
                    value: it.value.clone(),
                })
                .collect(),
            left_out: plan.left_out.iter().map(ToString::to_string).collect(),
            expected: expected.as_secs_f64(),
        }));
    }
}

impl Observer for Emitter {
    fn notice(&self, event: &Event) {
        self.emit(event.into());
    }
}

impl From<&Event> for Message {
    fn from(event: &Event) -> Self {
        match event {
            Event::Started { address, action, expected } => {
                Self::Started { address: address.to_string(), action: (*action).into(), expected: *expected }
            }
            Event::Exists { address, id } => Self::Exists { address: address.to_string(), id: id.clone() },
            Event::Waiting { address, until, because } => {
                let (until, because) = ((*until).to_owned(), because.clone());
                Self::Waiting { address: address.to_string(), until, because }
            }
            Event::Done { address, action, seconds } => {
                Self::Done { address: address.to_string(), action: (*action).into(), seconds: *seconds }
            }
            Event::Failed { address, error } => {
                Self::Failed { address: address.to_string(), error: named(error).into_owned() }
            }
            Event::Skipped { address, because } => {
                Self::Skipped { address: address.to_string(), because: because.to_string() }
            }
        }
    }
}

impl From<Action> for StepAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Keep => Self::Keep,
            Action::Create => Self::Create,
            Action::Update => Self::Update,
            Action::Replace => Self::Replace,
            Action::ReplaceCreateFirst => Self::ReplaceCreateFirst,
            Action::Delete => Self::Delete,
            Action::Forget => Self::Forget,
            Action::Restore => Self::Restore,
        }
    }
}

/// The orphaned resources of a `sweep` event.
pub(crate) fn swept(orphans: &[payinfra_engine::sweep::Orphan]) -> Vec<Swept> {
    let swept = |orphan: &payinfra_engine::sweep::Orphan| Swept {
        address: orphan.owner.address.to_string(),
        workspace: orphan.owner.workspace.clone(),
        region: orphan.region.to_string(),
        id: orphan.seen.id.clone(),
    };
    orphans.iter().map(swept).collect()
}

fn changed(change: &Change) -> Changed {
    let (new, known_after_apply) = match &change.new {
        Wanted::Value(value) => (Some(value_view::masked(value)), false),
        Wanted::Removed => (Some(Value::Null), false),
        Wanted::Unknown => (None, true),
    };
    let partial = change.partial.as_ref().map(value_view::masked);
    Changed { path: change.path.clone(), old: value_view::masked(&change.old), new, known_after_apply, partial }
}

fn class(class: Class) -> &'static str {
    match class {
        Class::NotFound => "not-found",
        Class::Conflict => "conflict",
        Class::Eventual => "eventual",
        Class::Throttled => "throttled",
        Class::Ambiguous => "ambiguous",
        Class::Foreign => "foreign",
        Class::Quota => "quota",
        Class::Denied => "denied",
        Class::Invalid => "invalid",
        Class::Locked => "locked",
        Class::Stale => "stale",
        Class::Cancelled => "cancelled",
        _ => "failed",
    }
}
