//! Runs the binary as a separate process, without AWS or with a simulated AWS that accepts every request.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, ClientConfig, DEFAULT_VERSIONS, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion,
};

/// A running service. Dropping it kills it.
pub(crate) struct Service {
    process: Child,
    pub(crate) address: SocketAddr,
    /// The warnings that it logged before it listened.
    pub(crate) warnings: Vec<String>,
}

impl Service {
    /// Starts it with these variables, and without AWS unless they set an endpoint.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Self {
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
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut service = Self { process, address: SocketAddr::from(([0, 0, 0, 0], 0)), warnings: Vec::new() };
        for line in lines.by_ref() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if line["message"] == "listening" {
                service.address = line["address"].as_str().unwrap().parse().unwrap();
                break;
            }
            service.warnings.push(line["message"].as_str().unwrap().to_owned());
        }
        assert_ne!(service.address.port(), 0, "it did not start");
        // Drains the pipe, because a full pipe would block the service.
        thread::spawn(move || lines.count());
        service
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A TLS connection with one of these versions.
    pub(crate) async fn connect_tls(&self, versions: &[&'static SupportedProtocolVersion]) -> TlsStream<TcpStream> {
        let provider = aws_lc_rs::default_provider();
        let config = ClientConfig::builder_with_provider(Arc::new(provider.clone()));
        let config = config.with_protocol_versions(versions).unwrap().dangerous();
        let config = config.with_custom_certificate_verifier(Arc::new(Anyone(provider))).with_no_client_auth();
        let name = ServerName::try_from("payment-service.internal").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.connect().await).await.unwrap()
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// All supported versions.
pub(crate) const ALL: &[&SupportedProtocolVersion] = DEFAULT_VERSIONS;

/// The hash of a key, in the form that the service expects.
pub(crate) fn hash(key: &str) -> String {
    Sha256::digest(key).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The document with the hashes of these keys.
pub(crate) fn hashes(keys: &[&str]) -> String {
    json!({ "sha256": keys.iter().map(|key| hash(key)).collect::<Vec<_>>() }).to_string()
}

/// Accepts every certificate, as load balancers do.
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
