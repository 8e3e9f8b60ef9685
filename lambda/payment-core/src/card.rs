//! Detects card numbers: requests that contain one are rejected, and logs never show one (P-09).
//!
//! Numbers are also found in digits of any script, in forms that Unicode normalization (NFKC) maps to digits, with up
//! to
//! three other characters between two digits, and with other digits before and after them. Invisible characters are
//! ignored.

use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// The possible lengths of card numbers (ISO/IEC 7812).
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// The maximum number of other characters between two digits of a number.
const APART: usize = 3;

/// The replacement for long numbers in logs.
const HIDDEN: &str = "[number hidden]";

/// Whether any part of `text` looks like a card number: 13 to 19 digits that start with an issuer's prefix and pass the
/// Luhn check. A text that as a whole is a UUID or a ULID does not count.
#[must_use]
pub fn is_in(text: &str) -> bool {
    if is_generated(text) {
        return false;
    }
    let looks = |text: &str| !windows(&digits(text, &[])).is_empty();
    // NFKC composes some characters, which brings the digits around them closer together.
    looks(text) || (!text.is_ascii() && looks(&text.nfkc().collect::<String>()))
}

/// `text` without the numbers that [`is_in`] finds and other numbers that are as long as a card number: logs do not
/// need them, and a mistyped card number is still sensitive. UUIDs and ULIDs stay, such as those in paths and the
/// request ids in AWS's messages.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let digits = digits(text, &generated(text));
    let mut hidden = windows(&digits);
    hidden.extend(pieces(text, &digits));
    if hidden.is_empty() {
        let composed = !text.is_ascii() && is_in(text);
        return Cow::Borrowed(if composed { HIDDEN } else { text });
    }
    hidden.sort_by_key(|range| range.start);
    let (mut shown, mut end) = (String::new(), 0);
    for range in hidden {
        if range.start >= end {
            shown.push_str(&text[end..range.start]);
            shown.push_str(HIDDEN);
        }
        end = end.max(range.end);
    }
    shown.push_str(&text[end..]);
    Cow::Owned(shown)
}

/// Whether `text` is a UUID (RFC 9562, with or without hyphens) or a ULID. Their digits are random, so some pass the
/// Luhn check. A text of digits only does not count as random.
fn is_generated(text: &str) -> bool {
    is_uuid(text) || is_ulid(text)
}

/// The UUIDs and ULIDs in the text, separated by spaces, slashes and similar characters.
fn generated(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut found = Vec::new();
    for part in text.split_inclusive([' ', '/', '"', ',', ':', '(', ')']) {
        let word = part.trim_end_matches([' ', '/', '"', ',', ':', '(', ')']);
        if is_generated(word) {
            found.push(start..start + word.len());
        }
        start += part.len();
    }
    found
}

fn is_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hyphens: &[usize] = match bytes.len() {
        36 => &[8, 13, 18, 23],
        32 => &[],
        _ => return false,
    };
    let (version, variant) = (bytes[12 + hyphens.len().min(2)], bytes[16 + hyphens.len().min(3)]);
    let fits = |at: usize, byte: u8| if hyphens.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    let form = bytes.iter().enumerate().all(|(at, byte)| fits(at, *byte));
    let known = matches!(version, b'1'..=b'8') && matches!(variant.to_ascii_lowercase(), b'8' | b'9' | b'a' | b'b');
    form && known && bytes.iter().any(u8::is_ascii_alphabetic)
}

fn is_ulid(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_uppercase() && !matches!(byte, b'I' | b'L' | b'O' | b'U');
    let bytes = text.as_bytes();
    bytes.len() == 26
        // Its first ten characters are a time in milliseconds: between 2004 and 2109.
        && bytes[0] == b'0'
        && matches!(bytes[1], b'1'..=b'3')
        && bytes.iter().all(|byte| byte.is_ascii_digit() || letter(*byte))
        // Random ids do not contain this many digits in a row.
        && bytes.split(u8::is_ascii_uppercase).all(|piece| piece.len() < *DIGITS.start())
}

/// A digit in a text.
struct Digit {
    value: u8,
    /// The number of visible characters between it and the previous digit.
    apart: usize,
    /// Its position.
    place: Range<usize>,
}

