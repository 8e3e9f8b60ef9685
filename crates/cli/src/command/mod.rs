//! The commands, one file each.

mod adopt;
mod apply;
mod bootstrap;
mod completions;
mod destroy;
mod drift;
mod graph;
mod import;
mod init;
mod output;
mod plan;
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
    entry::<destroy::Destroy>(),
    entry::<drift::Drift>(),
    entry::<graph::Graph>(),
    entry::<import::Import>(),
    entry::<init::Init>(),
    entry::<output::Output>(),
    entry::<plan::Plan>(),
    entry::<schema::Schema>(),
    entry::<state::State>(),
    entry::<sweep::Sweep>(),
    entry::<traffic::Traffic>(),
    entry::<unlock::Unlock>(),
    entry::<validate::Validate>(),
    entry::<workspace::Workspace>(),
];

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

    #[test]
    fn the_definition_is_sound() {
        crate::arguments::definition().debug_assert();
    }
}
