//! Displays a plan as a diff.

mod access;
mod created;
mod drift;
mod reach;

use std::collections::{BTreeMap, BTreeSet};

use anstyle::Style;
use payinfra_aws::KINDS;
use payinfra_engine::plan::Summary;
use payinfra_engine::{Action, Address, Change, Deviation, Plan, Region, Step, Wanted, counted, pointers};
use serde_json::Value;

use crate::compare::Declared;
use crate::edit_view::field;
use crate::losses;
use crate::page::Page;
use crate::screen::{self, ADDRESS, CREATE, DELETE, DIM, HEADING, REPLACE, UPDATE};
use crate::table::{Row, table};
use crate::value_view::text;

/// The indentation of the fields of a resource.
const FIELDS: usize = 8;
/// The most resources that are listed for a replacement that changes them, unless the view is complete.
const AFTERWARDS: usize = 6;

/// The rows of a table for a step.
type Rows = fn(&Address, &Step) -> Vec<Row>;

/// Options for displaying plans.
pub(crate) struct PlanView {
    /// Whether to show everything: new resources with all fields in full.
    pub(crate) whole: bool,
    /// The heading of the data losses.
    pub(crate) losses: &'static str,
    /// The width of the terminal.
    pub(crate) width: Option<usize>,
}

impl PlanView {
    /// The view of plans on this terminal; `whole` shows all fields in full.
    pub(crate) fn new(whole: bool) -> Self {
        Self { whole, losses: losses::DESTROYS, width: screen::width() }
    }

    /// The losses, the drift, the steps, what they permit, and a summary line.
    pub(crate) fn render(&self, plan: &Plan) -> String {
        let mut page = self.page();
        page.lines(&losses::render(self.losses, &plan.described_losses()));
        page.lines(&losses::render("AWS refuses to change this", &losses::joined(&plan.refused())));
        if !plan.drift.is_empty() {
            page.line(0, &format!("{HEADING}Drift detected (last applied → current):{HEADING:#}"));
            page.lines(&self.drift(&plan.drift));
            page.line(0, "");
        }
        for (to, from) in &plan.moved {
            let line = format!("{DIM}  →{DIM:#} {ADDRESS}{to}{ADDRESS:#}  {DIM}# recorded as {}{DIM:#}", from.name);
            page.line(2, &line);
        }
        page.lines(&self.steps(&plan.steps));
        if !plan.is_empty() {
            page.line(0, "");
        }
        self.permissions(&mut page, &plan.steps);
        if self.counts(&plan.steps) {
            Self::uncounted(&mut page, &plan.steps);
        }
        if !plan.left_out.is_empty() {
            let resources = counted(plan.left_out.len(), "resource", "resources");
            page.line(0, &format!("{DIM}Excluded by --target: {resources}.{DIM:#}"));
        }
        page.lines(&self.operational(plan));
        page.line(0, &summary(plan.summary()));
        page.text()
    }

    /// The operational values that a command has set, and that the configuration does not change.
    pub(crate) fn operational(&self, plan: &Plan) -> String {
        let mut page = self.page();
        let role_of = |address: &Address| plan.graph.nodes().get(address)?.role_of.as_ref();
        for (address, role) in plan.graph.nodes().keys().filter_map(|address| Some((address, role_of(address)?))) {
            match role_of(role) == Some(address) {
                true if role < address => {}
                true => page.line(0, &format!("{DIM}{address} and {role} have exchanged their roles.{DIM:#}")),
                false => page.line(0, &format!("{DIM}{address} has the role of {role}, set by a command.{DIM:#}")),
            }
        }
        let mut told = BTreeMap::<_, (Vec<_>, Vec<_>)>::new();
        for Deviation { address, pointer, initial, value } in plan.deviations() {
            if role_of(address).is_none() {
                let (values, initials) = told.entry(address).or_default();
                values.push(format!("{} = {}", pointer[1..].replace('/', "."), text(value)));
                initials.push(text(initial));
            }
        }
        for (address, (values, initials)) in told {
            let (values, initials) = (values.join(" and "), initials.join(" and "));
            let line = format!("{address} keeps {values}, set by a command; the configuration has {initials}.");
            page.line(0, &format!("{DIM}{line}{DIM:#}"));
        }
        page.text()
    }

    /// The steps that change something, by region.
    pub(crate) fn steps(&self, steps: &BTreeMap<Address, Step>) -> String {
        let mut page = self.page();
        let mut regions = BTreeMap::<&Region, Vec<_>>::new();
        for (address, step) in steps.iter().filter(|(_, step)| step.action != Action::Keep) {
            regions.entry(&address.region).or_default().push((address, step));
        }
        let after = afterwards(steps);
        let counts = self.counts(steps);
        let is_headed = regions.len() > 1;
        for (region, steps) in regions {
            if is_headed {
                let steps = counted(steps.len(), "change", "changes");
                page.line(0, &format!("{HEADING}{region}{HEADING:#} {DIM}({steps}){DIM:#}"));
            }
            if counts {
                Self::counted(&mut page, &steps);
            }
            for (address, step) in steps.into_iter().filter(|(_, step)| !counts || !created::is_plain(step)) {
                self.step(&mut page, address, step, after.get(address));
            }
        }
        let text = page.text();
        if !text.contains('‹') {
            return text;
        }
        format!("{text}{DIM}‹…› is known after apply.{DIM:#}\n")
    }

