//! Requests to the emulators.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Uri,
    header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HeaderValue, TRANSFER_ENCODING},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::Gateway;
use crate::{
    answer::Answer,
    backend::{Backend, Server},
    emulator::ACCOUNT_ID,
    guard,
};

/// Any error; only its text is used.
type SendError = Box<dyn std::error::Error + Send + Sync>;

/// Connections to the emulators.
#[derive(Debug)]
pub(super) struct Upstream {
    client: Client<HttpConnector, Full<Bytes>>,
    external: Option<Uri>,
    /// The header that shows the emulators that a request comes from this gateway.
    secret: String,
    ports: RwLock<BTreeMap<Backend, u16>>,
}

impl Upstream {
    pub(super) fn new(external: Option<Uri>, servers: &[Server], secret: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let upstream = Self { client, external, secret: secret.to_owned(), ports: RwLock::default() };
        upstream.set(servers);
        upstream
    }

    /// Replaces the servers.
    pub(super) fn set(&self, servers: &[Server]) {
        let mut ports = self.ports.write().unwrap_or_else(PoisonError::into_inner);
        *ports = servers.iter().map(|server| (server.backend, server.port)).collect();
    }

    /// Sends a request and reads the complete response.
    pub(super) async fn send(
        &self,
        backend: Option<Backend>,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer, SendError> {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let uri: Uri = match (backend, &self.external) {
            (Some(backend), _) => {
                let ports = self.ports.read().unwrap_or_else(PoisonError::into_inner);
                let port = ports.get(&backend).ok_or("the emulator is not running")?;
                format!("http://127.0.0.1:{port}{target}").parse()?
            }
            (None, Some(external)) => format!("{}{target}", external.to_string().trim_end_matches('/')).parse()?,
            (None, None) => return Err("there is no external endpoint".into()),
        };
        let length = body.len();
        let mut request = Request::builder().method(method).uri(uri).body(Full::new(body))?;
        *request.headers_mut() = headers.clone();
        for hop in [CONNECTION, EXPECT, TRANSFER_ENCODING] {
            request.headers_mut().remove(hop);
        }
        // The body may have changed. The length stays if there was one, even if it is 0, because it is part of the signature.
        if let Some(value) = request.headers_mut().get_mut(CONTENT_LENGTH) {
            *value = length.into();
        }
        if backend.is_some() {
            request.headers_mut().insert(guard::GATEWAY, self.secret.parse()?);
        }
        if backend == Some(Backend::Localstack) {
            set_account(request.headers_mut());
        }
        let (head, body) = self.client.request(request).await?.into_parts();
        let mut answer = Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() };
        answer.headers.remove(CONNECTION);
        answer.headers.remove(TRANSFER_ENCODING);
        if method != Method::HEAD {
            answer.headers.remove(CONTENT_LENGTH);
        }
        Ok(answer)
    }

    /// Empties the emulators that are not restarted.
    pub(super) async fn reset_kept(&self, gateway: &Gateway) {
        for (backend, ..) in gateway.servers().into_iter().filter(|(backend, ..)| !backend.restarts()) {
            let uri = Uri::from_static("/_localstack/state/reset");
            if let Err(error) = self.send(Some(backend), &Method::POST, &uri, &HeaderMap::new(), Bytes::new()).await {
                tracing::warn!("{} was not reset: {error}", backend.name());
            }
        }
    }
}

/// `LocalStack` derives the account from the client's access key.
fn set_account(headers: &mut HeaderMap) {
    let replaced = headers.get(AUTHORIZATION).and_then(|value| {
        let (before, after) = value.to_str().ok()?.split_once("Credential=")?;
        let (_, scope) = after.split_once('/')?;
        HeaderValue::from_str(&format!("{before}Credential={ACCOUNT_ID}/{scope}")).ok()
    });
    if let Some(value) = replaced {
        headers.insert(AUTHORIZATION, value);
    }
}
