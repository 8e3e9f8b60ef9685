//! The tags that every taggable resource carries (M-05, X-02).

use payinfra_engine::{Owner, Tags};

use crate::config::Workspace;

/// The keys of required tags.
pub const REQUIRED: [&str; 5] = ["CutoverTimestamp", "Environment", "ManagedBy", "MigrationPhase", "Project"];
/// The key of the tag with a resource's own name.
pub(crate) const NAME: &str = "Name";

/// The maximum number of tags on a resource.
pub(crate) const MOST: usize = 50;
/// The number of tags that users can set. Kinds with a lower limit, such as those of Route 53, do not get them. Besides
/// payinfra's tags and the name, a resource has at most one tag for data that AWS does not return, such as a key's
/// deletion window.
pub(crate) const FREE: usize = MOST - REQUIRED.len() - Owner::KEYS.len() - 2;
/// The maximum length of a key.
pub(crate) const KEY: usize = 128;
/// The maximum length of a value.
pub(crate) const VALUE: usize = 256;

/// What is wrong with a key or value with the limit `longest`, and a hint.
///
/// The valid characters are those of IAM, RDS and others, `[\p{L}\p{Z}\p{N}_.:/=+\-@]`, with the plain space as the
/// only character of its class. S3 counts in UTF-16.
#[must_use]
pub(crate) fn wrong(text: &str, longest: usize) -> Option<(String, String)> {
    let fits = |character: &char| character.is_alphanumeric() || " _.:/=+-@".contains(*character);
    let length = text.encode_utf16().count();
    if length > longest {
        let hint = format!("AWS accepts at most {longest}; shorten it by {}", length - longest);
        return Some((format!("has {length} characters"), hint));
    }
    if let Some(character) = text.chars().find(|character| !fits(character)) {
        let hint = "some services accept only letters, digits, spaces and _ . : / = + - @".to_owned();
        return Some((format!("has the character {character:?}"), hint));
    }
    if text.trim() != text {
        return Some(("starts or ends with a space".to_owned(), "remove the space; some services drop it".to_owned()));
    }
    None
}

/// The tags of all resources of `workspace`, except the user's own, which some kinds have no room for. The time is the
/// configured one, because the current time would change every plan.
#[must_use]
pub fn tags(workspace: &Workspace) -> Tags {
    Tags::new()
        .with("CutoverTimestamp", workspace.cutover.to_string())
        .with("Environment", &workspace.environment)
        .with("ManagedBy", "payinfra")
        .with("MigrationPhase", workspace.phase.as_str())
        .with("Project", &workspace.project)
}
