//! The conditions of the emulated AWS: throttling, latency, regions that are down, and set health.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::header::HeaderValue;
use serde_json::json;

use crate::{
    fault::{Faults, Silence},
    route::Scope,
    strict::Strict,
};

/// The header of requests to the emulators with the conditions, so that an emulator that was just started has them too.
pub(super) const HEADER: &str = "x-payinfra-conditions";

/// Services that are not in any region, whatever the region of the signature.
const GLOBAL: &[&str] = &["iam", "route53"];

/// The conditions; rules are kept elsewhere.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    state: Mutex<State>,
    changed: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    /// Increased to complete all changes in progress.
    epoch: u64,
    /// Whether the invariant checker asks the emulators what happened.
    observes: bool,
}

impl Conditions {
    pub(super) fn get(&self) -> Faults {
        self.lock().faults.clone()
    }

    /// Changes the conditions, and optionally completes all changes in progress.
    pub(super) fn change(&self, completes: bool, change: impl FnOnce(&mut Faults)) {
        let mut state = self.lock();
        change(&mut state.faults);
        state.epoch += u64::from(completes);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Whether the emulators note what happens between two questions of the invariant checker.
    pub(super) fn observe(&self, observes: bool) {
        self.lock().observes = observes;
    }

    /// What happens to a call if its region is down.
    pub(super) fn silence(&self, scope: &Scope) -> Option<Silence> {
        let state = self.lock();
        let outage = state.faults.outages.iter().find(|outage| outage.region == scope.region)?;
        (!GLOBAL.contains(&scope.service.as_str())).then_some(outage.calls)
    }

    /// Waits until a call's region is up.
    pub(super) async fn until_up(&self, scope: &Scope) {
        loop {
            let changed = self.changed.notified();
            if self.silence(scope).is_none() {
                return;
            }
            changed.await;
        }
    }

    /// The conditions for the emulators.
    pub(super) fn header(&self, strict: &Strict) -> Option<HeaderValue> {
        let State { faults, epoch, observes } = &*self.lock();
        let outages: Vec<_> = faults.outages.iter().map(|outage| &outage.region).collect();
        let latency = faults.latency.unwrap_or_default();
        let text = json!({
            "epoch": epoch,
            "latency": latency,
            "outages": outages,
            "health": faults.health,
            "zones": faults.zones,
            "renewed": faults.renewed,
            "observes": observes,
            "delegated": strict.delegated(),
            "functions": strict.functions(),
        });
        HeaderValue::from_bytes(text.to_string().as_bytes()).ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
