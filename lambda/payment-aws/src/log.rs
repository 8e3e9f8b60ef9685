//! Logging: one line of JSON per event, which CloudWatch Logs can search by field.
//!
//! All values pass through [`card::redact`] here, so no line contains a card number.

use std::error::Error;
use std::fmt::Debug;
use std::io::{self, Write};
use std::process::ExitCode;

use jiff::Timestamp;
use payment_core::card;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Runs a program whose events are written to standard output; the variable `LOG` selects them, by default `info`. If it
/// fails, `failure` and the error are the last line.
pub async fn logged(run: impl Future<Output = Result<(), Box<dyn Error>>>, failure: &str) -> ExitCode {
    let filter = EnvFilter::try_from_env("LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::registry().with(filter).with(JsonLines).init();
    match run.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Writes events to standard output.
#[derive(Clone, Copy, Debug, Default)]
struct JsonLines;

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(Map::new());
        event.record(&mut line);
        line.0.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.0.insert("timestamp".to_owned(), Timestamp::now().to_string().into());
        write(&Value::Object(line.0));
    }
}

/// Writes a line to standard output. Errors are ignored, because they cannot be reported.
pub fn write(line: &Value) {
    let _ = io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}

/// The fields of an event.
struct Line(Map<String, Value>);

impl Line {
    fn text(&mut self, field: &Field, text: &str) {
        self.0.insert(field.name().to_owned(), card::redact(text).into());
    }

    fn number(&mut self, field: &Field, number: impl ToString + Into<Value>) {
        let text = number.to_string();
        let shown = if card::redact(&text) == text { number.into() } else { card::redact(&text).into() };
        self.0.insert(field.name().to_owned(), shown);
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Collects the fields of events.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Value>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut line = Line(Map::new());
            event.record(&mut line);
            self.0.lock().unwrap().push(Value::Object(line.0));
        }
    }

    #[test]
    fn p09_no_field_of_any_event_has_a_card_number() {
        let kept = Kept::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(kept.clone()), || {
            let card = "4111111111111111";
            tracing::info!(text = card, debug = ?[card], shown = %card, number = 4_111_111_111_111_111_u64, "card {card}");
            tracing::info!(bytes = 12, fine = true, "no card");
        });
        let lines = kept.0.lock().unwrap();
        let hidden = "[number hidden]";
        for name in ["text", "shown", "number"] {
            assert_eq!(lines[0][name], hidden, "{name}");
        }
        assert_eq!(lines[0]["message"], format!("card {hidden}"));
        assert!(!lines[0].to_string().contains("4111"), "{}", lines[0]);
        assert_eq!(lines[1], serde_json::json!({ "bytes": 12, "fine": true, "message": "no card" }));
    }
}
