//! A client of the gateway's control API, for the command line.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    checker::{Checks, Violation},
    control::{PREFIX, Status},
    error::{Error, Result},
    fault::Faults,
    guard,
    paths::Paths,
    record::Call,
};

/// Temporary credentials of a role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
    /// The session token.
    pub token: String,
}

/// An emulated AWS in another process.
#[derive(Clone)]
pub struct Control {
    endpoint: String,
    token: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Control").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Control {
    /// The instance at an endpoint that has this token.
    #[must_use]
    pub fn new(endpoint: &str, token: &str) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: token.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// The status.
    ///
    /// # Errors
    /// [`Error::Control`] if it does not respond, as for all calls.
    pub async fn status(&self) -> Result<Status> {
        self.ask(Method::GET, "status", Bytes::new()).await
    }

    /// The recorded calls.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub async fn calls(&self) -> Result<Vec<Call>> {
        self.ask(Method::GET, "calls", Bytes::new()).await
    }

    /// Clears the recorded calls.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub async fn clear_calls(&self) -> Result<()> {
        self.order(Method::DELETE, "calls", Bytes::new()).await
    }

    /// The active faults.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub async fn faults(&self) -> Result<Faults> {
        self.ask(Method::GET, "faults", Bytes::new()).await
    }

    /// Replaces the faults.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub async fn set_faults(&self, faults: &Faults) -> Result<()> {
        let body = serde_json::to_vec(faults).map_err(|error| self.failed(&error))?;
        self.order(Method::PUT, "faults", body.into()).await
    }

    /// Starts the invariant checker, or stops it.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub async fn check(&self, checks: Option<&Checks>) -> Result<()> {
        let body = serde_json::to_vec(&checks).map_err(|error| self.failed(&error))?;
        self.order(Method::PUT, "checks", body.into()).await
    }

    /// The violations that the invariant checker found.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub async fn violations(&self) -> Result<Vec<Violation>> {
        self.ask(Method::GET, "violations", Bytes::new()).await
    }

    /// Checks the permissions of roles, or accepts all calls, until the next reset. Some services check only the actions
    /// (`GAPS.md`); the access key `test` has all permissions.
    ///
    /// # Errors
    /// [`Error::Control`], also if the emulators were not started here.
    pub async fn check_permissions(&self, on: bool) -> Result<()> {
        self.order(Method::PUT, "permissions", on.to_string().into()).await
    }

    /// Stands for the NS record of a zone in its parent, until the next reset. If the emulated AWS is strict, certificates
    /// for names of a zone stay `PENDING_VALIDATION` until it is delegated, here or by a record in a delegated zone of the
    /// account.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub async fn delegate(&self, zone: &str, delegated: bool) -> Result<()> {
        let body = json!({ "zone": zone, "delegated": delegated });
        self.order(Method::PUT, "delegations", body.to_string().into()).await
    }

    /// Sets the largest size of the pages of all list operations; see [`Emulator::set_page_size`](crate::Emulator::set_page_size).
    ///
    /// # Errors
    /// [`Error::Control`]
    pub async fn set_page_size(&self, size: Option<usize>) -> Result<()> {
        self.order(Method::PUT, "page-size", json!(size).to_string().into()).await
    }

    /// Sets a quota by its service code and its quota code (or name, if Service Quotas does not have it), such as `vpc` and
    /// `L-F678F1CE`, until the next reset; `None` restores AWS's default. A quota that is set applies even if the emulated
    /// AWS is not strict.
    ///
    /// # Errors
    /// [`Error::Control`], also if the quota is not known.
    pub async fn set_quota(&self, service: &str, quota: &str, value: Option<u32>) -> Result<()> {
        let body = json!({ "service": service, "quota": quota, "value": value });
        self.order(Method::PUT, "quotas", body.to_string().into()).await
    }

    /// Credentials of a session of the role `name`, whose permissions are checked while [`check_permissions`] is on. Its trust
    /// policy is not.
    ///
    /// # Errors
    /// [`Error::Control`], also if the emulators were not started here.
    ///
    /// [`check_permissions`]: Self::check_permissions
    pub async fn assume_role(&self, name: &str) -> Result<Session> {
        self.ask(Method::POST, "sessions", Bytes::copy_from_slice(name.as_bytes())).await
    }

    /// Fires all schedules of EventBridge now, once, and returns the names of their rules. They also fire when it is time.
    ///
    /// # Errors
    /// [`Error::Control`], also if the emulators were not started here.
    pub async fn fire_schedules(&self) -> Result<Vec<String>> {
        self.ask(Method::POST, "schedules", Bytes::new()).await
    }

    /// Where the requests of clients go now.
    ///
    /// # Errors
    /// [`Error::Control`], also if the emulators were not started here.
    pub async fn paths(&self) -> Result<Paths> {
        self.ask(Method::GET, "paths", Bytes::new()).await
    }

    /// Deletes all resources.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub async fn reset(&self) -> Result<()> {
        self.order(Method::POST, "reset", Bytes::new()).await
    }

    /// Stops it.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub async fn stop(&self) -> Result<()> {
        self.order(Method::POST, "stop", Bytes::new()).await
    }

    async fn order(&self, method: Method, path: &str, body: Bytes) -> Result<()> {
        let _empty: serde_json::Value = self.ask(method, path, body).await?;
        Ok(())
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T> {
        let uri = format!("{}{PREFIX}{path}", self.endpoint);
        let request = Request::builder().method(method).uri(uri).header(guard::TOKEN, &self.token);
        let request = request.body(Full::new(body));
        let request = request.map_err(|error| self.failed(&error))?;
        let response = self.client.request(request).await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| self.failed(&error))?.to_bytes();
        if !status.is_success() {
            let reason = format!("{status} {}", String::from_utf8_lossy(&body));
            return Err(Error::Control { endpoint: self.endpoint.clone(), reason });
        }
        serde_json::from_slice(&body).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &dyn std::error::Error) -> Error {
        // The outermost error of this client has no details.
        let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Error::Control { endpoint: self.endpoint.clone(), reason }
    }
}
