//! Displays a plan as a diff.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstyle::Style;
use payinfra_aws::KINDS;
use payinfra_engine::plan::{Difference, Summary};
use payinfra_engine::{Action, Address, Change, Deviation, Drift, Plan, Region, Step, Wanted, counted};
use serde_json::Value;

use crate::losses;
use crate::screen::{ADDRESS, CREATE, DELETE, DIM, HEADING, REPLACE, UPDATE};
use crate::value_view::view;

/// The maximum width of a line with the fields of a new resource.
const WIDTH: usize = 110;

/// Options for displaying plans.
pub(crate) struct PlanView {
    /// Whether to show all fields in full.
    pub(crate) whole: bool,
    /// The heading of the data losses.
    pub(crate) losses: &'static str,
}

impl PlanView {
    /// The view of plans; `whole` shows all fields in full.
    pub(crate) fn new(whole: bool) -> Self {
        Self { whole, losses: losses::DESTROYS }
    }

    /// The losses, the drift, the steps and a summary line.
    pub(crate) fn render(&self, plan: &Plan) -> String {
        let mut text = losses::render(self.losses, &plan.described_losses());
        text.push_str(&losses::render("AWS refuses to change this", &losses::joined(&plan.refused())));
        if !plan.drift.is_empty() {
            push(&mut text, &format!("{HEADING}Drift detected (last applied → current):{HEADING:#}"));
            text.push_str(&self.drift(&plan.drift));
            text.push('\n');
        }
        for (to, from) in &plan.moved {
            push(
                &mut text,
                &format!("  {DIM}  →{DIM:#} {ADDRESS}{to}{ADDRESS:#}  {DIM}# recorded as {}{DIM:#}", from.name),
            );
        }
        text.push_str(&self.steps(&plan.steps));
        if !plan.is_empty() {
            text.push('\n');
        }
        if !plan.left_out.is_empty() {
            let resources = counted(plan.left_out.len(), "resource", "resources");
            push(&mut text, &format!("{DIM}Excluded by --target: {resources}.{DIM:#}"));
        }
        text.push_str(&self.operational(plan));
        push(&mut text, &summary(plan.summary()));
        text
    }

    /// The operational values that a command has set, and that the configuration does not change.
    pub(crate) fn operational(&self, plan: &Plan) -> String {
        let mut text = String::new();
        let role_of = |address: &Address| plan.graph.nodes().get(address)?.role_of.as_ref();
        for (address, role) in plan.graph.nodes().keys().filter_map(|address| Some((address, role_of(address)?))) {
            match role_of(role) == Some(address) {
                true if role < address => {}
                true => push(&mut text, &format!("{DIM}{address} and {role} have exchanged their roles.{DIM:#}")),
                false => push(&mut text, &format!("{DIM}{address} has the role of {role}, set by a command.{DIM:#}")),
            }
        }
        let mut told = BTreeMap::<_, (Vec<_>, Vec<_>)>::new();
        for Deviation { address, pointer, initial, value } in plan.deviations() {
            if role_of(address).is_none() {
                let (values, initials) = told.entry(address).or_default();
                values.push(format!("{} = {}", pointer[1..].replace('/', "."), self.value(value)));
                initials.push(self.value(initial));
            }
        }
        for (address, (values, initials)) in told {
            let (values, initials) = (values.join(" and "), initials.join(" and "));
            push(
                &mut text,
                &format!("{DIM}{address} keeps {values}, set by a command; the configuration has {initials}.{DIM:#}"),
            );
        }
        text
    }

    /// The steps that change something.
    pub(crate) fn steps(&self, steps: &BTreeMap<Address, Step>) -> String {
        let mut text = String::new();
        for (address, step) in steps.iter().filter(|(_, step)| step.action != Action::Keep) {
            self.step(&mut text, address, step);
        }
        text
    }

    /// The changes of fields.
    pub(crate) fn changes(&self, changes: &[Change]) -> String {
        let mut text = String::new();
        for change in changes {
            self.change(&mut text, change, "");
        }
        text
    }

    /// Changes made outside payinfra: last applied → current.
    pub(crate) fn drift(&self, drift: &BTreeMap<Address, Drift>) -> String {
        let mut text = String::new();
        for (address, drift) in drift {
            match drift {
                Drift::Gone => {
                    push(&mut text, &format!("  {DELETE}-{DELETE:#} {ADDRESS}{address}{ADDRESS:#} no longer exists"));
                }
                Drift::Scheduled(until) => {
                    let line = format!("is scheduled for deletion: {until}");
                    push(&mut text, &format!("  {DELETE}-{DELETE:#} {ADDRESS}{address}{ADDRESS:#} {line}"));
                }
                Drift::Changed(changes) => {
                    push(&mut text, &format!("  {UPDATE}~{UPDATE:#} {ADDRESS}{address}{ADDRESS:#}"));
                    for change in changes {
                        let recorded = match &change.new {
                            Wanted::Value(value) => value.clone(),
                            Wanted::Removed | Wanted::Unknown => Value::Null,
                        };
                        self.field(&mut text, &change.path, &recorded, &change.old, "");
                    }
                }
            }
        }
        text
    }

