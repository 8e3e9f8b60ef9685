//! Displays how values differ. What differs is never cut; what does not is left out.

mod text;

use anstyle::Style;
use payinfra_engine::secret::is_secret;
use serde_json::Value;

pub(crate) use self::text::tokens;
use crate::compare::{Declared, Edit, Items, compare, document, is_short};
use crate::page::Page;
use crate::screen::{CREATE, DELETE, DIM, UPDATE};
use crate::value_view::{SECRET, holed, text};

/// The additional indentation of what is inside a value.
const INSIDE: usize = 4;

/// Shows on `page` how the field `path` changes. `why` follows the first line.
pub(crate) fn field(
    page: &mut Page,
    indent: usize,
    path: &str,
    values: (&Value, &Value),
    declared: Declared,
    why: &str,
) {
    let (old, new) = (holed(values.0), holed(values.1));
    let edit = compare(&old, &new, declared).unwrap_or(Edit::Changed(old, new));
    View { page }.edit(indent, path, &edit, why);
}

/// Shows `value` on `page` as a field that is new, in full.
pub(crate) fn new_field(page: &mut Page, indent: usize, path: &str, value: &Value) {
    View { page }.whole(indent, &PLAIN, path, &holed(value), "");
}

/// How an old or a new value looks.
struct Look {
    sign: &'static str,
    style: Style,
}

const PLAIN: Look = Look { sign: "", style: DIM };
const OLD: Look = Look { sign: "- ", style: DELETE };
const NEW: Look = Look { sign: "+ ", style: CREATE };

struct View<'a> {
    page: &'a mut Page,
}

impl View<'_> {
    fn edit(&mut self, indent: usize, label: &str, edit: &Edit, why: &str) {
        match edit {
            Edit::Added(value) => self.whole(indent, &NEW, label, value, why),
            Edit::Removed(value) => self.whole(indent, &OLD, label, value, why),
            Edit::Changed(old, new) => self.changed(indent, label, old, new, why),
            Edit::Text(old, new) => self.text(indent, label, old, new, why),
            Edit::Secret => self.sides(indent, label, SECRET, "(new secret)", why),
            Edit::Members(members) => {
                if let [(key, edit)] = &members[..] {
                    self.edit(indent, &format!("{label}.{key}"), edit, why);
                } else {
                    self.head(indent, label, why);
                    self.members(indent, members);
                }
            }
            Edit::Items(items) => self.items(indent, label, items, why),
            Edit::Document(edit) => {
                self.head(indent, &format!("{label} (JSON)"), why);
                match &**edit {
                    Edit::Members(members) => self.members(indent, members),
                    edit => self.edit(indent + INSIDE, "document", edit, ""),
                }
            }
        }
    }

    /// The members of an object that differ.
    fn members(&mut self, indent: usize, members: &[(String, Edit)]) {
        for (key, edit) in members {
            self.edit(indent + INSIDE, key, edit, "");
        }
    }

    /// The items of a list that differ.
    fn items(&mut self, indent: usize, label: &str, Items { edits, order, same }: &Items, why: &str) {
        match (&edits[..], order) {
            ([(key, edit)], None) if !key.is_empty() => {
                return self.edit(indent, &format!("{label}[{key}]"), edit, why);
            }
            _ => self.head(indent, label, why),
        }
        for (key, edit) in edits {
            let label = if key.is_empty() { String::new() } else { format!("[{key}]") };
            self.edit(indent + INSIDE, &label, edit, "");
        }
        if let Some((was, is)) = order {
            self.sides(indent + INSIDE, "order", &was.join(", "), &is.join(", "), "");
        }
        if *same > 0 && !edits.is_empty() {
            self.page.line(indent + INSIDE, &format!("{DIM}… {same} unchanged{DIM:#}"));
        }
    }

    fn changed(&mut self, indent: usize, label: &str, old: &Value, new: &Value, why: &str) {
        let (was, is) = (text(old), text(new));
        if self.page.fits(indent, &one_line(label, &was, &is, why)) {
            return self.sides(indent, label, &was, &is, why);
        }
        self.head(indent, label, why);
        self.whole(indent + INSIDE, &OLD, "", old, "");
        self.whole(indent + INSIDE, &NEW, "", new, "");
    }

    /// Both values on one line or, if they do not fit, on a line each.
    fn sides(&mut self, indent: usize, label: &str, old: &str, new: &str, why: &str) {
        let line = one_line(label, old, new, why);
        if self.page.fits(indent, &line) {
            return self.page.line(indent, &line);
        }
        self.head(indent, label, why);
        self.page.line(indent + INSIDE, &format!("{DELETE}- {old}{DELETE:#}"));
        self.page.line(indent + INSIDE, &format!("{CREATE}+ {new}{CREATE:#}"));
    }

    /// The line above what differs inside a value.
    fn head(&mut self, indent: usize, label: &str, why: &str) {
        self.page.line(indent, &format!("{UPDATE}~{UPDATE:#} {label}:{why}"));
    }

    /// A value that is only on one side: on one line or, if it does not fit, one line for each part.
    fn whole(&mut self, indent: usize, look: &Look, label: &str, value: &Value, why: &str) {
        let Look { sign, style } = *look;
        let begin = if label.is_empty() { String::new() } else { format!("{label}: ") };
        let parsed = value.as_str().and_then(document);
        let is_lines = value.as_str().is_some_and(|text| text.contains('\n'));
        let line = format!("{style}{sign}{begin}{}{style:#}{why}", text(value));
        let is_composite = (value.is_array() || value.is_object()) && !is_secret(value) && !is_short(value);
        if self.page.fits(indent, &line) || !(is_composite || is_lines || parsed.is_some()) {
            return self.page.line(indent, &line);
        }
        let head = match (label, &parsed) {
            ("", None) => name(value),
            ("", Some(_)) => "(JSON)".to_owned(),
            (label, None) => label.to_owned(),
            (label, Some(_)) => format!("{label} (JSON)"),
        };
        self.page.line(indent, &format!("{style}{sign}{head}:{style:#}{why}"));
        match parsed.as_ref().unwrap_or(value) {
            Value::Object(members) => {
                // Of a new resource, null is a field that is not managed.
                for (key, value) in members.iter().filter(|(_, value)| !(value.is_null() && sign.is_empty())) {
                    self.whole(indent + INSIDE, look, key, value, "");
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.whole(indent + INSIDE, look, "", item, "")),
            other => {
                for line in other.as_str().unwrap_or_default().split('\n') {
                    self.page.line(indent + INSIDE, &format!("{style}{sign}{}{style:#}", text::printable(line)));
                }
            }
        }
    }
}

/// What an item of a list that takes several lines is called.
fn name(value: &Value) -> String {
    let key = ["sid", "Sid", "name", "Name"].into_iter().find_map(|key| value.get(key)?.as_str());
    format!("[{}]", key.filter(|key| !key.is_empty()).unwrap_or("…"))
}

fn one_line(label: &str, old: &str, new: &str, why: &str) -> String {
    format!("{UPDATE}~{UPDATE:#} {label}: {DELETE}{old}{DELETE:#} → {CREATE}{new}{CREATE:#}{why}")
}

#[cfg(test)]
mod tests;
