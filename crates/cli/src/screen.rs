//! The terminal: styles, and the two streams.

use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use payinfra_engine::{Class, Error, Result};

/// An address.
pub(crate) const ADDRESS: Style = Style::new().bold();
/// What is beside the point.
pub(crate) const DIM: Style = Style::new().dimmed();
/// What went wrong.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// What may be wrong.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// What to do about it.
pub(crate) const HELP: Style = AnsiColor::Cyan.on_default();
/// What is made.
pub(crate) const CREATE: Style = AnsiColor::Green.on_default();
/// What is changed.
pub(crate) const UPDATE: Style = AnsiColor::Yellow.on_default();
/// What is replaced.
pub(crate) const REPLACE: Style = AnsiColor::Magenta.on_default();
/// What is removed.
pub(crate) const DELETE: Style = AnsiColor::Red.on_default();
/// A heading.
pub(crate) const HEADING: Style = Style::new().bold();

/// Prints what was asked for. A reader that has left is no failure.
pub(crate) fn print(text: &str) {
    let _ = anstream::stdout().lock().write_all(text.as_bytes());
}

/// Prints what was asked for, and a line break.
pub(crate) fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Tells something beside what was asked for.
pub(crate) fn note(text: &str) {
    let _ = anstream::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Shows a failure.
pub(crate) fn fail(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// Whether somebody is there who can be asked.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether somebody watches the terminal.
pub(crate) fn is_watched() -> bool {
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a question that only `expected` answers with yes.
///
/// # Errors
/// `nothing`, such as `nothing was changed`, if the answer is another one; with `hint`, if nobody is here to answer.
pub(crate) async fn confirm(question: &str, expected: &str, nothing: &str, hint: &str) -> Result<()> {
    if !can_ask() {
        return Err(Error::invalid(format!("{nothing}: nobody is here to confirm it")).hint(hint));
    }
    if ask_for(question, expected).await { Ok(()) } else { Err(Error::new(Class::Cancelled, nothing)) }
}

/// Asks a question that only `expected` answers with yes.
pub(crate) async fn ask_for(question: &str, expected: &str) -> bool {
    let _ = anstream::stderr().lock().write_all(format!("{question} Only `{expected}` is taken: ").as_bytes());
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    });
    matches!(answer.await, Ok(Ok(answer)) if answer.trim() == expected)
}