    /// Differences between regions, by resource: the values of the regions that deviate, and those of the others.
    pub(crate) fn differences(&self, found: &[Difference]) -> String {
        let mut text = String::new();
        let mut last = None;
        for difference in found {
            let Difference { kind, name, field, regions, values } = difference;
            if last != Some((kind, name)) {
                push(&mut text, &format!("  {UPDATE}~{UPDATE:#} {ADDRESS}{kind}/{name}{ADDRESS:#}"));
            }
            last = Some((kind, name));
            let listed = |regions: &[&Region]| regions.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
            let Some(field) = field else {
                let gone = listed(&regions.iter().collect::<Vec<_>>());
                push(&mut text, &format!("        {DELETE}-{DELETE:#} does not exist in {gone}"));
                continue;
            };
            push(&mut text, &format!("        {UPDATE}~{UPDATE:#} {field}:"));
            let mut by_value: Vec<(bool, &Value, Vec<&Region>)> = Vec::new();
            for (region, value) in values {
                let deviates = regions.contains(region);
                match by_value.iter_mut().find(|(it, other, _)| (*it, *other) == (deviates, value)) {
                    Some((_, _, regions)) => regions.push(region),
                    None => by_value.push((deviates, value, vec![region])),
                }
            }
            by_value.sort_by_key(|(deviates, ..)| !deviates);
            for (deviates, value, regions) in by_value {
                let line = format!("{}: {}", listed(&regions), self.value(value));
                push(
                    &mut text,
                    &if deviates {
                        format!("            {UPDATE}{line}{UPDATE:#}")
                    } else {
                        format!("            {line}")
                    },
                );
            }
        }
        text
    }

    fn step(&self, text: &mut String, address: &Address, step: &Step) {
        let (symbol, style) = symbol(step.action);
        let because = step.because.as_ref().map_or_else(String::new, |why| format!("  {DIM}# {why}{DIM:#}"));
        push(text, &format!("  {style}{symbol:>3}{style:#} {ADDRESS}{address}{ADDRESS:#}{because}"));
        if step.action == Action::Create {
            self.fields(text, &step.changes);
            return;
        }
        let replaces = matches!(step.action, Action::Replace | Action::ReplaceCreateFirst);
        let fixed = fixed(&address.kind);
        for change in &step.changes {
            let forces = replaces && fixed.contains(&change.field());
            let why = if forces { format!("  {REPLACE}# forces replacement{REPLACE:#}") } else { String::new() };
            self.change(text, change, &why);
        }
    }

    fn change(&self, text: &mut String, change: &Change, why: &str) {
        match &change.new {
            Wanted::Value(new) => self.field(text, &change.path, &change.old, new, why),
            Wanted::Removed => self.field(text, &change.path, &change.old, &Value::Null, why),
            Wanted::Unknown => {
                let old = self.value(&change.old);
                let path = &change.path;
                push(text, &format!("        {UPDATE}~{UPDATE:#} {path}: {old} → {DIM}{UNKNOWN}{DIM:#}{why}"));
            }
        }
    }

