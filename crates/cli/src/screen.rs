//! Terminal output: styles, stdout and stderr, prompts.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use payinfra_engine::{Class, Error, Result};

use crate::program;

/// An address.
pub(crate) const ADDRESS: Style = Style::new().bold();
/// Secondary text.
pub(crate) const DIM: Style = Style::new().dimmed();
/// An error.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// A warning.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// A hint.
pub(crate) const HELP: Style = AnsiColor::Cyan.on_default();
/// A create.
pub(crate) const CREATE: Style = AnsiColor::Green.on_default();
/// An update.
pub(crate) const UPDATE: Style = AnsiColor::Yellow.on_default();
/// A replacement.
pub(crate) const REPLACE: Style = AnsiColor::Magenta.on_default();
/// A delete.
pub(crate) const DELETE: Style = AnsiColor::Red.on_default();
/// A heading.
pub(crate) const HEADING: Style = Style::new().bold();

/// The first failure to write to stdout.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints to stdout. A failure makes the command fail when it ends; an apply is not interrupted by it.
pub(crate) fn print(text: &str) {
    let mut stdout = anstream::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
}

/// Records the result of writing to stdout. A closed pipe is not an error: its reader has what it needs.
pub(crate) fn written(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != ErrorKind::BrokenPipe
    {
        FAILED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Checks that everything was written to stdout since the last check.
///
/// # Errors
/// If it was not.
pub(crate) fn check() -> Result<()> {
    let failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner).take();
    failed.map_or(Ok(()), |error| {
        let message = format!("the output is incomplete: stdout could not be written: {error}");
        Err(Error::failed(message).source(error).hint("check the disk or the program that reads it, and run it again"))
    })
}

/// The width of the terminal that stdout is; `None` if it is none, or its width is not known.
pub(crate) fn width() -> Option<usize> {
    let stdout = io::stdout();
    let columns = if stdout.is_terminal() { columns(&stdout) } else { None };
    columns.filter(|columns| *columns > 0)
}

#[cfg(unix)]
fn columns(terminal: &io::Stdout) -> Option<usize> {
    Some(rustix::termios::tcgetwinsize(terminal).ok()?.ws_col.into())
}

#[cfg(not(unix))]
fn columns(_: &io::Stdout) -> Option<usize> {
    None
}

/// Prints a line to stdout.
pub(crate) fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Prints a message for people to stdout. Commands in it get the name of this program.
pub(crate) fn tell(text: &str) {
    line(&program::named(text));
}

/// Prints a note to stderr. Commands in it get the name of this program.
pub(crate) fn note(text: &str) {
    fail(&format!("{}\n", program::named(text)));
}

/// Prints to stderr.
pub(crate) fn fail(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// Whether there is a terminal to ask the user on.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether stdout and stderr are terminals.
pub(crate) fn is_watched() -> bool {
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a question that only the answer `expected` confirms.
///
/// # Errors
/// `nothing`, such as `nothing was changed`, if the user declines; with `hint` if there is no terminal.
pub(crate) async fn confirm(question: &str, expected: &str, nothing: &str, hint: &str) -> Result<()> {
    if !can_ask() {
        return Err(Error::invalid(format!("{nothing}: confirmation needs a terminal")).hint(hint));
    }
    if ask_for(question, expected).await { Ok(()) } else { Err(Error::new(Class::Cancelled, nothing)) }
}

/// Asks a question that only the answer `expected` confirms.
pub(crate) async fn ask_for(question: &str, expected: &str) -> bool {
    ask(&format!("{question} Enter `{expected}` to confirm: ")).await.is_some_and(|answer| answer == expected)
}

/// Asks a question, and returns the line that the user enters; `None` if it cannot be read.
pub(crate) async fn ask(question: &str) -> Option<String> {
    fail(question);
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    });
    Some(answer.await.ok()?.ok()?.trim().to_owned())
}
