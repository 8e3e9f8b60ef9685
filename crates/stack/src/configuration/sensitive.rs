//! Sensitive variables. To find where the value of one ends up, the stack is built with another value of it, so that
//! stacks need no code for this.

use std::collections::BTreeSet;

use payinfra_engine::Secret;
use serde_json::Value as Json;
use toml::{Spanned, Table, Value};

use super::schema::{close, variables};
use crate::places::below;
use crate::problem::{Problem, Problems};
use crate::stack::Stacks;
use crate::unfold::unfolded;
use crate::workspace::Workspace;

/// A variable whose value is never shown.
#[derive(Clone, Debug)]
pub struct SensitiveVariable {
    /// Its path in a workspace, such as `alarms.subscriptions.endpoint`.
    pub path: String,
    /// Its values.
    pub(crate) values: Secret<Vec<String>>,
    /// The same workspace with another value of the variable.
    pub(crate) varied: Vec<Workspace>,
}

/// A step of a path into a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Index(usize),
}

/// The name of the list of sensitive variables.
const LIST: &str = "sensitive";
/// Shorter values are not searched for in texts: they would match everywhere.
const SHORT: usize = 4;

impl SensitiveVariable {
    /// Its values, to be removed from messages.
    pub(crate) fn clear(&self) -> impl Iterator<Item = &String> {
        self.values.expose().into_iter().flatten()
    }

    /// Whether the variable at `path` is this one, contains it, or is part of it.
    #[must_use]
    pub fn touches(&self, path: &str) -> bool {
        let within = |one: &str, other: &str| one == other || one.starts_with(&format!("{other}."));
        within(path, &self.path) || within(&self.path, path)
    }
}

/// Finds the values of the sensitive variables `given` of the workspace `name` in the configuration `text`. `vary` reads
/// the workspace from another text.
pub(super) fn check(
    text: &str,
    name: &str,
    given: Vec<Spanned<String>>,
    vary: &dyn Fn(&str) -> Option<Workspace>,
    problems: &mut Problems,
) -> Vec<SensitiveVariable> {
    let mut checked: Vec<SensitiveVariable> = Vec::new();
    for path in given {
        if checked.iter().any(|known| known.path == *path.get_ref()) {
            continue;
        }
        if let Some((values, varied)) = problems.take(varied(text, name, &path, vary)) {
            checked.push(SensitiveVariable { path: path.into_inner(), values: Secret::new(values), varied });
        }
    }
    checked
}

/// The values of the variable at `path`, and variants of the workspace `name` with other values; none if it is not set.
fn varied(
    text: &str,
    name: &str,
    path: &Spanned<String>,
    vary: &dyn Fn(&str) -> Option<Workspace>,
) -> Result<(Vec<String>, Vec<Workspace>), Problem> {
    let mut file: Table = toml::from_str(text).map_err(|error| Problem::of(&error, path.span()))?;
    for variables in sections(&mut file, None) {
        variables.remove(LIST);
    }
    let steps: Vec<&str> = path.get_ref().split('.').collect();
    let mut leaves = BTreeSet::new();
    let mut values = Vec::new();
    for variables in sections(&mut file, Some(name)) {
        let mut here = BTreeSet::new();
        find(&Value::Table(variables.clone()), &steps, &mut Vec::new(), &mut here);
        values.extend(here.iter().filter_map(|leaf| at(variables, leaf)?.as_str().map(str::to_owned)));
        leaves.extend(here);
    }
    let mut varied = Vec::new();
    for leaf in &leaves {
        for way in WAYS {
            let mut file = file.clone();
            for variables in sections(&mut file, Some(name)) {
                if let Some(value) = at(variables, leaf) {
                    way(value);
                }
            }
            let Ok(text) = toml::to_string(&file) else { continue };
            // An invalid value is not a possible alternative.
            varied.extend(vary(&text));
        }
    }
    if varied.is_empty() && !leaves.is_empty() {
        return Err(Problem::new(
            format!("`{}` cannot be sensitive: it has only a few possible values", path.get_ref()),
            path.span(),
        )
        .hint("a value that can be guessed is not a secret; remove it from `sensitive`"));
    }
    Ok((values, varied))
}

