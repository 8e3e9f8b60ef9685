//! The commands, one file each.

mod adopt;
mod apply;
mod bootstrap;
mod completions;
mod deploy;
mod destroy;
mod drift;
mod failover;
mod graph;
mod history;
mod import;
mod init;
mod new;
mod output;
mod permissions;
mod phase;
mod plan;
mod rollback;
mod schema;
mod state;
mod sweep;
mod traffic;
mod unlock;
mod validate;
mod workspace;

use std::pin::Pin;

use clap::{ArgMatches, Args};

use crate::context::Context;
use crate::events::Emitter;
use crate::exit::Outcome;
use crate::failure::Failure;
use crate::global::Global;
use crate::program;

/// A command; the implementing struct holds its arguments.
trait Execute: Args + 'static {
    /// Its name on the command line.
    const NAME: &'static str;
    /// One line about it, for the help.
    const ABOUT: &'static str;

    /// Whether it prints a stream of events. If so, a failure is printed as an event as well.
    fn emits(&self) -> bool {
        false
    }

    /// Runs the command.
    async fn execute(self, cx: &Context) -> Outcome;
}

type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// A command with its type erased.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name on the command line.
    pub name: &'static str,
    /// One line about it, for the help.
    pub about: &'static str,
    pub(crate) define: fn() -> clap::Command,
    pub(crate) run: for<'a> fn(&'a Context, &'a ArgMatches) -> Running<'a>,
}

/// The commands, sorted by name.
pub const COMMANDS: &[Entry] = &[
    entry::<adopt::Adopt>(),
    entry::<apply::Apply>(),
    entry::<bootstrap::Bootstrap>(),
    entry::<completions::Completions>(),
    entry::<deploy::Deploy>(),
    entry::<destroy::Destroy>(),
    entry::<drift::Drift>(),
    entry::<failover::Failover>(),
    entry::<graph::Graph>(),
    entry::<history::History>(),
    entry::<import::Import>(),
    entry::<init::Init>(),
    entry::<new::New>(),
    entry::<output::Output>(),
    entry::<permissions::Permissions>(),
    entry::<phase::Phase>(),
    entry::<plan::Plan>(),
    entry::<rollback::Rollback>(),
    entry::<schema::Schema>(),
    entry::<state::State>(),
    entry::<sweep::Sweep>(),
    entry::<traffic::Traffic>(),
    entry::<unlock::Unlock>(),
    entry::<validate::Validate>(),
    entry::<workspace::Workspace>(),
];

/// The whole command line, with all commands.
pub(crate) fn definition() -> clap::Command {
    let root = clap::Command::new(program::name())
        .bin_name(program::name())
        .version(program::version())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .max_term_width(100);
    COMMANDS
        .iter()
        .fold(Global::augment_args(root).about("Provision AWS infrastructure across regions"), |root, entry| {
            root.subcommand((entry.define)())
        })
}

/// The full name of every command, including subcommands: `apply`, `state list`.
#[must_use]
pub fn commands() -> Vec<String> {
    fn add(found: &mut Vec<String>, path: &str, command: &clap::Command) {
        if command.get_subcommands().next().is_none() {
            found.push(path.to_owned());
        }
        for sub in command.get_subcommands() {
            add(found, &format!("{path} {}", sub.get_name()), sub);
        }
    }
    let mut found = Vec::new();
    for command in definition().get_subcommands() {
        add(&mut found, command.get_name(), command);
    }
    found
}

const fn entry<C: Execute>() -> Entry {
    Entry {
        name: C::NAME,
        about: C::ABOUT,
        define: || C::augment_args(clap::Command::new(C::NAME)).about(C::ABOUT).long_about(None),
        run: |cx, matches| Box::pin(execute::<C>(cx, matches)),
    }
}

async fn execute<C: Execute>(cx: &Context, matches: &ArgMatches) -> Outcome {
    let command = C::from_arg_matches(matches)
        .map_err(|error| Failure::Other(payinfra_engine::Error::invalid(error.to_string())))?;
    let emits = command.emits();
    match command.execute(cx).await {
        Err(failure) if emits => {
            let text = failure.render();
            Emitter.error(None, &failure.error());
            crate::screen::fail(&text);
            Ok(crate::exit::Exit::Failed)
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn commands_are_sorted() {
        assert!(COMMANDS.is_sorted_by_key(|entry| entry.name));
    }

    #[test]
    fn every_file_is_a_command() -> std::io::Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/command");
        let files: BTreeSet<String> = fs::read_dir(folder)?
            .filter_map(|file| file.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
            .filter(|name| name != "mod")
            .collect();
        let names: BTreeSet<String> = COMMANDS.iter().map(|entry| entry.name.to_owned()).collect();
        assert_eq!(files, names);
        Ok(())
    }

    /// All commands that texts of `folder` name, such as `` `payinfra state rm` ``, without options and values.
    fn named_in(folder: &Path, named: &mut BTreeSet<String>) -> std::io::Result<()> {
        for entry in fs::read_dir(folder)?.map_while(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                named_in(&path, named)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path)?;
                for hint in text.split("`payinfra ").skip(1).filter(|hint| hint.starts_with(char::is_lowercase)) {
                    let words = hint.split(|letter: char| !letter.is_ascii_lowercase() && letter != ' ');
                    named.extend(words.take(1).map(str::to_owned));
                }
            }
        }
        Ok(())
    }

    #[test]
    fn every_command_that_a_text_names_exists() -> std::io::Result<()> {
        let mut named = BTreeSet::new();
        for folder in ["../engine", "../aws", "../stack", "../components", "../../state", "."] {
            named_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("src"), &mut named)?;
        }
        let groups: Vec<_> = COMMANDS.iter().map(|entry| entry.name.to_owned()).collect();
        let all: Vec<_> = commands().into_iter().chain(groups).collect();
        let is_known = |text: &String| {
            let words: Vec<_> = text.split_whitespace().take(2).collect();
            all.contains(&words.join(" ")) || words.first().is_some_and(|word| commands().iter().any(|it| it == word))
        };
        assert!(named.len() > 10, "only {named:?} found");
        let unknown: Vec<_> = named.iter().filter(|text| !is_known(text)).collect();
        assert!(unknown.is_empty(), "no such commands: {unknown:?}");
        Ok(())
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }
}
