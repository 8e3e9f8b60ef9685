//! Card numbers, which have no business here: requests with one are refused, and no log shows one (P-09).

use std::borrow::Cow;

/// How many digits card numbers have (ISO/IEC 7812).
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// What logs show in place of a long number.
const HIDDEN: &str = "[number hidden]";

/// Whether some part of `text` looks like a card number: 13 to 19 digits, alone or in groups with a space or a hyphen
/// between them, that begin like a card's and pass its check (Luhn).
#[must_use]
pub fn is_in(text: &str) -> bool {
    runs(text).iter().any(|run| {
        let digits: Vec<u8> = text[run.clone()].bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0').collect();
        DIGITS.contains(&digits.len()) && matches!(digits.first(), Some(2..=6)) && luhn(&digits)
    })
}

/// `text` without numbers that are long enough to be a card's. This hides more than [`is_in`] finds: a log loses
/// nothing by it, and a mistyped card number is still nearly one.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let long =
        |run: &std::ops::Range<usize>| text[run.clone()].bytes().filter(u8::is_ascii_digit).count() >= *DIGITS.start();
    let mut shown = String::new();
    let mut end = 0;
    for run in runs(text).into_iter().filter(long) {
        shown.push_str(&text[end..run.start]);
        shown.push_str(HIDDEN);
        end = run.end;
    }
    if end == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(&text[end..]);
    Cow::Owned(shown)
}

/// Where digits stand, alone or with single spaces or hyphens between them; each as long as it can be.
fn runs(text: &str) -> Vec<std::ops::Range<usize>> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut runs = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !digit(at) {
            at += 1;
            continue;
        }
        let start = at;
        while digit(at) || (matches!(bytes.get(at), Some(b' ' | b'-')) && digit(at + 1)) {
            at += 1;
        }
        runs.push(start..at);
    }
    runs
}

/// The check digit of card numbers: from the right, every second digit doubled.
fn luhn(digits: &[u8]) -> bool {
    let weighed = digits.iter().rev().enumerate().map(|(place, &digit)| {
        let digit = u32::from(digit);
        match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        }
    });
    weighed.sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p09_knows_a_card_number_when_it_sees_one() {
        for (text, found) in [
            ("4111111111111111", true),
            ("pay with 4111 1111 1111 1111 please", true),
            ("5500-0000-0000-0004", true),
            ("\"378282246310005\"", true),
            ("4111111111111112", false),
            ("41111111111111", false),
            ("4111111111111111000000", false),
            ("1234567890", false),
            ("12.50", false),
            ("c7b2a6de-0f0e-4c3c-8b33-0e9a7f6f0001", false),
            ("", false),
        ] {
            assert_eq!(is_in(text), found, "{text}");
        }
    }

    #[test]
    fn p09_hides_long_numbers_from_logs() {
        assert_eq!(redact("no number"), "no number");
        assert_eq!(redact("card 4111 1111 1111 1112."), "card [number hidden].");
        assert_eq!(redact("4111111111111111/5500000000000004"), "[number hidden]/[number hidden]");
        assert_eq!(redact("table 12345678"), "table 12345678");
    }
}
