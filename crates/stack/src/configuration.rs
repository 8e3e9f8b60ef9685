//! The configuration, `payinfra.toml`: parsed and fully checked before anything is planned.
//!
//! Serde's `flatten` would be the short way to read the shared variables and a stack's own from one table, but it
//! buffers the table: errors lose their places, and unknown keys are no longer errors. So each workspace is merged with
//! `[defaults]` as a table of the TOML parser, which keeps the place of every key and value, is checked for unknown keys
//! against the schema, is split into shared keys and others, and only then becomes two typed values.

mod file;
mod remote_outputs;
mod schema;
mod sensitive;
mod shared;
mod state;
mod table;
mod tags;
mod template;

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::DeTable;

pub use file::AwsConfig;
pub(crate) use schema::ambiguous;
pub use schema::schema;
pub use sensitive::{SensitiveVariable, without_secrets};
pub use state::StateConfig;
pub use template::{Template, template};

use self::file::{File, SharedVariables};
use crate::files::{self, Open};
use crate::names::Suffix;
use crate::places::Places;
use crate::problem::{At, ConfigError, Problem, Problems};
use crate::program::named;
use crate::stack::{AnyStack, Own, Stacks};
use crate::typed::typed;
use crate::workspace::Workspace;

/// A valid configuration, as far as this can be checked without calling AWS.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The file it was read from.
    pub source_name: String,
    /// The stack.
    pub stack: &'static dyn AnyStack,
    /// AWS credentials and accounts.
    pub aws: AwsConfig,
    /// Where the state is stored.
    pub state: StateConfig,
    /// The workspaces by name.
    pub workspaces: BTreeMap<String, Workspace>,
    /// The variables whose values are never shown, by workspace.
    sensitive: BTreeMap<String, Vec<SensitiveVariable>>,
}

impl Configuration {
    /// Parses and checks the text of a configuration of one of `stacks`; messages refer to it as `source_name`.
    /// Variables cannot name files.
    ///
    /// # Errors
    /// All problems that are found, with their places.
    pub fn parse(text: &str, source_name: &str, stacks: Stacks) -> Result<Self, Box<ConfigError>> {
        Self::open(text, source_name, stacks, &files::none)
    }

    /// As [`Configuration::parse`], and reads the files that variables name with `open`.
    ///
    /// # Errors
    /// All problems that are found, with their places.
    pub fn open(text: &str, source_name: &str, stacks: Stacks, open: Open<'_>) -> Result<Self, Box<ConfigError>> {
        let mut problems = Problems::default();
        let source = Source { text, name: source_name, stacks, open };
        let read = read(source, &mut problems);
        if let Some(error) = problems.into_error(source_name, text) {
            return Err(Box::new(error.without(&sensitive::secrets(text, stacks))));
        }
        read.ok_or_else(|| {
            let message = "the configuration cannot be read".to_owned();
            let (span, position, hint) = (None, None, None);
            let source_name = source_name.to_owned();
            Box::new(ConfigError { source_name, message, span, position, hint, others: Vec::new() })
        })
    }

    /// The workspace `name`.
    ///
    /// # Errors
    /// If it is not declared; the message lists the declared workspaces.
    pub fn workspace(&self, name: &str) -> Result<&Workspace, Box<ConfigError>> {
        self.workspaces.get(name).ok_or_else(|| {
            let declared = self.workspaces.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Box::new(ConfigError {
                source_name: self.source_name.clone(),
                message: format!("workspace `{name}` is not declared; declared workspaces: {declared}"),
                span: None,
                position: None,
                others: Vec::new(),
                hint: Some(format!("select one of them, or declare it under [workspaces.{name}]")),
            })
        })
    }

    /// The variables of the workspace `name` whose values are never shown.
    #[must_use]
    pub fn sensitive(&self, name: &str) -> &[SensitiveVariable] {
        self.sensitive.get(name).map_or(&[], Vec::as_slice)
    }
}

/// What a configuration is read from.
#[derive(Clone, Copy)]
struct Source<'a> {
    text: &'a str,
    /// What messages call it.
    name: &'a str,
    stacks: Stacks,
    open: Open<'a>,
}

/// Reads and checks everything; `None` if there are problems.
fn read(source: Source<'_>, problems: &mut Problems) -> Option<Configuration> {
    let (configuration, listed) = variables(source, problems)?;
    let mut sensitive = BTreeMap::new();
    for (name, paths) in listed {
        let vary = |text: &str| {
            let (mut read, _) = variables(Source { text, ..source }, &mut Problems::default())?;
            read.workspaces.remove(name.get_ref())
        };
        let variables = sensitive::check(source.text, name.get_ref(), paths, &vary, problems);
        sensitive.insert(name.get_ref().clone(), variables);
    }
    problems.is_empty().then_some(Configuration { sensitive, ..configuration })
}

/// The sensitive variables of each workspace, as they are listed.
type Listed = Vec<(Spanned<String>, Vec<Spanned<String>>)>;

