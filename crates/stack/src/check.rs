//! Checks of variables that many stacks need.

use std::fmt::Display;
use std::ops::RangeInclusive;

use toml::Spanned;

use crate::problem::Problem;

/// The value of a numeric variable in a range, or the default.
///
/// # Errors
/// If the value is not in the range.
pub fn number<N: Copy + Display + PartialOrd>(
    variable: &str,
    given: Option<&Spanned<N>>,
    default: N,
    taken: RangeInclusive<N>,
) -> Result<N, Problem> {
    let Some(given) = given else { return Ok(default) };
    if taken.contains(given.get_ref()) {
        return Ok(*given.get_ref());
    }
    Err(Problem::new(format!("invalid value {} of `{variable}`", given.get_ref()), given.span()).hint(format!(
        "use {} to {}",
        taken.start(),
        taken.end()
    )))
}

/// The value of a numeric variable from a list, or the default.
///
/// # Errors
/// If the value is not in the list.
pub fn one_of(variable: &str, given: Option<&Spanned<i32>>, default: i32, listed: &[i32]) -> Result<i32, Problem> {
    let Some(given) = given else { return Ok(default) };
    if listed.contains(given.get_ref()) {
        return Ok(*given.get_ref());
    }
    let listed: Vec<_> = listed.iter().map(ToString::to_string).collect();
    Err(Problem::new(format!("invalid value {} of `{variable}`", given.get_ref()), given.span())
        .hint(format!("use one of {}", listed.join(", "))))
}
