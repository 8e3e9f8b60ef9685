//! TLS up to the process: with a certificate that is generated at startup, or one from Secrets Manager.
//!
//! A load balancer encrypts connections to its targets but does not verify their certificates, so a generated
//! certificate
//! is sufficient to keep others on the network from reading the traffic.

use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use serde::Deserialize;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// The subject of a generated certificate.
const NAME: &str = "payment-service.internal";

/// An error with the certificate. It contains no part of the key.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Generating it failed.
    #[error("generating a certificate failed: {0}")]
    Make(#[from] rcgen::Error),
    /// It is invalid.
    #[error("the certificate is invalid: {0}")]
    Use(#[from] rustls::Error),
    /// Secrets Manager returned an error.
    #[error("the secret with the certificate cannot be read: {0}")]
    Unreadable(String),
    /// The secret has the wrong format.
    #[error(r#"the secret with the certificate is not of the form {{"certificate": "PEM", "privateKey": "PEM"}}"#)]
    Form,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    certificate: String,
    private_key: String,
}

/// Generates a certificate.
///
/// # Errors
/// If that fails.
pub(crate) fn self_signed() -> Result<TlsAcceptor, TlsError> {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    acceptor(vec![made.cert.der().clone()], key.into())
}

/// Reads the certificate from a secret.
///
/// # Errors
/// If it cannot be read or is invalid.
pub(crate) async fn from_secret(client: &Client, secret: &str) -> Result<TlsAcceptor, TlsError> {
    let answer = client.get_secret_value().secret_id(secret).send().await;
    let answer = answer.map_err(|error| TlsError::Unreadable(payment_aws::fault("GetSecretValue", &error).message))?;
    from_pem(answer.secret_string().unwrap_or_default())
}

fn from_pem(document: &str) -> Result<TlsAcceptor, TlsError> {
    let document: Document = serde_json::from_str(document).map_err(|_| TlsError::Form)?;
    let chain = CertificateDer::pem_slice_iter(document.certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(document.private_key.as_bytes());
    acceptor(chain.map_err(|_| TlsError::Form)?, key.map_err(|_| TlsError::Form)?)
}

fn acceptor(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<TlsAcceptor, TlsError> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
    let mut config = config.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_and_a_wrong_one_is_refused_without_showing_it() {
        assert!(self_signed().is_ok());
        for wrong in ["", "{}", r#"{"certificate":"c","privateKey":"secret"}"#] {
            let error = from_pem(wrong).map(drop).map_err(|error| error.to_string());
            let form = TlsError::Form.to_string();
            assert_eq!(error, Err(form), "{wrong}");
        }
    }
}
