//! The tags that every taggable resource carries (M-05, X-02).

use payinfra_engine::Owner;

/// The keys of tags that every stack requires; see [`Workspace::graph`](crate::Workspace::graph).
pub const REQUIRED: [&str; 3] = ["Environment", "ManagedBy", "Project"];
/// The key of the tag with a resource's own name.
pub const NAME: &str = "Name";

/// The maximum number of tags on a resource.
pub const MOST: usize = 50;
/// The number of tags that users can set, of a stack that sets `own` tags itself. Kinds with a lower limit, such as those
/// of Route 53, do not get them. Besides payinfra's tags and the name, a resource has at most one tag for data that AWS
/// does not return, such as a key's deletion window.
pub(crate) fn free(own: usize) -> usize {
    (MOST - REQUIRED.len() - Owner::KEYS.len() - 2).saturating_sub(own)
}
/// The maximum length of a key.
pub const KEY: usize = 128;
/// The maximum length of a value.
pub const VALUE: usize = 256;

/// What is wrong with a key or value with the limit `longest`, and a hint.
///
/// The valid characters are those of IAM, RDS and others, `[\p{L}\p{Z}\p{N}_.:/=+\-@]`, with the plain space as the
/// only character of its class. S3 counts in UTF-16.
#[must_use]
pub fn wrong(text: &str, longest: usize) -> Option<(String, String)> {
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
