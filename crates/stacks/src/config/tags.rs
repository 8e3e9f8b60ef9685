//! The tags that a configuration sets, checked against the strictest service that will carry them.
//!
//! Every resource carries all of them, so one that a single service refuses would stop an apply half-way.

use std::ops::Range;

use toml::Spanned;

use super::error::Problem;
use super::file::Variables;
use crate::tags::{self, FREE, NAME, REQUIRED};

/// Prefixes that payinfra or AWS keeps for itself.
const RESERVED: [&str; 3] = ["aws:", "payinfra:", "rds:"];

/// Checks the tags of all workspaces, whose variables are merged with the shared ones.
pub(super) fn check(workspaces: &[(Spanned<String>, Variables)]) -> Result<(), Problem> {
    let mut problems = Vec::new();
    for (_, variables) in workspaces {
        for (variable, value) in [("environment", &variables.environment), ("project", &variables.project)] {
            let Some(value) = value else { continue };
            if value.get_ref().is_empty() {
                let empty = Problem::new(format!("`{variable}` is empty"), value.span());
                problems.push(empty.hint(format!("write the value that the tag `{variable}` shall have")));
            }
            problems.extend(wrong_value(&format!("`{variable}`"), value));
        }
        more(variables, &mut problems);
    }
    Problem::all(problems)
}

fn more(variables: &Variables, problems: &mut Vec<Problem>) {
    let mut taken: Vec<&str> = REQUIRED.into_iter().chain([NAME]).collect();
    for (key, value) in &variables.tags {
        problems.extend(wrong_key(key, &taken));
        problems.extend(wrong_value(&format!("the value of the tag `{}`", key.get_ref()), value));
        taken.push(key.get_ref());
    }
    if variables.tags.len() > FREE {
        // The one that stands last in the file is one too many.
        let places = variables.tags.keys().map(Spanned::span);
        let place = places.max_by_key(|place| place.start).unwrap_or_default();
        let message = format!("{} tags are too many", variables.tags.len());
        problems.push(Problem::new(message, place).hint(format!("AWS accepts 50 tags, and payinfra leaves {FREE}")));
    }
}

fn wrong_key(key: &Spanned<String>, taken: &[&str]) -> Option<Problem> {
    let (text, place) = (key.get_ref(), key.span());
    if text.is_empty() {
        return Some(Problem::new("a tag has no key", place).hint("write a key of 1 to 128 characters"));
    }
    if let Some(prefix) = reserved(text) {
        let reserved = Problem::new(format!("the tag `{text}` begins with the reserved prefix `{prefix}`"), place);
        return Some(reserved.hint("take another key: payinfra or AWS sets those"));
    }
    if let Some(other) = taken.iter().find(|other| other.to_lowercase() == text.to_lowercase()) {
        if *other == text {
            return Some(Problem::new(format!("the tag `{text}` is set by payinfra"), place).hint("take another key"));
        }
        let same = Problem::new(format!("the tags `{other}` and `{text}` differ only in case"), place);
        return Some(same.hint("IAM takes them for one tag: rename or remove one"));
    }
    wrong_text(&format!("the tag `{text}`"), text, tags::KEY, place)
}

fn wrong_value(what: &str, value: &Spanned<String>) -> Option<Problem> {
    let (text, place) = (value.get_ref(), value.span());
    if let Some(prefix) = reserved(text).filter(|prefix| *prefix != "payinfra:") {
        let reserved = Problem::new(format!("{what} begins with the reserved prefix `{prefix}`"), place);
        return Some(reserved.hint("take another value: some services refuse this one"));
    }
    wrong_text(what, text, tags::VALUE, place)
}

fn wrong_text(what: &str, text: &str, longest: usize, place: Range<usize>) -> Option<Problem> {
    let (problem, hint) = tags::wrong(text, longest)?;
    Some(Problem::new(format!("{what} {problem}"), place).hint(hint))
}

fn reserved(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    RESERVED.into_iter().find(|prefix| lower.starts_with(prefix))
}