/// The sections with the variables of the workspace `name` and the shared ones.
fn sections<'a>(file: &'a mut Table, name: Option<&str>) -> Vec<&'a mut Table> {
    let mut sections = Vec::new();
    for (key, value) in file {
        match (key.as_str(), value) {
            ("defaults", Value::Table(variables)) => sections.push(variables),
            ("workspaces", Value::Table(workspaces)) => {
                let named = workspaces.iter_mut().filter(|(key, _)| name.is_none_or(|name| name == key.as_str()));
                sections.extend(named.filter_map(|(_, value)| value.as_table_mut()));
            }
            _ => {}
        }
    }
    sections
}

/// The values at `path`. For a list, the path applies to every item, or to one by its index.
fn find(value: &Value, path: &[&str], way: &mut Vec<Step>, found: &mut BTreeSet<Vec<Step>>) {
    match (value, path) {
        (Value::Table(members), _) => {
            let named = members.iter().filter(|(key, _)| path.first().is_none_or(|first| first == key));
            for (key, value) in named {
                way.push(Step::Key(key.clone()));
                find(value, path.get(1..).unwrap_or_default(), way, found);
                way.pop();
            }
        }
        (Value::Array(values), _) => {
            let number = path.first().and_then(|first| first.parse::<usize>().ok());
            let rest = if number.is_some() { &path[1..] } else { path };
            let meant = values.iter().enumerate().filter(|(index, _)| number.is_none_or(|number| number == *index));
            for (index, value) in meant {
                way.push(Step::Index(index));
                find(value, rest, way, found);
                way.pop();
            }
        }
        (_, []) => {
            found.insert(way.clone());
        }
        _ => {}
    }
}

fn at<'a>(variables: &'a mut Table, way: &[Step]) -> Option<&'a mut Value> {
    let (Step::Key(first), rest) = way.split_first()? else { return None };
    rest.iter().try_fold(variables.get_mut(first)?, |value, step| match step {
        Step::Key(key) => value.get_mut(key.as_str()),
        Step::Index(index) => value.get_mut(*index),
    })
}

/// Ways to derive another value of the same form. Each variable accepts at least one of them.
const WAYS: [fn(&mut Value); 4] = [
    // Change letters and digits, but keep the part that determines the type of the value.
    |value| {
        if let Value::String(text) = value {
            let begin = text.rfind("://").map_or(0, |at| at + 3);
            let begin = if text.starts_with("arn:") { text.rfind(':').map_or(0, |at| at + 1) } else { begin };
            *text = text[..begin].to_owned() + &text[begin..].chars().map(other).collect::<String>();
        }
    },
    |value| {
        if let Value::String(text) = value
            && let Some(last) = text.pop()
        {
            text.push(other(last));
        }
    },
    |value| match value {
        Value::String(text) => text.push('x'),
        Value::Integer(number) => *number = number.saturating_add(1),
        Value::Boolean(on) => *on = !*on,
        _ => {}
    },
    |value| {
        if let Value::Integer(number) = value {
            *number = number.saturating_sub(1);
        }
    },
];

/// The next letter or digit of the same class.
fn other(letter: char) -> char {
    match letter {
        'z' => 'a',
        'Z' => 'A',
        '9' => '0',
        'a'..='y' | 'A'..='Y' | '0'..='8' => char::from_u32(u32::from(letter) + 1).unwrap_or(letter),
        letter => letter,
    }
}