/// Reads and checks everything except the sensitive variables; `None` if there are problems.
fn variables(source: Source<'_>, problems: &mut Problems) -> Option<(Configuration, Listed)> {
    let Source { text, name: source_name, stacks, open } = source;
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in &errors {
            problems.add(Problem::of(error, 0..0));
        }
        return None;
    }
    let mut root = root.into_inner();
    let reader = stack(&root, stacks, problems).map(|stack| Reader { stack, schema: schema(stack).to_value() });
    if let Some(reader) = &reader {
        schema::unknown_in_file(&reader.schema, &mut root, problems);
    }
    let file: Option<File> = typed(Spanned::new(0..0, root.clone()), problems);
    let reader = reader?;
    let (stack, none) = (reader.stack, DeTable::new());
    let declared = table::at(&root, &["workspaces"]).unwrap_or(&none);
    let (aws, state) = match file {
        Some(file) => {
            if declared.is_empty() {
                let none = Problem::new("no workspace is declared", file.stack.span());
                problems.add(none.hint("declare one under [workspaces.NAME]"));
            }
            (file.aws, file.state)
        }
        None => Default::default(),
    };
    problems.take(state::in_one_place(&root));
    let defaults = table::at(&root, &["defaults"]).unwrap_or(&none);
    let (mut workspaces, mut listed) = (BTreeMap::new(), Vec::new());
    for (name, own) in declared {
        let Some(own) = own.get_ref().as_table() else { continue };
        let name = Spanned::new(name.span(), name.get_ref().to_string());
        // The other way round, values in `[defaults]` that this workspace overrides are checked as well.
        reader.read(&name, table::merged(defaults, own, stack.replaced()), problems);
        let merged = table::merged(own, defaults, stack.replaced());
        let places = Places::of(&merged, &name.span());
        let files = files::read(&merged, stack.files(), open, problems);
        let (shared, own) = reader.read(&name, merged, problems);
        let Some(mut shared) = shared else { continue };
        let paths = std::mem::take(&mut shared.sensitive);
        for path in &paths {
            problems.take(sensitive::is_known(&reader.schema, path));
        }
        tags::check(&shared, &places, stack.tags(), problems);
        let context = shared::Context { stack, name: &name, places, files, state: &state };
        let shared = context.workspace(shared, problems);
        let Some(workspace) = shared.zip(own).and_then(|(shared, own)| stack.join(shared, own)) else { continue };
        problems.take(own_name(&workspace, stack, stacks));
        stack.check(&workspace, problems);
        problems.take(distinguished(&workspace, &workspaces));
        workspaces.insert(workspace.name.clone(), workspace);
        listed.push((name, paths));
    }
    let (source_name, sensitive) = (source_name.to_owned(), BTreeMap::new());
    let configuration = Configuration { source_name, stack, aws, state, workspaces, sensitive };
    problems.is_empty().then_some((configuration, listed))
}

/// Checks that no other workspace has the same names.
fn distinguished(workspace: &Workspace, others: &BTreeMap<String, Workspace>) -> Result<(), Problem> {
    let is_same = |other: &&Workspace| !workspace.form.has_workspace() && other.suffix == workspace.suffix;
    let Some(other) = others.values().find(is_same) else { return Ok(()) };
    let message = format!("the workspaces `{}` and `{}` have the same suffix", other.name, workspace.name);
    Err(Problem::new(message, workspace.place("suffix"))
        .hint("give each its own: the names of this stack do not include the workspace"))
}

/// The stack that the configuration names; `None` if there is no such stack, or no valid name.
fn stack(root: &DeTable<'_>, stacks: Stacks, problems: &mut Problems) -> Option<&'static dyn AnyStack> {
    let given = root.get("stack")?;
    let name = given.get_ref().as_str()?;
    problems.take(named(stacks, name).at(given.span()))
}

/// Checks the name of a workspace's stack that is not `stack`'s: it is part of states and tags.
fn own_name(workspace: &Workspace, stack: &dyn AnyStack, stacks: Stacks) -> Result<(), Problem> {
    let (name, place) = (&workspace.stack, workspace.place(""));
    if name == stack.name() {
        return Ok(());
    }
    let problem =
        |why: &str| Problem::new(format!("the stack of workspace `{}` is `{name}`, {why}", workspace.name), place);
    if Suffix::parse(name).is_err() {
        return Err(problem("which is not a valid name").hint("use lower-case letters, digits and inner hyphens"));
    }
    if stacks.iter().any(|other| other.name() == name) {
        return Err(
            problem("which is another stack of this program").hint("give it another name, or they would share states")
        );
    }
    Ok(())
}

/// Turns the table of a workspace into typed variables.
struct Reader {
    stack: &'static dyn AnyStack,
    /// The schema of the whole configuration.
    schema: Json,
}

impl Reader {
    /// The shared variables and the stack's own, as far as they can be read.
    fn read(
        &self,
        name: &Spanned<String>,
        mut merged: DeTable<'_>,
        problems: &mut Problems,
    ) -> (Option<SharedVariables>, Option<Own>) {
        let place = name.span();
        schema::unknown(&self.schema, &mut merged, problems);
        let (mut shared, mut own) = (DeTable::new(), DeTable::new());
        for (key, value) in merged {
            let part = if schema::is_shared(key.get_ref()) { &mut shared } else { &mut own };
            part.insert(key, value);
        }
        let shared = typed(Spanned::new(place.clone(), shared), problems);
        (shared, self.stack.read(Spanned::new(place, own), problems))
    }
}