    /// The changes of fields.
    pub(crate) fn changes(&self, changes: &[Change]) -> String {
        let mut page = self.page();
        for it in changes {
            change(&mut page, it, "");
        }
        page.text()
    }

    fn page(&self) -> Page {
        Page::new(self.width)
    }

    fn step(&self, page: &mut Page, address: &Address, step: &Step, after: Option<&BTreeSet<&Address>>) {
        let (symbol, style) = symbol(step.action);
        let because = step.because.as_ref().map_or_else(String::new, |why| format!("  {DIM}# {why}{DIM:#}"));
        page.line(2, &format!("{style}{symbol:>3}{style:#} {ADDRESS}{address}{ADDRESS:#}{because}"));
        if step.action == Action::Create {
            self.created(page, &step.changes);
        }
        let replaces = matches!(step.action, Action::Replace | Action::ReplaceCreateFirst);
        let fixed = fixed(&address.kind);
        for it in step.changes.iter().filter(|_| step.action != Action::Create) {
            let forces = replaces && fixed.contains(&it.field());
            let why = if forces { format!("  {REPLACE}# forces replacement{REPLACE:#}") } else { String::new() };
            change(page, it, &why);
        }
        if let Some(after) = after.filter(|_| replaces) {
            let most = if self.whole { usize::MAX } else { AFTERWARDS };
            let mut listed: Vec<_> = after.iter().take(most).map(ToString::to_string).collect();
            listed.extend((after.len() > most).then(|| format!("… {} more", after.len() - most)));
            page.line(FIELDS, &format!("{DIM}cascades to {}{DIM:#}", listed.join(", ")));
        }
    }

    /// Who gets or loses which permissions, and what can reach what.
    fn permissions(&self, page: &mut Page, steps: &BTreeMap<Address, Step>) {
        let counts = self.counts(steps);
        let tables = [
            ("IAM changes", &["Effect", "Who", "May do", "On", "If"][..], access::rows as Rows),
            ("Security group changes", &["From", "To", "Traffic"][..], reach::rows),
        ];
        for (heading, columns, rows) in tables {
            let (mut shown, mut hidden) = (Vec::new(), Vec::new());
            for (address, step) in steps {
                let rows = rows(address, step);
                if counts && created::is_plain(step) {
                    hidden.extend((!rows.is_empty()).then(|| format!("{address} ({})", rows.len())));
                } else {
                    shown.extend(rows);
                }
            }
            if shown.is_empty() && hidden.is_empty() {
                continue;
            }
            page.line(0, &format!("{HEADING}{heading}:{HEADING:#}"));
            if !shown.is_empty() {
                table(page, 2, columns, &shown);
            }
            if !hidden.is_empty() {
                page.line(2, &format!("{CREATE}+{CREATE:#} of new resources (number): {}", hidden.join(", ")));
            }
            page.line(0, "");
        }
    }
}

/// The resources that change because another one is replaced, by the one that is replaced.
fn afterwards(steps: &BTreeMap<Address, Step>) -> BTreeMap<Address, BTreeSet<&Address>> {
    let mut after = BTreeMap::<_, BTreeSet<_>>::new();
    for (address, step) in steps {
        for pointer in step.changes.iter().filter_map(|it| it.partial.as_ref()).flat_map(pointers) {
            after.entry(pointer.address).or_default().insert(address);
        }
    }
    after
}

fn change(page: &mut Page, Change { path, old, new, partial }: &Change, why: &str) {
    let new = match (new, partial) {
        (Wanted::Value(new), _) | (Wanted::Unknown, Some(new)) => new,
        (Wanted::Removed, _) => &Value::Null,
        (Wanted::Unknown, None) => &Value::from(UNKNOWN),
    };
    field(page, FIELDS, path, (old, new), Declared::New, why);
}

/// The fields of `kind` that cannot be updated in place.
fn fixed(kind: &str) -> &'static [&'static str] {
    let specs = KINDS.iter().copied().flatten().map(|kind| kind.spec());
    specs.into_iter().find(|spec| spec.kind == kind).map_or(&[], |spec| spec.replace)
}

/// A value of which nothing is known before the apply.
const UNKNOWN: &str = "‹…›";

/// The symbol and color of an action.
pub(crate) fn symbol(action: Action) -> (&'static str, Style) {
    match action {
        Action::Keep => ("", DIM),
        Action::Create => ("+", CREATE),
        Action::Update => ("~", UPDATE),
        Action::Replace => ("-/+", REPLACE),
        Action::ReplaceCreateFirst => ("+/-", REPLACE),
        Action::Delete => ("-", DELETE),
        Action::Forget => ("✗", DIM),
        Action::Restore => ("↺", UPDATE),
    }
}

fn summary(summary: Summary) -> String {
    let Summary { create, update, replace, delete, forget, restore, moved } = summary;
    let restore = if restore == 0 { String::new() } else { format!(", {restore} to restore") };
    let moved = if moved == 0 { String::new() } else { format!(", {moved} to move in the state") };
    let forget = if forget == 0 { String::new() } else { format!(", {forget} to forget") };
    format!(
        "{HEADING}Plan:{HEADING:#} {create} to create, {update} to update, {replace} to replace, {delete} to \
         delete{forget}{restore}{moved}."
    )
}

#[cfg(test)]
mod tests;
