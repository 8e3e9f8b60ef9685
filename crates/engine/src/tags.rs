//! Tags, including the owner tags that identify payinfra's resources.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::Address;

/// The prefix of the keys of AWS's own tags.
pub(crate) const AWS: &str = "aws:";

/// The tags of a resource, without AWS's own (`aws:…`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// No tags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These tags and one more.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All tags, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The number of tags.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no tags.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the tags in `more` whose keys are not present.
    pub fn fill(&mut self, more: &Self) {
        for (key, value) in &more.0 {
            self.0.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }

    /// The difference to `want`: the keys to remove, and the tags to set.
    #[must_use]
    pub fn changes(&self, want: &Self) -> (Vec<String>, Self) {
        let gone = self.0.keys().filter(|key| !want.0.contains_key(*key)).cloned().collect();
        let new = want.iter().filter(|(key, value)| self.get(key) != Some(value)).collect();
        (gone, new)
    }

    /// Sets one tag.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Tags {
    /// Removes the tags that AWS sets itself: they cannot be written (AWS-FACTS §0.13).
    fn from_iter<I: IntoIterator<Item = (K, V)>>(tags: I) -> Self {
        let tags = tags.into_iter().map(|(key, value)| (key.into(), value.into()));
        Self(tags.filter(|(key, _): &(String, String)| !key.starts_with(AWS)).collect())
    }
}

/// The owner of a resource, written on it as the owner tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The stack.
    pub stack: String,
    /// The workspace.
    pub workspace: String,
    /// The address of the resource.
    pub address: Address,
    /// The lineage of the state that created it, which distinguishes two deployments of the same configuration. Empty
    /// if unknown: in a graph before it is planned, and on resources older than this tag.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lineage: String,
}

impl Owner {
    /// The key of the tag for the stack.
    pub const STACK: &'static str = "payinfra:stack";
    /// The key of the tag for the workspace.
    pub const WORKSPACE: &'static str = "payinfra:workspace";
    /// The key of the tag for the address.
    pub const ADDRESS: &'static str = "payinfra:address";

    /// The key of the tag for the lineage.
    pub const LINEAGE: &'static str = "payinfra:lineage";
    /// The keys of all owner tags, sorted.
    pub const KEYS: [&'static str; 4] = [Self::ADDRESS, Self::LINEAGE, Self::STACK, Self::WORKSPACE];

    /// The owner as tags.
    #[must_use]
    pub fn tags(&self) -> Tags {
        let tags = Tags::new()
            .with(Self::STACK, &self.stack)
            .with(Self::WORKSPACE, &self.workspace)
            .with(Self::ADDRESS, self.address.to_string());
        if self.lineage.is_empty() { tags } else { tags.with(Self::LINEAGE, &self.lineage) }
    }

    /// The owner in `tags`, if they have stack, workspace and address.
    #[must_use]
    pub fn of(tags: &Tags) -> Option<Self> {
        Some(Self {
            stack: tags.get(Self::STACK)?.to_owned(),
            workspace: tags.get(Self::WORKSPACE)?.to_owned(),
            address: tags.get(Self::ADDRESS)?.parse().ok()?,
            lineage: tags.get(Self::LINEAGE).unwrap_or_default().to_owned(),
        })
    }

    /// Whether `tags` have this owner. A resource with another lineage, or none, has another owner.
    #[must_use]
    pub fn owns(&self, tags: &Tags) -> bool {
        self.tags().iter().all(|(key, value)| tags.get(key) == Some(value))
    }
}
