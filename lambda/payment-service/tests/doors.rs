//! Encryption and API keys of the binary. These tests do not use AWS.

#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(dead_code, reason = "not all shared items are used here")]

mod support;

use support::{Service, hash, hashes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::version::{TLS12, TLS13};

/// The response to a request without a body on this connection.
async fn ask<S: AsyncReadExt + AsyncWriteExt + Unpin>(mut stream: S, path: &str, key: Option<&str>) -> String {
    let key = key.map_or_else(String::new, |key| format!("x-api-key: {key}\r\n"));
    let request = format!("GET {path} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n{key}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    // The connection may end without a TLS close message.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

/// by default, the service speaks TLS 1.2 and 1.3 with a generated certificate, and rejects plain HTTP.
#[tokio::test]
async fn x03_it_encrypts_with_a_certificate_of_its_own() {
    let service = Service::start(&[("AUTH", "none")]);
    for version in [&TLS12, &TLS13] {
        let stream = service.connect_tls(&[version]).await;
        let answer = ask(stream, "/health", None).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{version:?}: {answer}");
    }
    let answer = ask(service.connect().await, "/health", None).await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
}

/// P-09: with API keys, payments require a valid key; the health check requires none.
#[tokio::test]
async fn p09_payments_are_for_callers_with_a_key() {
    let keys = hashes(&["old key", "new key"]);
    let service = Service::start(&[("API_KEYS", &keys), ("TLS", "none")]);
    for (path, key, status) in [
        ("/payments/a:b", Some("old key"), "404"),
        ("/payments/a:b", Some("new key"), "404"),
        ("/payments/a:b", Some("other key"), "401"),
        ("/payments/a:b", Some(&hash("new key")), "401"),
        ("/payments/a:b", None, "401"),
        ("/payments", None, "401"),
        ("/health", None, "200"),
        ("/", None, "404"),
    ] {
        let answer = ask(service.connect().await, path, key).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {key:?}: {answer}");
    }
    let encrypted = "TLS=none: anyone on the network can read payments and API keys";
    assert_eq!(service.warnings, [encrypted]);
    let open = Service::start(&[("AUTH", "none"), ("TLS", "none")]);
    assert_eq!(open.warnings, ["AUTH=none: anyone who can reach this service can make and read payments", encrypted]);
}
