//! Checks of the variables of a section, which find all problems.

use std::fmt::Display;
use std::ops::RangeInclusive;

use payinfra_engine::Result;

use crate::places::{Places, below};
use crate::problem::{At, Problem, Problems};

/// A section of a workspace's variables, to be checked: every check adds its problem with the place of the variable.
/// See [`Workspace::section`](crate::Workspace::section).
#[derive(Debug)]
pub struct Section<'a> {
    path: &'a str,
    places: &'a Places,
    problems: &'a mut Problems,
}

impl<'a> Section<'a> {
    pub(crate) fn new(path: &'a str, places: &'a Places, problems: &'a mut Problems) -> Self {
        Self { path, places, problems }
    }

    /// The value, if there is one; otherwise adds the error as a problem with `variable`: its key in this section, or its
    /// path, such as `subscriptions.0`.
    pub fn check<T>(&mut self, variable: &str, result: Result<T>) -> Option<T> {
        let place = self.places.of_value(&below(self.path, variable));
        self.problems.take(result.at(place))
    }

    /// As [`Section::check`], for a table whose keys are chosen by the user, such as regions. The problem is with the key.
    pub fn check_key<T>(&mut self, variable: &str, result: Result<T>) -> Option<T> {
        let place = self.places.of_key(&below(self.path, variable));
        self.problems.take(result.at(place))
    }

    /// Adds a problem with `variable`, and a hint at what to do about it.
    pub fn wrong(&mut self, variable: &str, message: impl Into<String>, hint: impl Into<String>) {
        let place = self.places.of_value(&below(self.path, variable));
        self.problems.add(Problem::new(message, place).hint(hint));
    }

    /// Checks that the value of `variable` is in the range `accepted`, and returns whether it is.
    pub fn number<N: Copy + Display + PartialOrd>(
        &mut self,
        variable: &str,
        value: N,
        accepted: RangeInclusive<N>,
    ) -> bool {
        let valid = accepted.contains(&value);
        if !valid {
            let hint = format!("use {} to {}", accepted.start(), accepted.end());
            self.wrong(variable, format!("invalid value {value} of `{variable}`"), hint);
        }
        valid
    }

    /// Checks that the value of `variable` is one of those `accepted`, and returns whether it is.
    pub fn one_of<N: Copy + Display + PartialEq>(&mut self, variable: &str, value: N, accepted: &[N]) -> bool {
        let valid = accepted.contains(&value);
        if !valid {
            let accepted: Vec<_> = accepted.iter().map(ToString::to_string).collect();
            let hint = format!("use one of {}", accepted.join(", "));
            self.wrong(variable, format!("invalid value {value} of `{variable}`"), hint);
        }
        valid
    }
}