/// The digits of a text, in all forms, except those in the ranges to `skip`.
fn digits(text: &str, skip: &[Range<usize>]) -> Vec<Digit> {
    let mut digits = Vec::new();
    let mut apart = 0;
    for (start, char) in text.char_indices() {
        let place = start..start + char.len_utf8();
        if char.is_ascii() {
            match digit(char).filter(|_| !skip.iter().any(|range| range.contains(&start))) {
                Some(value) => digits.push(Digit { value, apart: std::mem::take(&mut apart), place }),
                None => apart += 1,
            }
            continue;
        }
        let before = digits.len();
        if let Some(value) = digit(char) {
            digits.push(Digit { value, apart: std::mem::take(&mut apart), place });
        } else {
            decompose_compatible(char, |part| {
                if let Some(value) = digit(part) {
                    digits.push(Digit { value, apart: std::mem::take(&mut apart), place: place.clone() });
                }
            });
        }
        if digits.len() == before && !is_unseen(char) {
            apart += 1;
        }
    }
    digits
}

/// The positions of digits that look like a card number.
fn windows(digits: &[Digit]) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    for start in 0..digits.len() {
        // The Luhn check doubles every second digit from the right, so the length determines which digits are doubled.
        let (mut even, mut odd) = (0, 0);
        for (place, digit) in digits[start..].iter().take(*DIGITS.end()).enumerate() {
            if place > 0 && digit.apart > APART {
                break;
            }
            let single = u32::from(digit.value);
            let double = if single > 4 { single * 2 - 9 } else { single * 2 };
            let (to_even, to_odd) = if place % 2 == 0 { (double, single) } else { (single, double) };
            (even, odd) = (even + to_even, odd + to_odd);
            let length = place + 1;
            let sum = if length % 2 == 0 { even } else { odd };
            if DIGITS.contains(&length) && sum % 10 == 0 && is_issued(&digits[start..]) {
                windows.push(digits[start].place.start..digit.place.end);
            }
        }
    }
    windows
}

/// Whether digits start with an issuer's prefix. The ranges are published by the card schemes: Visa, Mastercard,
/// American Express, Diners Club, JCB, Maestro, Discover, UnionPay, RuPay, Mir and Troy.
fn is_issued(digits: &[Digit]) -> bool {
    let first = |count: usize| digits[..count].iter().fold(0, |number, digit| number * 10 + u32::from(digit.value));
    match first(1) {
        4 | 6 => true,
        2 => matches!(first(4), 2200..=2204 | 2221..=2720),
        3 => matches!(first(2), 34 | 36..=39) || matches!(first(3), 300..=305 | 309) || matches!(first(4), 3528..=3589),
        5 => matches!(first(2), 50..=58),
        8 => matches!(first(2), 81 | 82),
        9 => first(4) == 9792,
        _ => false,
    }
}

/// The positions of 13 or more digits in a row, optionally separated by single spaces or hyphens.
fn pieces(text: &str, digits: &[Digit]) -> Vec<Range<usize>> {
    let joined = |one: &Digit, next: &Digit| {
        let between = text.get(one.place.end..next.place.start);
        next.apart == 0 || (next.apart == 1 && matches!(between, Some(" " | "-")))
    };
    let pieces = digits.chunk_by(joined).filter(|piece| piece.len() >= *DIGITS.start());
    pieces.filter_map(|piece| Some(piece.first()?.place.start..piece.last()?.place.end)).collect()
}

/// The value of a digit of any script (Unicode category Nd), or of a circled digit that NFKC does not map.
fn digit(char: char) -> Option<u8> {
    if char.is_ascii() {
        return char.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
    }
    let code = u32::from(char);
    let value = |zero: u32| code.checked_sub(zero).filter(|value| *value < 10);
    let at = ZEROS.partition_point(|zero| *zero <= code);
    let of_script = at.checked_sub(1).and_then(|at| value(ZEROS[at]));
    let circled = || {
        let one = ONES.iter().find_map(|one| code.checked_sub(*one).filter(|value| *value < 9));
        one.map(|value| value + 1).or_else(|| CIRCLED_ZEROS.contains(&code).then_some(0))
    };
    of_script.or_else(circled).and_then(|value| u8::try_from(value).ok())
}

