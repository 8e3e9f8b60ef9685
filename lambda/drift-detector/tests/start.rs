//! The binary.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::process::{Command, Stdio};

/// T-08: outside of Lambda, it says what is missing, and ends.
#[test]
fn t08_it_needs_the_runtime_api_of_lambda() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drift-detector"));
    let output = command.env_remove("AWS_LAMBDA_RUNTIME_API").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("AWS_LAMBDA_RUNTIME_API is not set"), "{said}");
}
