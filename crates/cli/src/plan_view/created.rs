//! New resources: with their fields or, if there are many, their number by region, service and kind.

use std::collections::BTreeMap;

use payinfra_engine::{Action, Address, Change, Step, Wanted, counted};
use serde_json::Value;

use super::{FIELDS, PlanView, UNKNOWN};
use crate::edit_view::new_field;
use crate::page::{Page, visible};
use crate::screen::{CREATE, DIM};
use crate::value_view::view;

/// The most new resources that are listed with their fields, unless the view is complete.
const MANY: usize = 20;

impl PlanView {
    /// Whether new resources are only counted.
    pub(super) fn counts(&self, steps: &BTreeMap<Address, Step>) -> bool {
        !self.whole && steps.values().filter(|step| is_plain(step)).count() > MANY
    }

    /// The number of new resources by service and kind.
    pub(super) fn counted(page: &mut Page, steps: &[(&Address, &Step)]) {
        let mut services = BTreeMap::<&str, BTreeMap<&str, usize>>::new();
        for (address, _) in steps.iter().filter(|(_, step)| is_plain(step)) {
            let (service, kind) = address.kind.split_once('.').unwrap_or((&address.kind, "resource"));
            *services.entry(service).or_default().entry(kind).or_default() += 1;
        }
        for (service, kinds) in services {
            let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            page.line(4, &format!("{CREATE}+{CREATE:#} {service}: {}", kinds.join(", ")));
        }
    }

    /// What to do to see the new resources.
    pub(super) fn uncounted(page: &mut Page, steps: &BTreeMap<Address, Step>) {
        let new = steps.values().filter(|step| is_plain(step)).count();
        let new = counted(new, "new resource", "new resources");
        page.line(0, &format!("{DIM}-v lists the {new} with all fields and permissions.{DIM:#}"));
    }

    /// The fields of a new resource, as many per line as fit.
    pub(super) fn created(&self, page: &mut Page, changes: &[Change]) {
        let mut line = String::new();
        for change in changes {
            let Some(value) = shown(change) else { continue };
            let text = match &value {
                Value::Object(tags) if change.path == "tags" && !self.whole => format!("({})", tags.len()),
                value => view(value, self.whole),
            };
            let field = format!("{}: {text}", change.path);
            let is_long = !page.fits(FIELDS, &field) && self.whole;
            if !line.is_empty() && (is_long || FIELDS + visible(&line) + visible(&field) + 2 > page.width()) {
                page.line(FIELDS, &format!("{DIM}{line}{DIM:#}"));
                line.clear();
            }
            if is_long {
                new_field(page, FIELDS, &change.path, &value);
                continue;
            }
            if !line.is_empty() {
                line.push_str("  ");
            }
            line.push_str(&field);
        }
        if !line.is_empty() {
            page.line(FIELDS, &format!("{DIM}{line}{DIM:#}"));
        }
    }
}

/// The value of a field of a new resource, if there is anything to show.
fn shown(change: &Change) -> Option<Value> {
    let value = match (&change.new, &change.partial) {
        (Wanted::Value(value), _) | (Wanted::Unknown, Some(value)) => value,
        (Wanted::Unknown, None) => return Some(UNKNOWN.into()),
        (Wanted::Removed, _) => return None,
    };
    let is_empty = match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    (!is_empty).then(|| value.clone())
}

/// Whether the step only creates a resource. A reason, such as that it is gone, is shown with each resource.
pub(super) fn is_plain(step: &Step) -> bool {
    step.action == Action::Create && step.because.is_none()
}
