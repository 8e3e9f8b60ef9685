//! Errors in a configuration, with their places.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use payinfra_engine::{Error, secret};

/// An error in a configuration, with the place that the command line shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was passed to [`Configuration::parse`](crate::Configuration::parse).
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
    pub(crate) fn without(self, secrets: &[String]) -> Self {
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

impl From<Box<ConfigError>> for Error {
    fn from(error: Box<ConfigError>) -> Self {
        Self::from(*error)
    }
}

/// Something wrong in a configuration: a message, its place in the file, and what to do about it.
#[derive(Debug)]
pub struct Problem {
    error: Error,
    span: Range<usize>,
}

impl Problem {
    /// A problem at a place in the file: bytes of its text.
    #[must_use]
    pub fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self { error: Error::invalid(message), span }
    }

    /// The same problem, with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = self.error.hint(hint);
        self
    }

    /// An error of the TOML parser; `place` is where it is if the parser does not say.
    pub(crate) fn of(error: &toml::de::Error, place: Range<usize>) -> Self {
        Self::new(error.message(), error.span().unwrap_or(place))
    }

    fn into_error(self, source_name: &str, text: &str) -> ConfigError {
        let before = &text[..text.floor_char_boundary(self.span.start)];
        let line = before.rsplit('\n').next().unwrap_or_default();
        let position = (before.matches('\n').count() + 1, line.chars().count() + 1);
        ConfigError {
            source_name: source_name.to_owned(),
            message: self.error.message().to_owned(),
            position: Some(position),
            span: Some(self.span),
            hint: self.error.get_hint().map(str::to_owned),
            others: Vec::new(),
        }
    }
}

/// The problems of a configuration.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem.
    pub fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// The value, if there is one; otherwise adds the problem.
    pub fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.add(problem)).ok()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All problems as one error, in the order of their places, each once; `None` if there are none.
    pub(crate) fn into_error(self, source_name: &str, text: &str) -> Option<ConfigError> {
        let mut problems = self.0;
        problems.sort_by_key(|problem| problem.span.start);
        let mut known = BTreeSet::new();
        problems.retain(|problem| known.insert((problem.span.start, problem.error.message().to_owned())));
        let mut errors = problems.into_iter().map(|problem| problem.into_error(source_name, text));
        let first = errors.next()?;
        Some(ConfigError { others: errors.collect(), ..first })
    }
}

/// Adds a place to an error.
pub trait At<T> {
    /// The same result, whose error is a problem at `span`.
    ///
    /// # Errors
    /// If the result is one.
    fn at(self, span: Range<usize>) -> Result<T, Problem>;
}

impl<T> At<T> for Result<T, Error> {
    fn at(self, span: Range<usize>) -> Result<T, Problem> {
        self.map_err(|error| Problem { error, span })
    }
}
