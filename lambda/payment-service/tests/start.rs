//! The binary with an invalid environment.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

#[test]
fn says_what_is_missing_and_ends() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payment-service"));
    command.env_clear().env("PAYMENTS_TABLE", "t").env("AWS_REGION", "us-east-1");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["message"], "the service cannot start");
    assert_eq!(line["error"], "the environment variable AUDIT_BUCKET is not set");
}
