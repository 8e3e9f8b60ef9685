//! Errors in a configuration, with their places.

use std::fmt;
use std::ops::Range;

use payinfra_engine::{Error, secret};

/// An error in a configuration, with the place that the command line shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was passed to [`Configuration::parse`](super::Configuration::parse).
    pub source_name: String,
    /// The error message.
    pub message: String,
    /// The byte range in the text, if the error has a place.
    pub span: Option<Range<usize>>,
    /// Line and column of the start of the range, from 1.
    pub position: Option<(usize, usize)>,
    /// What to do next.
    pub hint: Option<String>,
    /// Further errors, if one pass finds several; these have no others themselves.
    pub others: Vec<ConfigError>,
}

impl ConfigError {
    /// The same error without `secrets` in its texts.
    pub(super) fn without(self, secrets: &[String]) -> Self {
        Self {
            message: secret::without(&self.message, secrets),
            hint: self.hint.map(|hint| secret::without(&hint, secrets)),
            others: self.others.into_iter().map(|other| other.without(secrets)).collect(),
            ..self
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source_name)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        self.others.iter().try_for_each(|other| write!(f, "\n{other}"))
    }
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        let wrong = Self::invalid(error.to_string());
        match error.hint {
            Some(hint) => wrong.hint(hint),
            None => wrong,
        }
    }
}

/// An error before the name and the text of the file are attached.
#[derive(Debug)]
pub(super) struct Problem {
    error: Error,
    span: Option<Range<usize>>,
    others: Vec<Problem>,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self { error: Error::invalid(message), span: Some(span), others: Vec::new() }
    }

    /// All of `problems` as one error, in the order of their places, without duplicates.
    pub(super) fn all(mut problems: Vec<Self>) -> Result<(), Self> {
        problems.sort_by(|one, other| one.key().cmp(&other.key()));
        problems.dedup_by(|one, other| one.key() == other.key());
        let mut problems = problems.into_iter();
        problems.next().map_or(Ok(()), |first| Err(Self { others: problems.collect(), ..first }))
    }

    fn key(&self) -> (usize, &str) {
        (self.span.as_ref().map_or(0, |span| span.start), self.error.message())
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = self.error.hint(hint);
        self
    }

    pub(super) fn into_error(self, source_name: &str, text: &str) -> ConfigError {
        let position = self.span.as_ref().and_then(|span| text.get(..span.start)).map(|before| {
            let line = before.rsplit('\n').next().unwrap_or_default();
            (before.matches('\n').count() + 1, line.chars().count() + 1)
        });
        ConfigError {
            source_name: source_name.to_owned(),
            message: self.error.message().to_owned(),
            position,
            span: self.span,
            hint: self.error.get_hint().map(str::to_owned),
            others: self.others.into_iter().map(|other| other.into_error(source_name, text)).collect(),
        }
    }
}

impl From<toml::de::Error> for Problem {
    fn from(error: toml::de::Error) -> Self {
        Self { error: Error::invalid(error.message()), span: error.span(), others: Vec::new() }
    }
}

/// Adds a place to an error.
pub(super) trait At<T> {
    fn at(self, span: Range<usize>) -> Result<T, Problem>;
}

impl<T> At<T> for Result<T, Error> {
    fn at(self, span: Range<usize>) -> Result<T, Problem> {
        self.map_err(|error| Problem { error, span: Some(span), others: Vec::new() })
    }
}
