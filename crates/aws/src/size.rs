//! Sizes in words.

/// A size for people, in decimal units as AWS bills them.
pub(crate) fn bytes(size: i64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if size < 1_000 {
        return format!("{size} B");
    }
    let (mut whole, mut rest, mut unit) = (size / 1_000, size % 1_000, 0);
    while whole >= 1_000 && unit + 1 < UNITS.len() {
        (whole, rest, unit) = (whole / 1_000, whole % 1_000, unit + 1);
    }
    format!("{whole}.{} {}", rest / 100, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_one_decimal() {
        let shown = [0, 999, 1_000, 3_249_000, 999_999_999, 1_000_000_000, i64::MAX].map(bytes);
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "3.2 MB", "999.9 MB", "1.0 GB", "9223.3 PB"]);
    }
}
