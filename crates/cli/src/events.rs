//! The events of `--json`: one per line, described by `payinfra schema --events` and in `EVENTS.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use payinfra_engine::plan::Summary;
use payinfra_engine::{Action, Address, Change, Class, Error, Event, Observer, Plan, Wanted};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{screen, value_view};

/// The version of this form. It changes when a member goes or changes its meaning, not when one is added.
pub(crate) const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Line {
    /// The version of this form: 1.
    v: u32,
    /// When, RFC 3339.
    at: String,
    #[serde(flatten)]
    message: Message,
}

/// What is told.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Message {
    /// What will be done; the first event of plan, apply and destroy.
    Plan(Planned),
    /// What changed behind payinfra's back; the only event of drift.
    Drift {
        /// Each resource that changed.
        resources: Vec<Drifted>,
    },
    /// What is ours and in no state; the only event of sweep.
    Sweep {
        /// Each of them.
        orphans: Vec<Swept>,
    },
    /// Work on a resource has begun.
    Started {
        /// Which.
        address: String,
        /// What is done with it.
        action: Deed,
        /// How long it usually takes, in seconds.
        expected: f64,
    },
    /// A resource exists and has an id; it may not be ready yet.
    Exists {
        /// Which.
        address: String,
        /// Its id.
        id: String,
    },
    /// A resource is being waited for.
    Waiting {
        /// Which.
        address: String,
        /// For what: `ready` or `gone`.
        until: String,
    },
    /// Work on a resource is done.
    Done {
        /// Which.
        address: String,
        /// What was done with it.
        action: Deed,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// Work on a resource failed; an `error` with all that is known follows at the end.
    Failed {
        /// Which.
        address: String,
        /// What went wrong.
        error: String,
    },
    /// Work on a resource was not begun, because something that it depends on failed.
    Skipped {
        /// Which.
        address: String,
        /// What failed.
        because: String,
    },
    /// How an apply or a destroy ended.
    Summary(Ended),
    /// The stack's outputs after a successful apply.
    Outputs {
        /// Value by name.
        outputs: BTreeMap<String, String>,
    },
    /// A failure: of one resource, or of the command.
    Error(Failed),
}

/// What will be done.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Planned {
    /// The stack.
    stack: String,
    /// The workspace.
    workspace: String,
    /// The account.
    account: String,
    /// How many steps of each sort there are.
    summary: Counts,
    /// The data that is lost by it.
    losses: Vec<Loss>,
    /// The steps that do something.
    steps: Vec<Step>,
    /// What changed behind payinfra's back.
    drift: Vec<Drifted>,
    /// What `--target` left out.
    left_out: Vec<String>,
    /// How long the longest chain of waits takes, in seconds, by how long AWS usually takes: no apply can be faster.
    expected: f64,
}

/// How many steps of each sort there are.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the events' members")]
struct Counts {
    to_create: usize,
    to_update: usize,
    to_replace: usize,
    to_delete: usize,
    to_forget: usize,
    to_restore: usize,
}

/// What will be done with one resource.
#[derive(Debug, Serialize, JsonSchema)]
struct Step {
    /// Which.
    address: String,
    /// What.
    action: Deed,
    /// Which fields change; for a create, all that are set.
    changes: Vec<Changed>,
    /// Why, where the changes do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    /// The data that is lost by it, part by part.
    loses: Vec<String>,
}

/// Data that is lost by a plan.
#[derive(Debug, Serialize, JsonSchema)]
struct Loss {
    /// Where.
    address: String,
    /// What of it.
    parts: Vec<String>,
}

/// What is done with a resource.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Deed {
    /// Nothing.
    Keep,
    /// It is made.
    Create,
    /// It is changed in place.
    Update,
    /// A new one is made after the old one is removed.
    Replace,
    /// A new one is made before the old one is removed.
    ReplaceCreateFirst,
    /// It is removed.
    Delete,
    /// It is dropped from the state: it is gone already.
    Forget,
    /// It is restored: it was scheduled for deletion.
    Restore,
}

/// One field that changes.
#[derive(Debug, Serialize, JsonSchema)]
struct Changed {
    /// The field, with a path into it.
    path: String,
    /// What it is; null if it is not there.
    old: Value,
    /// What it shall be; null if it is removed, absent if it is known only after apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Value>,
    /// Whether the new value is known only after apply.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    known_after_apply: bool,
}

/// Something that is ours and in no state.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Swept {
    /// The address that its owner tags name.
    address: String,
    /// The workspace that they name.
    workspace: String,
    /// Where it is: not where its address says if it is a copy that was left by a resource of another region.
    region: String,
    /// Its id.
    id: String,
}

/// A resource that is not as it was applied.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Drifted {
    /// Which.
    address: String,
    /// Whether it is gone.
    gone: bool,
    /// The fields that differ, if it is there.
    fields: Vec<DriftedField>,
}