    /// The fields of a new resource, as many per line as fit.
    fn fields(&self, text: &mut String, changes: &[Change]) {
        let mut line = String::new();
        for change in changes {
            let Some(value) = self.created(change) else { continue };
            let field = format!("{}: {value}", change.path);
            if !line.is_empty() && line.chars().count() + field.chars().count() + 2 > WIDTH {
                push(text, &format!("        {DIM}{line}{DIM:#}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push_str("  ");
            }
            line.push_str(&field);
        }
        if !line.is_empty() {
            push(text, &format!("        {DIM}{line}{DIM:#}"));
        }
    }

    fn created(&self, change: &Change) -> Option<String> {
        match &change.new {
            Wanted::Unknown => Some(UNKNOWN.to_owned()),
            Wanted::Removed | Wanted::Value(Value::Null) => None,
            Wanted::Value(Value::Array(values)) if values.is_empty() => None,
            Wanted::Value(Value::Object(members)) if members.is_empty() => None,
            Wanted::Value(Value::Object(tags)) if change.path == "tags" && !self.whole => {
                Some(format!("({})", tags.len()))
            }
            Wanted::Value(value) => Some(self.value(value)),
        }
    }

    /// One field, from `old` to `new`; of lists, only the members that differ.
    fn field(&self, text: &mut String, path: &str, old: &Value, new: &Value, why: &str) {
        match (old, new) {
            (Value::Array(before), Value::Array(after)) => {
                push(text, &format!("        {UPDATE}~{UPDATE:#} {path}:{why}"));
                let mut moved = true;
                for gone in before.iter().filter(|member| !after.contains(member)) {
                    moved = false;
                    push(text, &format!("            {DELETE}- {}{DELETE:#}", self.value(gone)));
                }
                for come in after.iter().filter(|member| !before.contains(member)) {
                    moved = false;
                    push(text, &format!("            {CREATE}+ {}{CREATE:#}", self.value(come)));
                }
                if moved {
                    push(text, &format!("            {} → {}", self.value(old), self.value(new)));
                }
            }
            (Value::Null, new) => {
                push(text, &format!("        {CREATE}+{CREATE:#} {path}: {}{why}", self.value(new)));
            }
            (old, Value::Null) => {
                push(text, &format!("        {DELETE}-{DELETE:#} {path}: {}{why}", self.value(old)));
            }
            (old, new) => {
                let (old, new) = (self.value(old), self.value(new));
                push(text, &format!("        {UPDATE}~{UPDATE:#} {path}: {old} → {new}{why}"));
            }
        }
    }

    fn value(&self, value: &Value) -> String {
        view(value, self.whole)
    }
}

/// The fields of `kind` that cannot be updated in place.
fn fixed(kind: &str) -> &'static [&'static str] {
    let specs = KINDS.iter().copied().flatten().map(|kind| kind.spec());
    specs.into_iter().find(|spec| spec.kind == kind).map_or(&[], |spec| spec.replace)
}

const UNKNOWN: &str = "(known after apply)";

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

fn push(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a table of changes reads better without references")]
    fn change(path: &str, old: &Value, new: Wanted) -> Value {
        json!({ "path": path, "old": old, "new": new })
    }

    fn value(value: &Value) -> Wanted {
        Wanted::Value(value.clone())
    }

    fn plan() -> serde_json::Result<Plan> {
        let null = Value::Null;
        serde_json::from_value(json!({
            "format": payinfra_engine::plan::FORMAT,
            "account": "123456789012",
            "lineage": "lineage",
            "serial": 3,
            "revision": 8,
            "graph": { "stack": "migration", "workspace": "migration", "tags": {}, "nodes": {}, "outputs": {} },
            "steps": {
                "us-east-1/ec2.vpc/kept": { "action": "keep", "changes": [] },
                "us-east-1/ec2.vpc/main": { "action": "create", "because": "it is gone", "changes": [
                    change("cidr", &null, value(&json!("10.0.0.0/16"))),
                    change("dns_support", &null, value(&json!(true))),
                    change("tags", &null, value(&json!({ "Name": "main", "Project": "payments" }))),
                ] },
                "us-east-1/ec2.subnet/private-1": { "action": "replace", "changes": [
                    change("vpc", &json!("vpc-1"), Wanted::Unknown),
                    change("public", &json!(true), value(&json!(false))),
                ] },
                "us-east-1/ec2.eip/nat": { "action": "delete", "changes": [] },
                "us-east-1/ec2.eip/gone": { "action": "forget", "changes": [] },
                "us-east-1/ec2.security-group/endpoints": { "action": "replace-create-first", "changes": [
                    change("description", &json!("old words"), value(&json!("new words"))),
                ] },
                "us-east-1/kms.key/logs": { "action": "update", "changes": [
                    change("actions", &json!(["kms:Decrypt", "kms:Encrypt"]), value(&json!(["kms:Decrypt", "kms:Sign"]))),
                    change("password", &json!({ "$hash": "0a1b" }), value(&json!({ "$hash": "2c3d" }))),
                    change("tags.Owner", &null, value(&json!("me"))),
                    change("tags.Team", &json!("us"), Wanted::Removed),
                ] },
            },
            "drift": {
                "us-east-1/ec2.vpc/main": "gone",
                "us-east-1/kms.key/logs": { "changed": [
                    change("tags.Team", &json!("us"), Wanted::Removed),
                ] },
            },
            "lookups": {},
            "left_out": [],
        }))
    }

    #[test]
    fn a_plan_reads_like_a_diff() -> serde_json::Result<()> {
        let text = PlanView::new(false).render(&plan()?);
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
        assert!(text.contains('\u{1b}'), "it has colors before they are stripped");
        Ok(())
    }

    #[test]
    fn every_action_has_its_symbol() {
        let actions = [
            Action::Create,
            Action::Update,
            Action::Replace,
            Action::ReplaceCreateFirst,
            Action::Delete,
            Action::Forget,
        ];
        let symbols: std::collections::BTreeSet<_> = actions.map(|action| symbol(action).0).into_iter().collect();
        assert_eq!(symbols.len(), actions.len());
    }
}
