//! The committed API description matches the code.

#![expect(clippy::unwrap_used, reason = "a test")]

/// `PAYMENT_OPENAPI=write cargo test --workspace --test openapi` writes the document.
#[test]
fn the_committed_document_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi-function.json");
    let made = format!("{:#}\n", payment_processor::document());
    if std::env::var("PAYMENT_OPENAPI").is_ok_and(|value| value == "write") {
        std::fs::write(path, &made).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), made);
}
