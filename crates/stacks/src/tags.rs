//! The tags that every taggable resource carries (M-05, X-02).

use payinfra_engine::{Owner, Tags};

use crate::config::Workspace;

/// The keys that a resource must not lack.
pub const REQUIRED: [&str; 5] = ["CutoverTimestamp", "Environment", "ManagedBy", "MigrationPhase", "Project"];
/// The key of the tag that each resource has a value of its own for.
pub(crate) const NAME: &str = "Name";

/// The most tags that a resource can carry.
pub(crate) const MOST: usize = 50;
/// How many of them the user can set. Kinds with less room, as those of Route 53, go without. Beside ours and the name
/// there is at most one in which a resource keeps what AWS does not tell, such as a key's deletion window.
pub(crate) const FREE: usize = MOST - REQUIRED.len() - Owner::KEYS.len() - 2;
/// The longest key.
pub(crate) const KEY: usize = 128;
/// The longest value.
pub(crate) const VALUE: usize = 256;

/// What is wrong with a key or value that can have `longest` characters, and what to do about it.
///
/// The characters are those of IAM, RDS and others, `[\p{L}\p{Z}\p{N}_.:/=+\-@]`, with the plain space as the only one
/// of its class. S3 counts in UTF-16.
#[must_use]
pub(crate) fn wrong(text: &str, longest: usize) -> Option<(String, String)> {
    let fits = |character: &char| character.is_alphanumeric() || " _.:/=+-@".contains(*character);
    let length = text.encode_utf16().count();
    if length > longest {
        let hint = format!("AWS accepts {longest}: shorten it by {}", length - longest);
        return Some((format!("has {length} characters"), hint));
    }
    if let Some(character) = text.chars().find(|character| !fits(character)) {
        let hint = "some services accept only letters, digits, spaces and _ . : / = + - @".to_owned();
        return Some((format!("has the character {character:?}"), hint));
    }
    if text.trim() != text {
        return Some(("begins or ends with a space".to_owned(), "remove the space: some services drop it".to_owned()));
    }
    None
}

/// The tags of all resources of `workspace`, but for the user's own, of which some kinds have no room. The time is the
/// configured one: the clock would change every plan.
#[must_use]
pub fn tags(workspace: &Workspace) -> Tags {
    Tags::new()
        .with("CutoverTimestamp", workspace.cutover.to_string())
        .with("Environment", &workspace.environment)
        .with("ManagedBy", "payinfra")
        .with("MigrationPhase", workspace.phase.as_str())
        .with("Project", &workspace.project)
}
