//! Runs a command line: parses it, runs its command, and shows how that ended.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::FromArgMatches;
use payinfra_stack::{Stacks, distinct};
use tracing::Level;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::command::{COMMANDS, Entry, definition};
use crate::context::Context;
use crate::exit::Outcome;
use crate::failure::{Failure, causes};
use crate::global::Global;
use crate::{program, screen};

/// Runs the command line of this process for `stacks`: all of a program's `main`.
#[must_use]
pub fn main(stacks: Stacks) -> ExitCode {
    ExitCode::from(run(stacks, std::env::args_os()))
}

/// Runs the command line `arguments` (the first is the program name) for `stacks`, and returns the exit code.
///
/// Help and hints show the name in the first argument; in one process, that of the first call.
pub fn run(stacks: Stacks, arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let code = execute(stacks, arguments);
    if let Err(error) = screen::check() {
        screen::fail(&Failure::from(error).render());
        return 1;
    }
    code
}

fn execute(stacks: Stacks, arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<_> = arguments.into_iter().collect();
    program::set(arguments.first().map(OsString::as_os_str));
    if let Err(error) = distinct(stacks) {
        screen::fail(&Failure::from(error).render());
        return 1;
    }
    let matches = match definition().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are not failures. Other parse errors exit with 1, because 2 means that there are
            // changes.
            print(&error);
            return u8::from(error.use_stderr());
        }
    };
    let global = match Global::from_arg_matches(&matches) {
        Ok(global) => global,
        Err(error) => {
            print(&error);
            return 1;
        }
    };
    if global.no_color {
        anstream::ColorChoice::Never.write_global();
    }
    log(&global);
    let verbose = global.verbose > 0;
    let Some((name, matches)) = matches.subcommand() else { return 1 };
    let Some(entry) = COMMANDS.iter().find(|entry| entry.name == name) else { return 1 };
    match block_on(entry, &Context::new(global, stacks), matches) {
        Ok(exit) => exit.code(),
        Err(failure) => {
            screen::fail(&failure.render());
            if verbose {
                screen::fail(&causes(&failure.error()));
            }
            1
        }
    }
}

/// Prints help or the version to stdout, or an error to stderr.
fn print(error: &clap::Error) {
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    if !error.use_stderr() {
        screen::written(printed);
    }
}

fn block_on(entry: &Entry, cx: &Context, matches: &clap::ArgMatches) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        payinfra_engine::Error::failed(format!("the async runtime cannot be started: {error}")).source(error)
    })?;
    let outcome = runtime.block_on((entry.run)(cx, matches));
    // Do not wait for a prompt that is still blocked on stdin.
    runtime.shutdown_background();
    outcome
}

/// Sends log output to stderr if `-v` or the environment variable `PAYINFRA_LOG` asks for it.
fn log(global: &Global) {
    let filter = match global.verbose {
        0 => std::env::var("PAYINFRA_LOG").ok(),
        1 => Some("warn,payinfra=debug".to_owned()),
        _ => Some("info,payinfra=trace,aws_config=debug,aws_smithy_runtime=debug".to_owned()),
    };
    let Some(filter) = filter else { return };
    let filter = EnvFilter::builder().parse_lossy(filter);
    let ansi = !global.no_color && std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).without_time();
    let shown = filter.and(filter_fn(|told| is_discreet(told.target(), *told.level())));
    tracing_subscriber::registry().with(lines.with_filter(shown)).init();
}

/// The SDK and the libraries below it log whole requests and responses at TRACE, including secrets. Those logs are
/// never shown, whatever the filter says.
fn is_discreet(target: &str, level: Level) -> bool {
    level < Level::TRACE || target.starts_with("payinfra")
}
