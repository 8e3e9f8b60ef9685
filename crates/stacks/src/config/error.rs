//! What is wrong in a configuration, and where.

use std::fmt;
use std::ops::Range;

use payinfra_engine::{Error, secret};

/// What is wrong in a configuration: with the place, for the command line to show the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named to [`Configuration::parse`](super::Configuration::parse).
    pub source_name: String,
    /// What is wrong.
    pub message: String,
    /// The bytes of the text that it is about, if any.
    pub span: Option<Range<usize>>,
    /// Line and column of the span's start, from 1.
    pub position: Option<(usize, usize)>,
    /// What the reader can do about it.
    pub hint: Option<String>,
    /// What else is wrong, where one pass finds several problems; these have no others themselves.
    pub others: Vec<ConfigError>,
}

impl ConfigError {
    /// The same without `secrets` in what it says.
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

/// What is wrong, before the file's name and text are at hand.
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

    /// All of `problems` as one, in the order of their places, each of them once.
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

/// Says where a value stands that was found wrong.
pub(super) trait At<T> {
    fn at(self, span: Range<usize>) -> Result<T, Problem>;
}

impl<T> At<T> for Result<T, Error> {
    fn at(self, span: Range<usize>) -> Result<T, Problem> {
        self.map_err(|error| Problem { error, span: Some(span), others: Vec::new() })
    }
}
