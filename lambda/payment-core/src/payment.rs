//! Payments: requests to make one, and stored ones.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::amount::{Amount, Currency};
use crate::card;

/// The maximum size of the body of a request, in bytes.
pub const LONGEST_BODY: usize = 16 * 1024;
/// The maximum length of an id, in characters.
pub const LONGEST_ID: usize = 64;
/// The maximum length of a description, in characters.
pub const LONGEST_DESCRIPTION: usize = 140;

/// A valid request for a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The idempotency key: the client chooses it, and sends it again when it repeats the request.
    pub transaction_id: String,
    /// The customer who pays.
    pub customer_id: String,
    /// The amount.
    pub amount: Amount,
    /// The currency.
    pub currency: Currency,
    /// The purpose.
    pub description: Option<String>,
}

/// A stored payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The payment.
    pub payment: Payment,
    /// The time, in milliseconds.
    pub accepted_at: Timestamp,
    /// The region that stored it: the home of its id at that time.
    pub region: String,
    /// The phase of the migration at that time.
    pub phase: String,
    /// The correlation id of the request.
    pub correlation_id: String,
    /// Whether its audit record is written. Without one, the next sweep writes it ([`crate::Processor::repair`]).
    pub audited: bool,
}

/// The reason why a request is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The invalid field; `None` if the body as a whole is invalid.
    pub field: Option<&'static str>,
    /// The message for the client. It contains no part of the request.
    pub reason: String,
    /// Whether the reason is a possible card number.
    pub card: bool,
}

/// Whether `text` is a valid id: a letter or digit, then letters, digits, `.`, `_` and `-`, 64 characters at most.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.len() <= LONGEST_ID
        && text.bytes().all(fits)
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

impl Payment {
    /// Parses the body of a request.
    ///
    /// # Errors
    /// The first problem.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body).map_err(|_| Refusal::body("the body is not UTF-8"))?;
        let request: Request = serde_json::from_str(text).map_err(|error| Refusal::json(&error))?;
        request.check()?;
        let transaction_id = request.id("transactionId")?;
        let customer_id = request.id("customerId")?;
        let currency = request.string("currency")?.as_deref().map(Currency::parse).transpose();
        let currency = currency.map_err(|reason| Refusal::field("currency", &reason))?.unwrap_or(Currency::DEFAULT);
        let amount = Amount::parse(&request.decimal("amount")?, currency);
        let amount = amount.map_err(|reason| Refusal::field("amount", &reason))?;
        let description = request.string("description")?;
        if let Some(text) = &description {
            describes(text).map_err(|reason| Refusal::field("description", &reason))?;
        }
        Ok(Self { transaction_id, customer_id, amount, currency, description })
    }

    /// Distinguishes payments with the same id: the SHA-256 of the normalized content.
    #[must_use]
    pub fn content_hash(&self) -> String {
        let content = json!({
            "amount": self.amount.to_string(),
            "currency": self.currency.to_string(),
            "customerId": self.customer_id,
            "description": self.description,
            "transactionId": self.transaction_id,
        });
        Sha256::digest(content.to_string()).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}

impl Refusal {
    fn body(reason: &str) -> Self {
        Self { field: None, reason: reason.to_owned(), card: false }
    }

    fn field(field: &'static str, reason: &str) -> Self {
        Self { field: Some(field), reason: format!("{field} {reason}"), card: false }
    }

    /// Messages of the parser may contain input, so only the position is shown.
    fn json(error: &serde_json::Error) -> Self {
        if let Some(known) = error.to_string().strip_prefix(OWN) {
            // The parser appends the position to the message.
            return Self::body(known.split(" at line ").next().unwrap_or(known));
        }
        match error.classify() {
            serde_json::error::Category::Data => Self::body("the body is not a JSON object"),
            _ if error.line() == 0 => Self::body("the body is not JSON"),
            _ => Self::body(&format!("the body is not JSON: see line {}, column {}", error.line(), error.column())),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

fn describes(text: &str) -> Result<(), String> {
    if text.chars().count() > LONGEST_DESCRIPTION {
        return Err(format!("must have at most {LONGEST_DESCRIPTION} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must be one line of text".to_owned());
    }
    Ok(())
}

/// The known fields of a request.
pub const FIELDS: [&str; 5] = ["amount", "currency", "customerId", "description", "transactionId"];
/// The prefix of our own messages that pass through the parser.
const OWN: &str = "refused: ";

/// The fields of a request in their original form, both known and unknown.
struct Request(Vec<(String, Box<RawValue>)>);

impl Request {
    /// Checks that no field has a card number in its name or value, and that all fields are known. Fields are checked
    /// individually, because a UUID or ULID is only recognized as a whole value.
    fn check(&self) -> Result<(), Refusal> {
        for (name, raw) in &self.0 {
            let text = serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
            if card::is_in(name) || card::is_in(&text) {
                let known = FIELDS.iter().find(|field| *field == name);
                let reason = "contains what looks like a card number; send a token instead";
                let refusal = known.map_or_else(
                    || Refusal::body(&format!("the body {reason}")),
                    |field| Refusal::field(field, reason),
                );
                return Err(Refusal { card: true, ..refusal });
            }
        }
        if self.0.iter().any(|(name, _)| !FIELDS.contains(&name.as_str())) {
            let known = FIELDS.join(", ");
            return Err(Refusal::body(&format!("the body has an unknown field; known fields: {known}")));
        }
        Ok(())
    }

    fn raw(&self, name: &'static str) -> Option<&str> {
        let field = self.0.iter().find(|(field, _)| *field == name)?.1.get();
        Some(field).filter(|raw| *raw != "null")
    }

    fn string(&self, name: &'static str) -> Result<Option<String>, Refusal> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw).map(Some).map_err(|_| Refusal::field(name, "must be a string"))
    }

    fn id(&self, name: &'static str) -> Result<String, Refusal> {
        let id = self.string(name)?.ok_or_else(|| Refusal::field(name, "is missing"))?;
        if !is_id(&id) {
            let reason =
                format!("must have 1 to {LONGEST_ID} letters, digits, `.`, `_` and `-`, a letter or digit first");
            return Err(Refusal::field(name, &reason));
        }
        Ok(id)
    }

    /// A number, or a string with a number: many clients cannot write decimal numbers otherwise.
    fn decimal(&self, name: &'static str) -> Result<String, Refusal> {
        let raw = self.raw(name).ok_or_else(|| Refusal::field(name, "is missing"))?;
        match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw).map_err(|_| Refusal::field(name, "must be a number")),
            Some(b'-' | b'0'..=b'9') => Ok(raw.to_owned()),
            _ => Err(Refusal::field(name, "must be a number or a string that contains one")),
        }
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Request;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            /// Parsers disagree about which of two fields with the same name counts, so duplicates are rejected.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let known = FIELDS.iter().find(|field| **field == name);
                    if let Some(known) = known.filter(|_| fields.iter().any(|(field, _)| *field == name)) {
                        return Err(A::Error::custom(format!("{OWN}{known} is duplicated")));
                    }
                    fields.push((name, map.next_value()?));
                }
                Ok(Request(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