/// Whether a character is invisible: it joins, marks or directs other characters.
fn is_unseen(char: char) -> bool {
    is_combining_mark(char) || UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&u32::from(char)))
}

/// The zero of each script that has digits; its other digits follow it (Unicode 16).
const ZEROS: [u32; 76] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620,
    0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136,
    0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0,
    0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce, 0x1d7d8,
    0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];
/// The one of circled digits without another form: negative, double, sans-serif and negative sans-serif.
const ONES: [u32; 4] = [0x24f5, 0x2776, 0x2780, 0x278a];
/// Their zeros.
const CIRCLED_ZEROS: [u32; 3] = [0x24ff, 0x1f10b, 0x1f10c];
/// Invisible characters (Unicode's `Default_Ignorable_Code_Point`, and format characters).
const UNSEEN: [(u32, u32); 21] = [
    (0xad, 0xad),
    (0x34f, 0x34f),
    (0x600, 0x605),
    (0x61c, 0x61c),
    (0x6dd, 0x6dd),
    (0x70f, 0x70f),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x202a, 0x202e),
    (0x2060, 0x206f),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x13430, 0x1343f),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

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
            ("order4111111111111111x", true),
            ("00000041111111111111110000000000", true),
            ("4 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1 - 1", true),
            ("4\u{200b}\u{200b}\u{200b}\u{200b}111111111111111", true),
            ("４１１１１１１１１１１１１１１１", true),
            ("٤١١١١١١١١١١١١١١١", true),
            ("④①①①①①①①①①①①①①①①", true),
            ("4️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣1️⃣", true),
            ("411111¹¹¹¹1111₁₁", true),
            ("4ﷺ1ﷺ1ﷺ1ﷺ1ﷺ1ﷺ1ﷺ1ﷺ1ﷺ1ﷺ1ﷺ1ﷺ1ﷺ1ﷺ1ﷺ1", true),
            ("4가가가111111111111111", true),
            ("4111111111111112", false),
            ("4....111111111111111", false),
            ("1234567890", false),
            ("12.50", false),
            ("c7b2a6de-0f0e-4c3c-8b33-0e9a7f6f0001", false),
            ("4111a111-1111-4111-8111-111111111111", false),
            ("41111111-1111-1111-8111-111111111111", true),
            ("01K4V3B2Q0ZJ6M1N2P3R4S5T6V", false),
            ("01K4111111111111111ABCDEFG", true),
            ("04Z2Z2Z2Z2Z2Z2Z2Z2Z2Z2Z2Z2", true),
            ("", false),
        ] {
            assert_eq!(is_in(text), found, "{text}");
        }
    }

    #[test]
    fn p09_hides_long_numbers_from_logs() {
        for (text, shown) in [
            ("no number", "no number"),
            ("card 4111 1111 1111 1112.", "card [number hidden]."),
            ("4111111111111111 - 5500000000000004", "[number hidden] - [number hidden]"),
            ("4111111111111111 and then 5500000000000004", "[number hidden] and then [number hidden]"),
            ("ä٤١١١١١١١١١١١١١١١ä", "ä[number hidden]ä"),
            ("table 12345678", "table 12345678"),
            ("/payments/c7b2a6de-0f0e-4c3c-8b33-0e9a7f6f0001", "/payments/c7b2a6de-0f0e-4c3c-8b33-0e9a7f6f0001"),
            ("/payments/4111-1111/1111-1111", "/payments/[number hidden]"),
            ("c7b2a6de-0f0e-4c3c-8b33-0e9a7f6f0001", "c7b2a6de-0f0e-4c3c-8b33-0e9a7f6f0001"),
        ] {
            assert_eq!(redact(text), shown, "{text}");
        }
    }

    #[test]
    fn p09_knows_the_digits_of_every_script() {
        let parsed = regex_syntax::parse(r"\p{Nd}").map(regex_syntax::hir::Hir::into_kind);
        let Ok(regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class))) = parsed else {
            unreachable!("a class");
        };
        let mut known = 0;
        for range in class.ranges() {
            for (place, char) in (range.start()..=range.end()).enumerate() {
                assert_eq!(digit(char).map(usize::from), Some(place % 10), "{char}");
                known += 1;
            }
        }
        assert_eq!(known, 10 * ZEROS.len());
        assert!(ZEROS.is_sorted());
    }
}
