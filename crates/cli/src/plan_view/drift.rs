//! Drift and differences between regions.

use std::collections::BTreeMap;

use payinfra_engine::plan::Difference;
use payinfra_engine::{Address, Drift, Region, Wanted};
use serde_json::Value;

use super::{FIELDS, PlanView};
use crate::compare::Declared;
use crate::edit_view::field;
use crate::page::Page;
use crate::screen::{ADDRESS, DELETE, UPDATE};
use crate::value_view::{holed, text};

impl PlanView {
    /// Changes made outside payinfra: last applied → current.
    pub(crate) fn drift(&self, drift: &BTreeMap<Address, Drift>) -> String {
        let mut page = self.page();
        for (address, drift) in drift {
            match drift {
                Drift::Gone => {
                    page.line(2, &format!("{DELETE}-{DELETE:#} {ADDRESS}{address}{ADDRESS:#} no longer exists"));
                }
                Drift::Scheduled(until) => {
                    let line = format!("is scheduled for deletion: {until}");
                    page.line(2, &format!("{DELETE}-{DELETE:#} {ADDRESS}{address}{ADDRESS:#} {line}"));
                }
                Drift::Changed(changes) => {
                    page.line(2, &format!("{UPDATE}~{UPDATE:#} {ADDRESS}{address}{ADDRESS:#}"));
                    for change in changes {
                        let recorded = match &change.new {
                            Wanted::Value(value) => value,
                            Wanted::Removed | Wanted::Unknown => &Value::Null,
                        };
                        field(&mut page, FIELDS, &change.path, (recorded, &change.old), Declared::Old, "");
                    }
                }
            }
        }
        page.text()
    }

    /// Differences between regions, by resource: the values of the regions that deviate, and those of the others.
    pub(crate) fn differences(&self, found: &[Difference]) -> String {
        let mut page = self.page();
        let mut last = None;
        for difference in found {
            let Difference { kind, name, field, regions, .. } = difference;
            if last != Some((kind, name)) {
                page.line(2, &format!("{UPDATE}~{UPDATE:#} {ADDRESS}{kind}/{name}{ADDRESS:#}"));
            }
            last = Some((kind, name));
            match field {
                None => {
                    let gone = listed(&regions.iter().collect::<Vec<_>>());
                    page.line(FIELDS, &format!("{DELETE}-{DELETE:#} does not exist in {gone}"));
                }
                Some(field) => values(&mut page, field, difference),
            }
        }
        page.text()
    }
}

/// The values of one field by region. Long ones are compared with the value of the regions that do not deviate.
fn values(page: &mut Page, name: &str, Difference { regions, values, .. }: &Difference) {
    let mut by_value: Vec<(bool, &Value, Vec<&Region>)> = Vec::new();
    for (region, value) in values {
        let deviates = regions.contains(region);
        match by_value.iter_mut().find(|(it, other, _)| (*it, *other) == (deviates, value)) {
            Some((_, _, regions)) => regions.push(region),
            None => by_value.push((deviates, value, vec![region])),
        }
    }
    by_value.sort_by_key(|(deviates, ..)| !deviates);
    let line = |value: &Value, regions: &[&Region]| format!("{}: {}", listed(regions), text(&holed(value)));
    let is_short = by_value.iter().all(|(_, value, regions)| page.fits(FIELDS + 4, &line(value, regions)));
    page.line(FIELDS, &format!("{UPDATE}~{UPDATE:#} {name}:"));
    if let (false, Some((_, usual, others))) = (is_short, by_value.iter().find(|(deviates, ..)| !deviates)) {
        for (_, value, regions) in by_value.iter().filter(|(deviates, ..)| *deviates) {
            let sides = format!("{} → {}", listed(others), listed(regions));
            field(page, FIELDS + 4, &sides, (usual, value), Declared::Neither, "");
        }
        return;
    }
    for (deviates, value, regions) in by_value {
        let line = line(value, &regions);
        page.line(FIELDS + 4, &if deviates { format!("{UPDATE}{line}{UPDATE:#}") } else { line });
    }
}

fn listed(regions: &[&Region]) -> String {
    regions.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ")
}
