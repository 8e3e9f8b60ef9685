//! Which requests are refused, and with which reason (P-09).

#![expect(clippy::unwrap_used, reason = "a test")]

use payment_core::{Payment, Refusal, card};
use proptest::prelude::*;
use serde_json::{Value, json};

fn refused(body: &str) -> (Option<&'static str>, String) {
    let Refusal { field, reason } = Payment::parse(body.as_bytes()).unwrap_err();
    (field, reason)
}

#[test]
fn p09_a_payment_is_read_as_it_was_written() {
    let body = r#"{"transactionId":"t-1","customerId":"c.1","amount":12.5,"currency":"EUR","description":"Tea ☕"}"#;
    let payment = Payment::parse(body.as_bytes()).unwrap();
    assert_eq!((&*payment.transaction_id, &*payment.customer_id), ("t-1", "c.1"));
    assert_eq!((payment.amount.to_string(), payment.currency.to_string()), ("12.50".to_owned(), "EUR".to_owned()));
    assert_eq!(payment.description.as_deref(), Some("Tea ☕"));
    // 0.1 + 0.2 would show what a binary fraction makes of it, and so would sixteen digits.
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
            "amount must be a number, or a string with one",
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
        (r#"{"transactionId":"t","customerId":"c","amount":1,"amount":2}"#, None, "amount is there twice"),
        (
            r#"{"transactionId":"t","customerId":"c","amount":1,"iban":"x"}"#,
            None,
            "the body has an unknown field; known are amount, currency, customerId, description, transactionId",
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

/// However it is written and wherever it stands, a card number is refused and not repeated.
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

fn request() -> impl Strategy<Value = (String, String, u64, Option<String>)> {
    let id = "[a-zA-Z][a-zA-Z0-9._-]{0,12}";
    (id, id, 1..=99_999_999_999_999_u64, proptest::option::of("[a-z ]{0,20}"))
}

proptest! {
    /// Whatever comes is a payment or a refusal, and a refusal shows no long number.
    #[test]
    fn p09_nothing_that_comes_breaks_it(body in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(refusal) = Payment::parse(&body) {
            prop_assert_eq!(card::redact(&refusal.reason), refusal.reason.as_str());
        }
    }

    /// An amount in cents comes out as it went in, as a number and as a text.
    #[test]
    fn p09_no_cent_is_lost((id, customer, cents, description) in request(), text in any::<bool>()) {
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let mut body = json!({ "transactionId": id, "customerId": customer, "amount": "AMOUNT" });
        if let Some(description) = &description {
            body["description"] = Value::from(description.as_str());
        }
        let amount_there = if text { format!("\"{amount}\"") } else { amount.clone() };
        let body = body.to_string().replace("\"AMOUNT\"", &amount_there);
        prop_assume!(!card::is_in(&body));
        let payment = Payment::parse(body.as_bytes()).unwrap();
        prop_assert_eq!(payment.amount.to_string(), amount);
        prop_assert_eq!(payment.description, description);
    }

    /// Two ways to write the same content have the same hash, and other content has another.
    #[test]
    fn p09_the_hash_is_that_of_the_content((id, customer, cents, _) in request(), other in 1..=99_999_u64) {
        let body = |amount: String| json!({ "transactionId": id, "customerId": customer, "amount": amount }).to_string();
        let plain = body(format!("{}.{:02}", cents / 100, cents % 100));
        prop_assume!(!card::is_in(&plain));
        let hash = Payment::parse(plain.as_bytes()).unwrap().content_hash();
        let spaced = plain.replace(',', " ,\n ").replace(':', ": ");
        prop_assert_eq!(&Payment::parse(spaced.as_bytes()).unwrap().content_hash(), &hash);
        let changed = body(format!("{}.{:02}", (cents + other) / 100, (cents + other) % 100));
        if let Ok(changed) = Payment::parse(changed.as_bytes()) {
            prop_assert_ne!(&changed.content_hash(), &hash);
        }
    }
}