/// A field that is not as it was applied.
#[derive(Debug, Serialize, JsonSchema)]
struct DriftedField {
    /// The field, with a path into it.
    path: String,
    /// What was applied; null if nothing was there.
    recorded: Value,
    /// What is there; null if nothing is.
    live: Value,
}

/// How an apply or a destroy ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Ended {
    /// Whether everything was done.
    pub(crate) complete: bool,
    /// Whether Ctrl-C stopped it.
    pub(crate) cancelled: bool,
    /// How many steps were done.
    pub(crate) done: usize,
    /// How many failed.
    pub(crate) failed: usize,
    /// What was not begun.
    pub(crate) skipped: Vec<String>,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
}

/// A failure.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Failed {
    /// The resource, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// What sort of failure it is: `denied`, `locked`, `stale`, `invalid` and so on.
    class: String,
    /// What went wrong.
    message: String,
    /// The API call.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    /// AWS's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// AWS's request id.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

/// Prints events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Emitter;

impl Emitter {
    #[expect(clippy::unused_self, reason = "whoever prints events says so by having one")]
    pub(crate) fn emit(self, message: Message) {
        let line = Line { v: VERSION, at: jiff::Timestamp::now().to_string(), message };
        if let Ok(text) = serde_json::to_string(&line) {
            screen::line(&text);
        }
    }

    pub(crate) fn error(self, address: Option<&Address>, error: &Error) {
        let help = error.get_hint().or_else(|| crate::failure::advice(error.class()));
        self.emit(Message::Error(Failed {
            address: address.map(ToString::to_string),
            class: class(error.class()).to_owned(),
            message: error.message().to_owned(),
            call: error.get_call().map(str::to_owned),
            code: error.get_code().map(str::to_owned),
            request_id: error.get_request_id().map(str::to_owned),
            help: help.map(str::to_owned),
        }));
    }

    pub(crate) fn plan(self, plan: &Plan, expected: Duration) {
        let Summary { create, update, replace, delete, forget, restore } = plan.summary();
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
            },
            losses: plan
                .losses()
                .into_iter()
                .map(|(address, parts)| Loss { address: address.to_string(), parts: parts.to_vec() })
                .collect(),
            steps: steps
                .map(|(address, step)| Step {
                    address: address.to_string(),
                    action: step.action.into(),
                    changes: step.changes.iter().map(changed).collect(),
                    because: step.because.clone(),
                    loses: step.loses.clone(),
                })
                .collect(),
            drift: drifted(&plan.drift),
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
            Event::Waiting { address, until } => {
                Self::Waiting { address: address.to_string(), until: (*until).to_owned() }
            }
            Event::Done { address, action, seconds } => {
                Self::Done { address: address.to_string(), action: (*action).into(), seconds: *seconds }
            }
            Event::Failed { address, error } => Self::Failed { address: address.to_string(), error: error.clone() },
            Event::Skipped { address, because } => {
                Self::Skipped { address: address.to_string(), because: because.to_string() }
            }
        }
    }
}

impl From<Action> for Deed {
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

/// What is ours and in no state.
pub(crate) fn swept(orphans: &[payinfra_engine::sweep::Orphan]) -> Vec<Swept> {
    let swept = |orphan: &payinfra_engine::sweep::Orphan| Swept {
        address: orphan.owner.address.to_string(),
        workspace: orphan.owner.workspace.clone(),
        region: orphan.region.to_string(),
        id: orphan.seen.id.clone(),
    };
    orphans.iter().map(swept).collect()
}

/// What changed behind payinfra's back.
pub(crate) fn drifted(drift: &BTreeMap<Address, payinfra_engine::Drift>) -> Vec<Drifted> {
    drift
        .iter()
        .map(|(address, drift)| {
            let fields = match drift {
                payinfra_engine::Drift::Gone | payinfra_engine::Drift::Scheduled(_) => Vec::new(),
                payinfra_engine::Drift::Changed(changes) => changes.iter().map(drifted_field).collect(),
            };
            let gone = *drift == payinfra_engine::Drift::Gone;
            Drifted { address: address.to_string(), gone, fields }
        })
        .collect()
}

fn drifted_field(change: &Change) -> DriftedField {
    let recorded = match &change.new {
        Wanted::Value(value) => value_view::masked(value),
        Wanted::Removed | Wanted::Unknown => Value::Null,
    };
    DriftedField { path: change.path.clone(), recorded, live: value_view::masked(&change.old) }
}

fn changed(change: &Change) -> Changed {
    let (new, known_after_apply) = match &change.new {
        Wanted::Value(value) => (Some(value_view::masked(value)), false),
        Wanted::Removed => (Some(Value::Null), false),
        Wanted::Unknown => (None, true),
    };
    Changed { path: change.path.clone(), old: value_view::masked(&change.old), new, known_after_apply }
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
