//! Tags of others, such as those that an organization's tagger sets.

use std::sync::Arc;

use serde_json::Value;

use crate::tags::{AWS, Tags};

/// Patterns of the keys of tags that belong to others, such as `org:*`: they are neither compared, removed nor overwritten.
/// AWS's own tags, `aws:*`, always do. A `*` stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoredTags(Arc<[String]>);

impl IgnoredTags {
    /// The tags with keys that match one of `patterns`, and AWS's own.
    #[must_use]
    pub fn new(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(patterns.into_iter().map(Into::into).collect())
    }

    /// The patterns, without AWS's own.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.0
    }

    /// Whether the tag with this key belongs to others.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        key.starts_with(AWS) || self.pattern(key).is_some()
    }

    /// The pattern that `key` matches, if there is one.
    #[must_use]
    pub fn pattern(&self, key: &str) -> Option<&str> {
        self.0.iter().map(String::as_str).find(|pattern| matches(pattern, key))
    }

    /// `tags` without those of others.
    #[must_use]
    pub fn without(&self, tags: Tags) -> Tags {
        if self.0.is_empty() {
            return tags;
        }
        tags.iter().filter(|(key, _)| !self.contains(key)).collect()
    }

    /// Removes the tags of others from the arguments of a resource.
    pub fn remove_from(&self, args: &mut Value) {
        if let Some(Value::Object(tags)) = args.get_mut("tags") {
            tags.retain(|key, _| !self.contains(key));
        }
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, matching, other) in [
            ("org:*", &["org:", "org:cost-center"][..], &["org", "my-org:a", "Org:a"][..]),
            ("owner", &["owner"], &["owners", "Owner", ""]),
            ("*", &["", "a"], &[]),
            ("*:scanned", &["qualys:scanned", ":scanned"], &["scanned", "a:scanned:b"]),
            ("a*b*c", &["abc", "a-b-c", "abbcc"], &["ab", "acb", "abcd"]),
            ("ab*ba", &["abba", "ab-ba"], &["aba"]),
        ] {
            for key in matching {
                assert!(matches(pattern, key), "{pattern} {key}");
            }
            for key in other {
                assert!(!matches(pattern, key), "{pattern} {key}");
            }
        }
    }

    #[test]
    fn tags_of_others_are_removed_and_aws_s_own_always() {
        let ignored = IgnoredTags::new(["org:*"]);
        let mut args = json!({ "name": "org:a", "tags": { "aws:a": "1", "org:b": "2", "Team": "3" } });
        ignored.remove_from(&mut args);
        assert_eq!(args, json!({ "name": "org:a", "tags": { "Team": "3" } }));
        let mut args = json!({ "tags": { "aws:a": "1", "org:b": "2" } });
        IgnoredTags::default().remove_from(&mut args);
        assert_eq!(args, json!({ "tags": { "org:b": "2" } }));
        let tags = Tags::new().with("org:b", "2").with("Team", "3");
        assert_eq!(ignored.without(tags.clone()), Tags::new().with("Team", "3"));
        assert_eq!(IgnoredTags::default().without(tags.clone()), tags);
    }
}
