//! Versions that AWS raises by itself.

use serde_json::Value;

use crate::cloud::Spec;

/// Replaces the versions in `live` that fulfil those in `args` by them, so that they do not differ: AWS has upgraded the
/// resource, and nothing has to be done.
pub(crate) fn accept(spec: &Spec, args: &Value, live: &mut Value) {
    for field in spec.at_least {
        if let (Some(Value::String(want)), Some(Value::String(is))) = (args.get(field), live.get_mut(field))
            && fulfils(is, want)
        {
            is.clone_from(want);
        }
    }
}

/// Whether the version `is` fulfils `want`: it has the same major version, and is not lower.
#[must_use]
pub fn fulfils(is: &str, want: &str) -> bool {
    let (mut is, mut want) = (is.split('.'), want.split('.'));
    if is.next() != want.next() {
        return false;
    }
    for want in want {
        // A part that is missing is lower than any.
        let Some(is) = is.next() else { return false };
        match (is.parse::<u64>(), want.parse::<u64>()) {
            (Ok(is), Ok(want)) if is == want => {}
            (Ok(is), Ok(want)) => return is > want,
            _ if is == want => {}
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_minor_version_fulfils_a_lower_one() {
        for (is, want, expected) in [
            ("16.6", "16.6", true),
            ("16.10", "16.6", true),
            ("16.6", "16.10", false),
            ("17.1", "16.6", false),
            ("15.12", "16.1", false),
            ("16.6", "16", true),
            ("16", "16.6", false),
            ("8.0.mysql_aurora.3.08.1", "8.0.mysql_aurora.3.08.0", true),
            ("8.0.mysql_aurora.3.07.1", "8.0.mysql_aurora.3.08.0", false),
            ("8.0.mysql_aurora.3.08.1", "8.0.41", false),
        ] {
            assert_eq!(fulfils(is, want), expected, "{is} for {want}");
        }
    }
}