/// Checks that the variable exists in the `schema` of the configuration, whether or not it is set.
pub(super) fn is_known(schema: &Json, path: &Spanned<String>) -> Result<(), Problem> {
    let mut here = vec![variables(schema)];
    let mut before = String::new();
    for step in path.get_ref().split('.') {
        let open: Vec<_> = here.iter().flat_map(|here| with_items(schema, here)).collect();
        let next = open.iter().filter_map(|here| {
            let listed = step.parse::<usize>().is_ok().then(|| here.get("items")).flatten();
            let free = here.get("additionalProperties").filter(|free| free.is_object());
            here.get("properties").and_then(|known| known.get(step)).or(listed).or(free)
        });
        let next: Vec<_> = next.collect();
        if next.is_empty() || (before.is_empty() && step == LIST) {
            let known: BTreeSet<_> =
                open.iter().filter_map(|here| here.get("properties")?.as_object()).flat_map(|it| it.keys()).collect();
            let known: BTreeSet<_> = known.into_iter().filter(|key| *key != LIST).collect();
            return Err(Problem::new(format!("unknown variable `{}`", path.get_ref()), path.span())
                .hint(close(step, &before, &known)));
        }
        before = below(&before, step);
        here = next;
    }
    Ok(())
}

/// The schemas that `here` may have, through references, alternatives and lists.
fn with_items<'a>(schema: &'a Json, here: &'a Json) -> Vec<&'a Json> {
    let mut all = unfolded(schema, here);
    let items: Vec<_> = all.iter().filter_map(|here| here.get("items")).collect();
    all.extend(items.into_iter().flat_map(|here| with_items(schema, here)));
    all
}

/// The secrets in the configuration `text` of one of `stacks`: web addresses of the stack's secret variables, and the
/// values of sensitive variables.
pub(super) fn secrets(text: &str, stacks: Stacks) -> Vec<String> {
    let Ok(mut file) = toml::from_str::<Table>(text) else { return Vec::new() };
    let mut paths: Vec<String> =
        stacks.iter().flat_map(|stack| stack.secret()).map(|path| (*path).to_owned()).collect();
    let addresses = paths.len();
    for variables in sections(&mut file, None) {
        let marked = variables.get(LIST).and_then(Value::as_array).into_iter().flatten();
        paths.extend(marked.filter_map(|path| Some(path.as_str()?.to_owned())));
    }
    let mut secrets = BTreeSet::new();
    for (index, path) in paths.iter().enumerate() {
        let steps: Vec<&str> = path.split('.').collect();
        for variables in sections(&mut file, None) {
            let mut leaves = BTreeSet::new();
            find(&Value::Table(variables.clone()), &steps, &mut Vec::new(), &mut leaves);
            let values = leaves.iter().filter_map(|leaf| at(variables, leaf)?.as_str().map(str::to_owned));
            secrets.extend(values.filter(|value| index >= addresses || value.contains("://")));
        }
    }
    secrets.into_iter().filter(|secret| secret.len() >= SHORT).collect()
}

/// The configuration `text` with its secrets replaced by asterisks, byte for byte. If it cannot be parsed, all strings
/// are replaced, because any of them may be secret.
#[must_use]
pub fn without_secrets(text: &str, stacks: Stacks) -> String {
    if toml::from_str::<Table>(text).is_err() {
        return covered(text);
    }
    let mut text = text.to_owned();
    for secret in secrets(&text, stacks) {
        let written = Value::from(secret.as_str()).to_string();
        let mut escaped = Json::from(secret.as_str()).to_string();
        escaped.retain(|letter| letter != '\u{7f}');
        for form in [secret.as_str(), written.trim_matches(['"', '\'']), escaped.trim_matches('"')] {
            text = text.replace(form, &"*".repeat(form.len()));
        }
    }
    text
}

/// Replaces every string after an `=` or in a list, judging line by line.
fn covered(text: &str) -> String {
    let mut quote = None;
    let cover = |letter: char| match (quote, letter) {
        (None, '"' | '\'') => {
            quote = Some(letter);
            letter.to_string()
        }
        (_, '\n') => {
            quote = None;
            letter.to_string()
        }
        (Some(open), letter) if open == letter => {
            quote = None;
            letter.to_string()
        }
        (Some(_), letter) => "*".repeat(letter.len_utf8()),
        (None, letter) => letter.to_string(),
    };
    text.chars().map(cover).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_covered_where_nothing_can_be_read() {
        let text = "a = \"tok\\en\"\nb = 'ü' c\n";
        assert_eq!(covered(text), "a = \"******\"\nb = '**' c\n");
        assert_eq!(without_secrets("x = \"tok\" y", &[]), "x = \"***\" y");
    }
}
