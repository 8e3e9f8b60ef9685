//! The tags in a configuration, checked against the strictest service.
//!
//! Every resource gets all of them, so a tag that a single service rejects would stop an apply half-way.

use std::ops::Range;

use payinfra_engine::{IgnoredTags, Owner};
use toml::Spanned;

use super::file::SharedVariables;
use crate::places::Places;
use crate::problem::{Problem, Problems};
use crate::tags::{self, NAME, REQUIRED, free};

/// Prefixes reserved by payinfra or AWS.
const RESERVED: [&str; 3] = ["aws:", "payinfra:", "rds:"];

/// Checks the tags of a workspace, merged with the shared ones. The stack itself sets the tags `own`.
pub(super) fn check(variables: &SharedVariables, places: &Places, own: &[&str], problems: &mut Problems) {
    let place = |key: &str| places.of_key(&format!("tags.{key}"));
    for (variable, value) in [("environment", &variables.environment), ("project", &variables.project)] {
        let Some(value) = value else { continue };
        if value.get_ref().is_empty() {
            let empty = Problem::new(format!("`{variable}` is empty"), value.span());
            problems.add(empty.hint(format!("write a value for the tag `{variable}`")));
        }
        if let Some(problem) = wrong_value(&format!("`{variable}`"), value) {
            problems.add(problem);
        }
    }
    let mut taken: Vec<&str> = REQUIRED.into_iter().chain([NAME]).chain(own.iter().copied()).collect();
    for (key, value) in &variables.tags {
        let what = format!("the value of the tag `{key}`");
        for problem in wrong_key(key, place(key), &taken).into_iter().chain(wrong_value(&what, value)) {
            problems.add(problem);
        }
        taken.push(key);
    }
    for pattern in &variables.ignore_tags {
        problems.take(ignored(pattern, &taken));
    }
    let free = free(own.len());
    if variables.tags.len() > free {
        // Report the tag that comes last in the file.
        let places = variables.tags.keys().map(|key| place(key));
        let place = places.max_by_key(|place| place.start).unwrap_or_default();
        let message = format!("too many tags: {}", variables.tags.len());
        let hint = format!("AWS accepts 50 tags, of which {free} are available here");
        problems.add(Problem::new(message, place).hint(hint));
    }
}

/// Checks a pattern of tags of others. The keys `own` are payinfra's or the user's.
fn ignored(pattern: &Spanned<String>, own: &[&str]) -> Result<(), Problem> {
    let (text, place) = (pattern.get_ref(), pattern.span());
    if text.is_empty() {
        let empty = Problem::new("a pattern in `ignore_tags` is empty", place);
        return Err(empty.hint("write a key, with `*` for any characters: `org:*`"));
    }
    let what = format!("the pattern `{text}` in `ignore_tags`");
    if let Some(problem) = wrong_text(&what, &text.replace('*', ""), tags::KEY, place.clone()) {
        return Err(problem);
    }
    let ignored = IgnoredTags::new([text]);
    let mut own = own.iter().copied().chain(Owner::KEYS);
    match own.find(|key| ignored.pattern(key).is_some()) {
        Some(key) => Err(Problem::new(format!("{what} matches the tag `{key}`, which payinfra sets"), place)
            .hint("narrow the pattern: tags are either payinfra's or ignored")),
        None => Ok(()),
    }
}

fn wrong_key(text: &str, place: Range<usize>, taken: &[&str]) -> Option<Problem> {
    if text.is_empty() {
        return Some(Problem::new("a tag has no key", place).hint("write a key of 1 to 128 characters"));
    }
    if let Some(prefix) = reserved(text) {
        let reserved = Problem::new(format!("the tag `{text}` has the reserved prefix `{prefix}`"), place);
        return Some(reserved.hint("choose another key: payinfra or AWS sets tags with this prefix"));
    }
    if let Some(other) = taken.iter().find(|other| other.to_lowercase() == text.to_lowercase()) {
        if *other == text {
            return Some(
                Problem::new(format!("the tag `{text}` is set by payinfra"), place).hint("choose another key"),
            );
        }
        let same = Problem::new(format!("the tags `{other}` and `{text}` differ only in case"), place);
        return Some(same.hint("IAM treats them as the same tag; rename or remove one"));
    }
    wrong_text(&format!("the tag `{text}`"), text, tags::KEY, place)
}

fn wrong_value(what: &str, value: &Spanned<String>) -> Option<Problem> {
    let (text, place) = (value.get_ref(), value.span());
    if let Some(prefix) = reserved(text).filter(|prefix| *prefix != "payinfra:") {
        let reserved = Problem::new(format!("{what} has the reserved prefix `{prefix}`"), place);
        return Some(reserved.hint("choose another value: some services reject this one"));
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
