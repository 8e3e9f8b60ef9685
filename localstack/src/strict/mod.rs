//! Constraints of AWS that its models do not say.
//!
//! They apply in an emulated AWS that is strict, except for those of which a test sets a value.

mod names;
mod page;
mod published;
mod quota;
mod services;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{action::Request, answer::Answer, fault::Fault, model::Models};
pub(crate) use names::{is_within, plain};
use page::Pages;
pub(crate) use page::by_environment as page_size_by_environment;
pub(crate) use quota::{Emulator, Quotas};
use serde_json::Value;
use services::Services;

/// The variable that makes each emulated AWS strict that does not decide itself: `1` or `true`.
const VARIABLE: &str = "PAYINFRA_LOCAL_STRICT";

/// How long other services do not know a new role or key, in seconds: an assumption, AWS says "several seconds" (IAM
/// user guide: Changes that I make are not always immediately visible).
const FRESH: f64 = 10.0;

/// The factor for times if no latency is set.
const SCALE: f64 = 0.1;

/// The switch, and what tests set.
#[derive(Debug, Default)]
pub(crate) struct Strict {
    on: AtomicBool,
    pub(crate) quotas: Quotas,
    /// The zones that the parent delegates.
    delegated: Mutex<BTreeSet<String>>,
    services: Services,
    pub(crate) pages: Pages,
}

impl Strict {
    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Forgets what tests set. The switch stays.
    pub(crate) fn clear(&self) {
        self.quotas.clear();
        self.services.clear();
        self.delegated.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// From now on, the parent of a zone has, or does not have, its NS record.
    pub(crate) fn delegate(&self, zone: &str, delegated: bool) {
        let mut zones = self.delegated.lock().unwrap_or_else(PoisonError::into_inner);
        if delegated {
            zones.insert(names::plain(zone));
        } else {
            zones.remove(&names::plain(zone));
        }
    }

    /// The delegated zones; `None` if all zones are.
    pub(crate) fn delegated(&self) -> Option<BTreeSet<String>> {
        self.is_on().then(|| self.delegated.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// The functions with network interfaces.
    pub(crate) fn functions(&self) -> Vec<Value> {
        self.services.functions()
    }

    /// Notes a successful call, and returns the calls that services make after it.
    pub(crate) fn follow(&self, request: &Request, answer: &Answer) -> Vec<Request> {
        if !self.is_on() || !answer.is_success() || !request.is_mutating() {
            return Vec::new();
        }
        let groups = self.services.note(request, answer);
        groups.iter().filter_map(|group| services::create_log_group(request, group)).collect()
    }

    /// The service's error for a call that a constraint refuses, and its message.
    pub(crate) async fn refuse(&self, request: &Request, models: Option<&Arc<Models>>) -> Option<(Answer, String)> {
        if !self.is_on() {
            return None;
        }
        if published::is_about(request)
            && let Some(input) = models?.input(request).await
        {
            return published::refuse(request, &input);
        }
        names::refuse(request)
    }

    /// The time in which other services do not know what a call creates. `latency` is the factor for AWS's times.
    pub(crate) fn window(&self, request: &Request, latency: Option<f64>) -> Option<Fault> {
        if !self.is_on() {
            return None;
        }
        let seconds = FRESH * latency.unwrap_or(SCALE);
        match (request.scope.service.as_str(), request.action.as_str()) {
            ("iam", "CreateRole") => Some(Fault::RoleNotAssumable { seconds }),
            ("kms", "CreateKey" | "ReplicateKey") => Some(Fault::KeyNotUsable { seconds }),
            _ => None,
        }
    }
}

/// Whether the environment asks for a strict emulated AWS.
pub(crate) fn by_environment() -> bool {
    std::env::var(VARIABLE).is_ok_and(|value| ["1", "true"].contains(&value.as_str()))
}
