//! Rejected requests and the reasons (P-09).

#![expect(clippy::unwrap_used, reason = "a test")]

use payment_core::{Payment, Refusal, card};
use proptest::prelude::*;
use serde_json::{Value, json};

fn refused(body: &str) -> (Option<&'static str>, String) {
    let Refusal { field, reason, .. } = Payment::parse(body.as_bytes()).unwrap_err();
    (field, reason)
}

#[test]
fn p09_a_payment_is_read_as_it_was_written() {
    let body = r#"{"transactionId":"t-1","customerId":"c.1","amount":12.5,"currency":"EUR","description":"Tea ☕"}"#;
    let payment = Payment::parse(body.as_bytes()).unwrap();
    assert_eq!((&*payment.transaction_id, &*payment.customer_id), ("t-1", "c.1"));
    assert_eq!((payment.amount.to_string(), payment.currency.to_string()), ("12.50".to_owned(), "EUR".to_owned()));
    assert_eq!(payment.description.as_deref(), Some("Tea ☕"));
    // Binary floating point would change 0.1 + 0.2 and numbers of sixteen digits.
    for (amount, expected) in
        [("0.30", "0.30"), ("\"0.3\"", "0.30"), ("123456789012.34", "123456789012.34"), ("7", "7.00")]
    {
        let body = format!(r#"{{"transactionId":"t","customerId":"c","amount":{amount}}}"#);
        assert_eq!(Payment::parse(body.as_bytes()).unwrap().amount.to_string(), expected, "{amount}");
    }
}

#[test]
fn p09_what_is_missing_or_wrong_is_refused_with_the_reason() {
    let long = "a".repeat(65);
    let talk = "a".repeat(141);
    let id = "must have 1 to 64 letters, digits, `.`, `_` and `-`, a letter or digit first";
    for (body, field, reason) in [
        ("", None, "the body is not JSON: see line 1, column 0"),
        ("{", None, "the body is not JSON: see line 1, column 1"),
        ("[]", None, "the body is not a JSON object"),
        ("null", None, "the body is not a JSON object"),
        ("\"text\"", None, "the body is not a JSON object"),
        ("{}", Some("transactionId"), "transactionId is missing"),
        (r#"{"transactionId":"t"}"#, Some("customerId"), "customerId is missing"),
        (r#"{"transactionId":null,"customerId":"c","amount":1}"#, Some("transactionId"), "transactionId is missing"),
        (r#"{"transactionId":"t","customerId":"c"}"#, Some("amount"), "amount is missing"),
        (r#"{"transactionId":7,"customerId":"c","amount":1}"#, Some("transactionId"), "transactionId must be a string"),
        (
            r#"{"transactionId":"t","customerId":"c","amount":true}"#,
            Some("amount"),
            "amount must be a number or a string that contains one",
        ),
        (r#"{"transactionId":"t","customerId":"c","amount":0}"#, Some("amount"), "amount must be greater than zero"),
        (r#"{"transactionId":"t","customerId":"c","amount":-1}"#, Some("amount"), "amount must be greater than zero"),
        (
            r#"{"transactionId":"t","customerId":"c","amount":1e2}"#,
            Some("amount"),
            "amount must be a decimal number such as 12.50, without exponent or sign",
        ),
        (
            r#"{"transactionId":"t","customerId":"c","amount":1.234}"#,
            Some("amount"),
            "amount must have at most 2 decimals in USD",
        ),
        (
            r#"{"transactionId":"t","customerId":"c","amount":1,"currency":"euro"}"#,
            Some("currency"),
            "currency must be an ISO 4217 code such as USD",
        ),
        (r#"{"transactionId":"t","customerId":"c","amount":1,"amount":2}"#, None, "amount is duplicated"),
        (
            r#"{"transactionId":"t","customerId":"c","amount":1,"iban":"x"}"#,
            None,
            "the body has an unknown field; known fields: amount, currency, customerId, description, transactionId",
        ),
        (
            r#"{"transactionId":"t","customerId":"c","amount":1,"description":"a\nb"}"#,
            Some("description"),
            "description must be one line of text",
        ),
        (r#"{"transactionId":"t","customerId":"c","amount":1} x"#, None, "the body is not JSON: see line 1, column 51"),
    ] {
        assert_eq!(refused(body), (field, reason.to_owned()), "{body}");
    }
    for wrong in ["", " ", "-t", "a/b", "a b", "ä", "a\u{0}", &long] {
        let body = json!({ "transactionId": wrong, "customerId": "c", "amount": 1 }).to_string();
        assert_eq!(refused(&body), (Some("transactionId"), format!("transactionId {id}")), "{wrong:?}");
    }
    let body = json!({ "transactionId": "t", "customerId": "c", "amount": 1, "description": talk }).to_string();
    assert_eq!(refused(&body).1, "description must have at most 140 characters");
    assert_eq!(Payment::parse(&[0xff, b'{']).unwrap_err().reason, "the body is not UTF-8");
}

/// A card number is rejected in any form and position, and not shown.
#[test]
fn p09_card_numbers_are_refused_and_not_repeated() {
    for body in [
        r#"{"transactionId":"4111111111111111","customerId":"c","amount":1}"#,
        r#"{"transactionId":"t","customerId":"c","amount":1,"description":"card 4111 1111 1111 1111"}"#,
        r#"{"transactionId":"t","customerId":"c","amount":1,"cardNumber":4111111111111111}"#,
        r#"{"4111111111111111":1}"#,
        r#"{"transactionId":"t","customerId":"c","amount":1,"description":"\u00341111111 11111111"}"#,
        r#"{"transactionId":"\u0034111-1111-1111-1111","customerId":"c","amount":1}"#,
    ] {
        let (_, reason) = refused(body);
        assert!(reason.contains("looks like a card number"), "{body}: {reason}");
        assert!(!reason.contains("1111"), "{reason}");
    }
}

/// Card numbers that the schemes publish for tests.
const CARDS: [&str; 14] = [
    "4111111111111111",
    "4012888888881881",
    "4222222222222",
    "5500000000000004",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "30569309025904",
    "38520000023237",
    "6011111111111117",
    "3530111333300000",
    "6200000000000005",
    "6304000000000000",
];
/// The zeros of the digits in which a number can be written: some scripts, and forms that NFKC maps to digits.
const ZEROS: [u32; 14] =
    [0x30, 0x30, 0x660, 0x6f0, 0x966, 0xe50, 0xff10, 0x1d7ce, 0x1d7f6, 0x1fbf0, 0x1040, 0x17e0, 0x104a0, 0x2080];
/// Characters that can separate digits; some are invisible.
const BETWEEN: [&str; 20] = [
    "",
    " ",
    "-",
    ".",
    "\u{a0}",
    "\u{2009}",
    "\u{3000}",
    "\u{200b}",
    "\u{200d}\u{200d}\u{200d}\u{200d}",
    "\u{feff}",
    "/",
    " - ",
    "_",
    "x",
    "abc",
    "\u{ad}",
    "\u{2013}",
    "\u{301}",
    "\u{202e}",
    "\u{fe0f}\u{20e3}",
];
/// Text that can surround a number.
const AROUND: [&str; 8] = ["", "card ", "0", "00000", "99", "ref:", "\u{feff}", "a-"];

/// A card number, disguised in random ways.
fn disguise() -> impl Strategy<Value = String> {
    let digit = (prop::sample::select(&ZEROS[..]), prop::sample::select(&BETWEEN[..]));
    let around = (prop::sample::select(&AROUND[..]), prop::sample::select(&AROUND[..]));
    (prop::sample::select(&CARDS[..]), prop::collection::vec(digit, 19), any::<bool>(), around).prop_map(
        |(card, forms, alike, (before, after))| {
            let mut text = before.to_owned();
            for (place, digit) in card.chars().enumerate() {
                let (zero, between) = forms[if alike { 0 } else { place }];
                text.push_str(if place > 0 { between } else { "" });
                text.push(char::from_u32(zero + digit.to_digit(10).unwrap()).unwrap());
            }
            text + after
        },
    )
}

/// The same, restricted to the characters of an id.
fn disguised_id() -> impl Strategy<Value = String> {
    let between = prop::collection::vec(prop::sample::select(vec!["", "-", ".", "_", "a", "x-y", "Z9"]), 19);
    let around = prop::sample::select(vec!["", "0", "t-", "card.", "12"]);
    (prop::sample::select(&CARDS[..]), between, any::<bool>(), around).prop_map(|(card, between, alike, around)| {
        let joined = card.chars().enumerate().map(|(place, digit)| {
            // Another digit in between makes a different number.
            let between = between[if alike { 0 } else { place }].trim_end_matches('9');
            if place > 0 { format!("{between}{digit}") } else { digit.to_string() }
        });
        format!("{around}{}", joined.collect::<String>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// P-09: a disguised card number in any field, field name or unknown field is rejected; neither the reason nor a
    /// redacted log contains it.
    #[test]
    fn p09_a_disguised_card_number_is_refused_in_every_field(text in disguise(), id in disguised_id(), escaped: bool) {
        for field in ["transactionId", "customerId", "amount", "currency", "description", "note", "nested", "name"] {
            let text = if field.ends_with("Id") { &id } else { &text };
            let mut body = json!({ "transactionId": "t", "customerId": "c", "amount": "1" });
            match field {
                "nested" => body["note"] = json!([{ "text": [text] }]),
                "name" => body[text] = json!(1),
                field => body[field] = json!(text),
            }
            let mut body = body.to_string();
            // Escapes in nested values of unknown fields are not decoded: these values are not kept.
            if escaped && field != "nested" {
                let escape = |char: char| -> String {
                    let mut units = [0; 2];
                    let units = char.encode_utf16(&mut units);
                    units.iter().fold(String::new(), |text, unit| format!("{text}\\u{unit:04x}"))
                };
                let hidden: String = text.chars().map(escape).collect();
                body = body.replace(&json!(text).to_string(), &format!("\"{hidden}\""));
            }
            let refusal = Payment::parse(body.as_bytes()).unwrap_err();
            prop_assert!(refusal.card, "{} {:?}: {}", field, body, refusal);
            prop_assert_eq!(card::redact(&refusal.reason), refusal.reason.as_str());
            let logged = card::redact(text);
            prop_assert!(!card::is_in(&logged), "{:?} is logged as {:?}", text, logged);
        }
    }

    /// Generated ids are accepted, whatever their digits.
    #[test]
    fn p09_a_generated_id_is_an_id(random: u128, upper: bool) {
        let uuid = uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid();
        let mut id = if upper { uuid.simple().to_string() } else { uuid.hyphenated().to_string() };
        if upper {
            id.make_ascii_uppercase();
        }
        let body = json!({ "transactionId": id, "customerId": "c", "amount": 1 }).to_string();
        prop_assert_eq!(Payment::parse(body.as_bytes()).unwrap().transaction_id, id.clone());
        prop_assert_eq!(card::redact(&id), id.as_str());
    }
}

/// Random bytes, or a request with a few random changes.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    const WHOLE: &str =
        r#"{"transactionId":"t-1","customerId":"c-1","amount":12.50,"currency":"EUR","description":"Tea"}"#;
    let piece = prop::sample::select(vec![
        "\"",
        "{",
        "}",
        "[",
        ",",
        ":",
        "\\",
        "\\u0034",
        "\\ud800",
        "null",
        "-",
        "0",
        "1e9",
        "4111",
        "1111",
        "\u{663}",
        "\u{200b}",
        "\u{0}",
        "\"amount\":1",
        "XAU",
    ]);
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), piece);
    let changed = prop::collection::vec(change, 1..6).prop_map(|changes| {
        let mut bytes = WHOLE.as_bytes().to_vec();
        for (start, length, piece) in changes {
            let start = start.index(bytes.len() + 1);
            let end = bytes.len().min(start + length.index(4));
            bytes.splice(start..end, piece.bytes());
        }
        bytes
    });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..200), changed]
}

fn request() -> impl Strategy<Value = (String, String, u64, Option<String>)> {
    let id = "[a-zA-Z][a-zA-Z0-9._-]{0,12}";
    (id, id, 1..=99_999_999_999_999_u64, proptest::option::of("[a-z ]{0,20}"))
}

proptest! {
    /// Any input is either a payment without a card number, or rejected with a reason that shows no long number.
    /// `PROPTEST_CASES=1000000 cargo test --release -p payment-core --test requests nothing_that_comes` tests a
    /// million.
    #[test]
    fn p09_nothing_that_comes_breaks_it(body in anything()) {
        match Payment::parse(&body) {
            Err(refusal) => prop_assert_eq!(card::redact(&refusal.reason), refusal.reason.as_str()),
            Ok(payment) => {
                for text in [Some(&payment.transaction_id), Some(&payment.customer_id), payment.description.as_ref()] {
                    prop_assert!(!text.is_some_and(|text| card::is_in(text)), "{:?}", payment);
                }
                prop_assert!(!card::is_in(&payment.amount.to_string()) && payment.content_hash().len() == 64);
            }
        }
    }

    /// An amount in cents survives a round trip, as a number and as a string.
    #[test]
    fn p09_no_cent_is_lost((id, customer, cents, description) in request(), text in any::<bool>()) {
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let mut body = json!({ "transactionId": id, "customerId": customer, "amount": "AMOUNT" });
        if let Some(description) = &description {
            body["description"] = Value::from(description.as_str());
        }
        let amount_there = if text { format!("\"{amount}\"") } else { amount.clone() };
        let body = body.to_string().replace("\"AMOUNT\"", &amount_there);
        prop_assume!(![&*id, &*customer, &*amount].into_iter().any(card::is_in));
        let payment = Payment::parse(body.as_bytes()).unwrap();
        prop_assert_eq!(payment.amount.to_string(), amount);
        prop_assert_eq!(payment.description, description);
    }

    /// Equal content in different notations has the same hash; different content has different hashes.
    #[test]
    fn p09_the_hash_is_that_of_the_content((id, customer, cents, _) in request(), other in 1..=99_999_u64) {
        let body = |amount: String| json!({ "transactionId": id, "customerId": customer, "amount": amount }).to_string();
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        prop_assume!(![&*id, &*customer, &*amount].into_iter().any(card::is_in));
        let plain = body(amount);
        let hash = Payment::parse(plain.as_bytes()).unwrap().content_hash();
        let spaced = plain.replace(',', " ,\n ").replace(':', ": ");
        prop_assert_eq!(&Payment::parse(spaced.as_bytes()).unwrap().content_hash(), &hash);
        let changed = body(format!("{}.{:02}", (cents + other) / 100, (cents + other) % 100));
        if let Ok(changed) = Payment::parse(changed.as_bytes()) {
            prop_assert_ne!(&changed.content_hash(), &hash);
        }
    }
}
