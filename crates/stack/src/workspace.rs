//! Workspaces: what all stacks share, and a stack's own variables.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use ipnet::Ipv4Net;
use payinfra_engine::{Graph, IgnoredTags, Region, Result, Tags};

use crate::files::Files;
use crate::names::{AccountId, NameForm, Names, Suffix};
use crate::places::Places;
use crate::problem::{Problem, Problems};
use crate::remote::RemoteOutputs;
use crate::section::Section;

/// One workspace: the variables that all stacks share, and the stack's own.
#[derive(Clone, Debug)]
pub struct Workspace<V = Erased> {
    /// The name of the stack in states and tags.
    pub stack: String,
    /// The form of every name.
    pub form: NameForm,
    /// Its name.
    pub name: String,
    /// The value of the tag `Environment`.
    pub environment: String,
    /// The value of the tag `Project`.
    pub project: String,
    /// The suffix of every name.
    pub suffix: Suffix,
    /// The regions, the primary first.
    pub regions: Vec<RegionConfig>,
    /// Whether resources with data are protected: databases, buckets, keys, tables, secrets and hosted zones (M-28).
    pub protect: bool,
    /// Whether a final snapshot is taken before a database is deleted.
    pub final_snapshot: bool,
    /// The waiting period before a deleted key is destroyed, in days.
    pub key_deletion_days: i32,
    /// Outputs to read from other workspaces or stacks, by the name of the source.
    pub remote_outputs: BTreeMap<String, RemoteOutputs>,
    /// Where its state is stored; `None` if that is a local folder.
    pub state: Option<StateBucket>,
    /// Additional tags.
    pub tags: Tags,
    /// Tags of others, which are left alone.
    pub ignored_tags: IgnoredTags,
    pub(crate) places: Places,
    pub(crate) files: Files,
    /// The stack's own variables.
    pub variables: V,
}

/// A region of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionConfig {
    /// The region.
    pub region: Region,
    /// Its position in the list, from 0 for the primary region.
    pub index: u32,
    /// The CIDR block of its network.
    pub cidr: Ipv4Net,
}

/// The bucket of a state, and the table of its lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateBucket {
    /// The bucket; by default the current account's own, `payinfra-state-ACCOUNT`.
    pub bucket: Option<String>,
    /// The region of both.
    pub region: Region,
    /// The table.
    pub table: String,
}

impl StateBucket {
    /// The name of the bucket in `account`.
    #[must_use]
    pub fn name(&self, account: &str) -> String {
        self.bucket.clone().unwrap_or_else(|| format!("payinfra-state-{account}"))
    }
}

impl RegionConfig {
    /// Whether it is the primary region.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.index == 0
    }
}

/// A workspace of a stack whose type is not known here.
#[derive(Clone)]
pub struct Erased(Arc<dyn Any + Send + Sync>);

impl fmt::Debug for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Erased")
    }
}

impl<V> Workspace<V> {
    /// The names of resources in `account`.
    ///
    /// # Errors
    /// If the workspace's name is not valid in names.
    pub fn names(&self, account: &AccountId) -> Result<Names> {
        Names::new(&self.form, &self.name, &self.suffix, account)
    }

    /// An empty graph of this workspace, whose resources carry the common tags, those of the stack in `more`, and the
    /// user's own.
    #[must_use]
    pub fn graph(&self, more: &Tags) -> Graph {
        let mut tags = Tags::new()
            .with("Environment", &self.environment)
            .with("ManagedBy", "payinfra")
            .with("Project", &self.project);
        tags.fill(more);
        Graph::new(&self.stack, &self.name, tags).with_extra_tags(self.tags.clone())
    }

    /// Where the variable at `path` stands in the file, such as `service.cpu` or `regions.0.cidr`. If it is not set:
    /// where the section around it stands, or the name of the workspace.
    #[must_use]
    pub fn place(&self, path: &str) -> Range<usize> {
        self.places.of_value(path)
    }

    /// The section at `path`, such as `service`, to be checked; with the empty path, all variables. Adds what is found to
    /// `problems`.
    pub fn section<'a>(&'a self, path: &'a str, problems: &'a mut Problems) -> Section<'a> {
        Section::new(path, &self.places, problems)
    }

    /// The content of the file that `variable` names, one of [`Stack::FILES`](crate::Stack::FILES).
    #[must_use]
    pub fn file(&self, variable: &str) -> Option<&[u8]> {
        self.files.0.get(variable).map(|content| &**content)
    }

    /// The contents of all files that its variables name.
    pub fn files(&self) -> impl Iterator<Item = &[u8]> {
        self.files.0.values().map(|content| &**content)
    }

    /// The problem that a required variable is not set; `why` says what it is for.
    #[must_use]
    pub fn lacks(&self, variable: &str, why: &str) -> Problem {
        lacks(&self.name, self.place(""), variable, why)
    }

    pub(crate) fn with<W>(self, variables: W) -> Workspace<W> {
        let Self {
            stack,
            form,
            name,
            environment,
            project,
            suffix,
            regions,
            protect,
            final_snapshot,
            key_deletion_days,
            remote_outputs,
            state,
            tags,
            ignored_tags,
            places,
            files,
            variables: _,
        } = self;
        Workspace {
            stack,
            form,
            name,
            environment,
            project,
            suffix,
            regions,
            protect,
            final_snapshot,
            key_deletion_days,
            remote_outputs,
            state,
            tags,
            ignored_tags,
            places,
            files,
            variables,
        }
    }
}

impl Workspace {
    /// The workspace `typed`, whose type is forgotten; `shared` is the same one without variables.
    pub(crate) fn erase<V: Send + Sync + 'static>(shared: Workspace<()>, typed: Workspace<V>) -> Self {
        shared.with(Erased(Arc::new(typed)))
    }

    /// The workspace with its typed variables; `None` if it belongs to a stack with others.
    #[must_use]
    pub fn typed<V: Send + Sync + 'static>(&self) -> Option<&Workspace<V>> {
        self.variables.0.downcast_ref()
    }
}

/// The problem that the workspace `name` does not set a required variable.
pub(crate) fn lacks(name: &str, place: Range<usize>, variable: &str, why: &str) -> Problem {
    Problem::new(format!("workspace `{name}` has no `{variable}`: {why}"), place)
        .hint(format!("set it under [workspaces.{name}] or [defaults]"))
}
