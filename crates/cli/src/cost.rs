//! The estimated cost of a plan.

use payinfra_aws::{PRICED, monthly};
use payinfra_engine::{Action, Plan, Pointer, State, counted, pointers};

use crate::screen::{self, DIM};

/// The difference that a plan makes to the cost per month.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    /// What is added and removed, in millionths of a dollar.
    added: u64,
    removed: u64,
    /// The number of resources whose price is not known.
    unknown: usize,
}

/// Prints what `planned` costs.
pub(crate) fn tell(planned: &Plan, state: &State) {
    if let Some(line) = line(planned, state) {
        screen::line(&format!("{DIM}{line}{DIM:#}"));
    }
}

/// One line with what `planned` adds to the cost per month and removes from it; `None` if it changes nothing that has a price.
fn line(planned: &Plan, state: &State) -> Option<String> {
    let Cost { added, removed, unknown } = cost(planned, state);
    if (added, removed, unknown) == (0, 0, 0) {
        return None;
    }
    let (sign, net) = if added >= removed { ("+", added - removed) } else { ("−", removed - added) };
    let parts = match (added, removed) {
        (0, _) | (_, 0) => String::new(),
        _ => format!(" (+{}, −{})", dollars(added), dollars(removed)),
    };
    let without = match unknown {
        0 => String::new(),
        _ => format!(", nor {} of unknown price", counted(unknown, "resource", "resources")),
    };
    Some(format!(
        "Estimated cost: {sign}{} a month{parts}, not including requests, traffic and storage{without} (list prices of {PRICED}).",
        dollars(net)
    ))
}

fn cost(planned: &Plan, state: &State) -> Cost {
    let state = planned.before(state);
    let nodes = planned.graph.nodes();
    let mut cost = Cost::default();
    for (address, _) in planned.steps.iter().filter(|(_, step)| step.action != Action::Keep) {
        let declared = nodes.get(address).map(|node| {
            let of = |pointer: &Pointer| nodes.get(&pointer.address).map(|node| &node.args);
            monthly(&address.kind, &node.args, |value| pointers(value).first().and_then(of))
        });
        let existing = state.resources.get(address).filter(|record| record.id.is_some()).map(|record| {
            let of = |id: &str| state.resources.values().find(|it| it.id.as_deref() == Some(id)).map(|it| &it.args);
            monthly(&address.kind, &record.args, |value| of(value.as_str()?))
        });
        match (existing.unwrap_or(Some(0)), declared.unwrap_or(Some(0))) {
            (Some(before), Some(after)) => {
                cost.added += after.saturating_sub(before);
                cost.removed += before.saturating_sub(after);
            }
            _ => cost.unknown += 1,
        }
    }
    cost
}

/// Millionths of a dollar, as dollars and cents.
fn dollars(micros: u64) -> String {
    let cents = (micros + 5_000) / 10_000;
    format!("${}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_rounded_to_cents() {
        assert_eq!(
            [0, 4_999, 5_000, 32_850_000, 1_234_567_890].map(dollars),
            ["$0.00", "$0.00", "$0.01", "$32.85", "$1234.57"]
        );
    }
}
