//! Why a command could not do its work, and how that is shown.

use std::fmt::Write as _;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use payinfra_engine::{Address, Class, Error};
use payinfra_stacks::ConfigError;

use crate::screen::{ADDRESS, DIM, ERROR, HELP};

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration is wrong, at a place that can be shown.
    Configuration(Box<Misconfigured>),
    /// Anything else.
    Other(Error),
}

/// A mistake in the configuration, with the text that it is in.
#[derive(Debug)]
pub(crate) struct Misconfigured {
    error: ConfigError,
    text: NamedSource<String>,
}

impl Failure {
    /// A mistake in the configuration whose text is `text`.
    pub(crate) fn in_configuration(error: ConfigError, text: &str) -> Self {
        if error.span.is_none() {
            return Self::Other(error.into());
        }
        let text = NamedSource::new(&error.source_name, text.to_owned());
        let hint = error.hint.or_else(|| Some("`payinfra schema` prints what the file may hold".to_owned()));
        let error = ConfigError { hint, ..error };
        Self::Configuration(Box::new(Misconfigured { error, text }))
    }

    /// The same in the engine's words.
    pub(crate) fn error(self) -> Error {
        match self {
            Self::Configuration(wrong) => wrong.error.into(),
            Self::Other(error) => error,
        }
    }

    /// For a person.
    pub(crate) fn render(&self) -> String {
        match self {
            Self::Configuration(wrong) => {
                let theme = GraphicalTheme::unicode();
                let handler = GraphicalReportHandler::new_themed(theme).with_width(120).with_links(false);
                let mut text = String::new();
                for wrong in wrong.each() {
                    if handler.render_report(&mut text, &wrong).is_err() {
                        line(&mut text, &wrong.error.to_string());
                    }
                }
                text
            }
            Self::Other(error) => block(None, error),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Misconfigured {
    /// Each problem for itself, with the text that it is in.
    fn each(&self) -> impl Iterator<Item = Self> {
        let first = ConfigError { others: Vec::new(), ..self.error.clone() };
        let all = std::iter::once(first).chain(self.error.others.iter().cloned());
        all.map(|error| Self { error, text: self.text.clone() })
    }
}

impl std::fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error.message)
    }
}

impl std::error::Error for Misconfigured {}

impl Diagnostic for Misconfigured {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.error.hint.as_ref().map(|hint| Box::new(hint) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.error.span.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(span))))
    }
}

/// What is underneath a failure, for those who want to know it all.
pub(crate) fn causes(error: &Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        line(&mut text, &format!("  {DIM}because{DIM:#}: {error}"));
        cause = error.source();
    }
    text
}

/// One failure as a block: address, call, AWS's code and message, request id, what to do.
pub(crate) fn block(address: Option<&Address>, error: &Error) -> String {
    let mut text = String::new();
    let place = address.map_or_else(String::new, |address| format!("{ADDRESS}{address}{ADDRESS:#}: "));
    line(&mut text, &format!("{ERROR}error{ERROR:#}: {place}{}", error.message()));
    if let Some(call) = error.get_call() {
        line(&mut text, &format!("  {DIM}call{DIM:#}: {call}"));
    }
    if let Some(code) = error.get_code() {
        line(&mut text, &format!("  {DIM}code{DIM:#}: {code}"));
    }
    if let Some(request) = error.get_request_id() {
        line(&mut text, &format!("  {DIM}request{DIM:#}: {request}"));
    }
    if let Some(hint) = error.get_hint().or_else(|| advice(error.class())) {
        line(&mut text, &format!("  {HELP}help{HELP:#}: {hint}"));
    }
    text
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

/// What to do where the failure itself does not say.
pub(crate) fn advice(class: Class) -> Option<&'static str> {
    Some(match class {
        Class::NotFound => "it is gone, or not yet visible: run apply again",
        Class::Conflict => "AWS does not accept it for now: run apply again when what the message names has ended",
        Class::Eventual => "AWS does not know everywhere yet what was made a moment ago: run apply again",
        Class::Throttled => "AWS limits the number of calls: run apply again in a minute",
        Class::Ambiguous => "check the network; what was begun is found again by the next apply",
        Class::Foreign => {
            "nothing on it says that it belongs to this deployment: rename ours, or import or remove the other one"
        }
        Class::Quota => "ask AWS for a higher quota, or remove what is not needed",
        Class::Denied => "check the credentials, and what they may do",
        Class::Locked => "wait until the other one has ended, or see `payinfra unlock`",
        Class::Stale => "the state has changed since it was read: run it again",
        _ => return None,
    })
}
