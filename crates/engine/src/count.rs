//! Counts in messages.

use std::fmt::Display;

/// `count` and what it counts: `1 resource`, `2 resources`. The forms can include the verb: `record was` and
/// `records were`.
#[must_use]
pub fn counted<N: Copy + Display + From<u8> + PartialEq>(count: N, one: &str, many: &str) -> String {
    let counts = if count == N::from(1) { one } else { many };
    format!("{count} {counts}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        for (count, expected) in
            [(0, "0 records were"), (1, "1 record was"), (2, "2 records were"), (21, "21 records were")]
        {
            assert_eq!(counted(count, "record was", "records were"), expected);
        }
        assert_eq!(counted(-1, "day", "days"), "-1 days");
    }
}
