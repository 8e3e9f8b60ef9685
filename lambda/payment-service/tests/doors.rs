//! The binary's doors: encryption and API keys. Nothing here needs AWS.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, SignatureScheme};

struct Service {
    process: Child,
    address: SocketAddr,
    warnings: Vec<String>,
}

impl Service {
    fn start(variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_payment-service"));
        command.env_clear().envs([
            ("AUDIT_BUCKET", "b"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("BIND_ADDRESS", "127.0.0.1"),
            ("PAYMENTS_TABLE", "t"),
            ("PHASE", "legacy"),
            ("PORT", "0"),
        ]);
        command.envs(variables.iter().copied()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut service = Self { process, address: SocketAddr::from(([0, 0, 0, 0], 0)), warnings: Vec::new() };
        for line in lines {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if line["message"] == "listening" {
                service.address = line["address"].as_str().unwrap().parse().unwrap();
                break;
            }
            service.warnings.push(line["message"].as_str().unwrap().to_owned());
        }
        assert_ne!(service.address.port(), 0, "it did not start");
        service
    }

    /// The answer to a request without a body, over this connection.
    async fn ask<S: AsyncReadExt + AsyncWriteExt + Unpin>(mut stream: S, path: &str, key: Option<&str>) -> String {
        let key = key.map_or_else(String::new, |key| format!("x-api-key: {key}\r\n"));
        let request = format!("GET {path} HTTP/1.1\r\nHost: p\r\nConnection: close\r\n{key}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = Vec::new();
        // It may end without a word.
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8(text).unwrap()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Believes every certificate, as load balancers do.
#[derive(Debug)]
struct Anyone(CryptoProvider);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// unless it is told otherwise the service speaks TLS 1.2 and 1.3 with a certificate that it made, and nothing
/// in the clear.
#[tokio::test]
async fn x03_it_encrypts_with_a_certificate_of_its_own() {
    let service = Service::start(&[("AUTH", "none")]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = aws_lc_rs::default_provider();
        let config = ClientConfig::builder_with_provider(Arc::new(provider.clone()));
        let config = config.with_protocol_versions(&[version]).unwrap().dangerous();
        let config = config.with_custom_certificate_verifier(Arc::new(Anyone(provider))).with_no_client_auth();
        let name = ServerName::try_from("payment-service.internal").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, service.connect().await).await.unwrap();
        let answer = Service::ask(stream, "/health", None).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{version:?}: {answer}");
    }
    let answer = Service::ask(service.connect().await, "/health", None).await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
}

/// P-09: with API keys, payments are for callers with a valid one; the health check needs none.
#[tokio::test]
async fn p09_payments_are_for_callers_with_a_key() {
    let hash = |key: &str| Sha256::digest(key).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let keys = serde_json::json!({ "sha256": [hash("old key"), hash("new key")] }).to_string();
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
        let answer = Service::ask(service.connect().await, path, key).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path} {key:?}: {answer}");
    }
    let encrypted = "TLS=none: whoever is on the network can read payments and API keys";
    assert_eq!(service.warnings, [encrypted]);
    let open = Service::start(&[("AUTH", "none"), ("TLS", "none")]);
    assert_eq!(open.warnings, ["AUTH=none: whoever reaches this service can make and read payments", encrypted]);
}
