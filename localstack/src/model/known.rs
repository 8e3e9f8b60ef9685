//! Constraints of the models that AWS doesn't enforce.

use super::check::{Broken, Rule};

/// Service, operation, the last names of the member, and the source. An empty name matches all.
const WRONG: &[(&str, &str, &str, &str)] = &[];

/// Whether AWS accepts a request in spite of its model.
pub(super) fn is_wrong(service: &str, operation: &str, broken: &Broken) -> bool {
    let matches = |(of, by, path, _): &(&str, &str, &str, &str)| {
        *of == service && (by.is_empty() || *by == operation) && broken.path.ends_with(path)
    };
    broken.rule != Rule::Required && WRONG.iter().any(matches)
}
