//! A payment: how it is asked for, and how it is remembered.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::amount::{Amount, Currency};
use crate::card;

/// The longest id, in characters.
pub const LONGEST_ID: usize = 64;
/// The longest description, in characters.
pub const LONGEST_DESCRIPTION: usize = 140;

/// A payment that somebody asks for, and that is well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// What tells it from all others; the client chooses it, and repeats it when it asks again.
    pub transaction_id: String,
    /// Who pays.
    pub customer_id: String,
    /// How much.
    pub amount: Amount,
    /// In which currency.
    pub currency: Currency,
    /// What for.
    pub description: Option<String>,
}

/// A payment that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The payment.
    pub payment: Payment,
    /// When, to the millisecond.
    pub accepted_at: Timestamp,
    /// In which region: the home of its id.
    pub region: String,
    /// In which phase of the migration.
    pub phase: String,
    /// The request that it came with.
    pub correlation_id: String,
    /// Whether its audit record is written. Stored without, it waits for the next sweep ([`crate::Processor::repair`]).
    pub audited: bool,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The field that is wrong; none if the body as a whole is.
    pub field: Option<&'static str>,
    /// What is wrong, for the client. It repeats nothing of what the client sent.
    pub reason: String,
    /// Whether it is because of what looks like a card number.
    pub card: bool,
}

/// Whether `text` can be an id: a letter or digit, then letters, digits, `.`, `_` and `-`, 64 at most.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.len() <= LONGEST_ID
        && text.bytes().all(fits)
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

impl Payment {
    /// The payment that a request's body asks for.
    ///
    /// # Errors
    /// The first thing that is wrong.
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

    /// What tells payments with the same id apart: the SHA-256 of the content in its one form.
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

    /// Messages of the parser may repeat the input, so only its place is told.
    fn json(error: &serde_json::Error) -> Self {
        if let Some(known) = error.to_string().strip_prefix(OWN) {
            // The parser puts the place behind the message.
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

/// The fields that a request can have.
pub const FIELDS: [&str; 5] = ["amount", "currency", "customerId", "description", "transactionId"];
/// What our own messages through the parser begin with.
const OWN: &str = "refused: ";

/// The fields of a request as they were written, known or not.
struct Request(Vec<(String, Box<RawValue>)>);

impl Request {
    /// No field has a card number in its name or its value, and each is known. Fields are looked at one by one: an id
    /// that was generated is known by its form only if it stands alone.
    fn check(&self) -> Result<(), Refusal> {
        for (name, raw) in &self.0 {
            let text = serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
            if card::is_in(name) || card::is_in(&text) {
                let known = FIELDS.iter().find(|field| *field == name);
                let reason = "holds what looks like a card number; send a token of it";
                let refusal = known.map_or_else(
                    || Refusal::body(&format!("the body {reason}")),
                    |field| Refusal::field(field, reason),
                );
                return Err(Refusal { card: true, ..refusal });
            }
        }
        if self.0.iter().any(|(name, _)| !FIELDS.contains(&name.as_str())) {
            let known = FIELDS.join(", ");
            return Err(Refusal::body(&format!("the body has an unknown field; known are {known}")));
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

    /// A number, or a string with one: many clients cannot write decimal numbers otherwise.
    fn decimal(&self, name: &'static str) -> Result<String, Refusal> {
        let raw = self.raw(name).ok_or_else(|| Refusal::field(name, "is missing"))?;
        match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw).map_err(|_| Refusal::field(name, "must be a number")),
            Some(b'-' | b'0'..=b'9') => Ok(raw.to_owned()),
            _ => Err(Refusal::field(name, "must be a number, or a string with one")),
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

            /// Of two fields with one name parsers take this or that one, so there must not be two.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let known = FIELDS.iter().find(|field| **field == name);
                    if let Some(known) = known.filter(|_| fields.iter().any(|(field, _)| *field == name)) {
                        return Err(A::Error::custom(format!("{OWN}{known} is there twice")));
                    }
                    fields.push((name, map.next_value()?));
                }
                Ok(Request(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
