//! CBOR (RFC 8949), which newer CloudWatch clients send.

use serde_json::{Map, Number, Value};

/// A document as JSON: byte strings become text, and tags are dropped.
pub(super) fn parse(bytes: &[u8]) -> Option<Value> {
    if bytes.is_empty() {
        return Some(Value::Object(Map::new()));
    }
    let mut reader = Reader { bytes };
    let value = reader.value(0)?;
    value.filter(|_| reader.bytes.is_empty())
}

struct Reader<'a> {
    bytes: &'a [u8],
}

/// Deeper documents are refused.
const DEPTH: usize = 64;

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn number(&mut self, length: usize) -> Option<u64> {
        Some(self.take(length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A value, or `None` within for the end of one of unknown length.
    #[expect(clippy::option_option, reason = "neither an error nor the end is a value")]
    fn value(&mut self, depth: usize) -> Option<Option<Value>> {
        if depth > DEPTH {
            return None;
        }
        let head = *self.take(1)?.first()?;
        let (major, info) = (head >> 5, head & 31);
        if head == 0xff {
            return Some(None);
        }
        let argument = match info {
            0..24 => Some(u64::from(info)),
            24..28 => Some(self.number(1 << (info - 24))?),
            31 => None,
            _ => return None,
        };
        let length = argument.map(usize::try_from).transpose().ok()?;
        Some(Some(match major {
            0 => argument?.into(),
            1 => Number::from_i128(-1 - i128::from(argument?)).map_or(Value::Null, Value::Number),
            2 | 3 => Value::String(self.text(length, depth)?),
            4 => {
                let mut items = Vec::new();
                while length.is_none_or(|length| items.len() < length) {
                    match self.value(depth + 1)? {
                        Some(item) => items.push(item),
                        None if length.is_none() => break,
                        None => return None,
                    }
                }
                Value::Array(items)
            }
            5 => {
                let mut members = Map::new();
                let mut read = 0;
                while length.is_none_or(|length| read < length) {
                    match self.value(depth + 1)? {
                        Some(Value::String(key)) => drop(members.insert(key, self.value(depth + 1)??)),
                        None if length.is_none() => break,
                        _ => return None,
                    }
                    read += 1;
                }
                Value::Object(members)
            }
            6 => self.value(depth + 1)??,
            _ => match (info, argument?) {
                (20, _) => false.into(),
                (21, _) => true.into(),
                (22 | 23, _) => Value::Null,
                (26, bits) => f64::from(f32::from_bits(u32::try_from(bits).ok()?)).into(),
                (27, bits) => f64::from_bits(bits).into(),
                _ => return None,
            },
        }))
    }

    fn text(&mut self, length: Option<usize>, depth: usize) -> Option<String> {
        if let Some(length) = length {
            return Some(String::from_utf8_lossy(self.take(length)?).into_owned());
        }
        let mut text = String::new();
        while let Some(part) = self.value(depth + 1)? {
            text += part.as_str()?;
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents() {
        // As the SDK for Rust encodes it: a map of unknown length.
        let sent = b"\xbf\x69AlarmName\x61a\x69Threshold\xfb\x3f\xf8\0\0\0\0\0\0\x66Period\x18\x3c\
                     \x4fTime\xc1\x1a\0\0\0\x01\xff";
        assert_eq!(parse(sent), None, "a byte string is no key of a known length");
        let sent = b"\xbf\x69AlarmName\x61a\x69Threshold\xfb\x3f\xf8\0\0\0\0\0\0\x66Period\x18\x3c\
                     \x64Time\xc1\x1a\0\0\0\x01\x65Names\x82\x61a\x61b\x63Low\x20\x62On\xf5\xff";
        let expected = json!({
            "AlarmName": "a", "Threshold": 1.5, "Period": 60, "Time": 1, "Names": ["a", "b"], "Low": -1, "On": true,
        });
        assert_eq!(parse(sent), Some(expected));
        assert_eq!(parse(b""), Some(json!({})));
        assert_eq!(parse(b"\xa1\x61"), None);
        assert_eq!(parse(&[0x81; 1000]), None);
    }
}
