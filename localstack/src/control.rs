//! The gateway's control API for `cargo local`: `/_payinfra/…`.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{answer::Answer, checker::Checks, emulator::ACCOUNT_ID, fault::Faults, gateway::Gateway, profile::Profile};

/// The path prefix of the control API, which is not a valid bucket name.
pub(crate) const PREFIX: &str = "/_payinfra/";

/// The status of a running instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its process id.
    pub pid: u32,
    /// Its endpoint.
    pub endpoint: String,
    /// Its emulators.
    pub profile: Profile,
    /// Its account id.
    pub account: String,
    /// The number of recorded calls.
    pub calls: usize,
    /// The number of active fault rules.
    pub rules: usize,
    /// The web pages that may send requests.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Whether constraints apply that AWS's models do not say.
    #[serde(default)]
    pub strict: bool,
    /// The emulators with their addresses, such as `moto 127.0.0.1:40123`.
    pub backends: Vec<String>,
}

/// A quota that a test sets.
#[derive(Debug, Deserialize)]
struct SetQuota {
    service: String,
    quota: String,
    value: Option<u32>,
}

/// Whether the parent of a zone has its NS record.
#[derive(Debug, Deserialize)]
struct Delegation {
    zone: String,
    delegated: bool,
}

/// Handles a request to the control API.
pub(crate) async fn answer(gateway: &Arc<Gateway>, method: &Method, path: &str, body: &Bytes) -> Answer {
    let done = || Answer::json(StatusCode::OK, &json!({}));
    match (method.as_str(), path) {
        ("GET", "status") => Answer::json(StatusCode::OK, &json!(status(gateway))),
        ("GET", "calls") => Answer::json(StatusCode::OK, &json!(gateway.recorder.calls())),
        ("DELETE", "calls") => {
            gateway.recorder.clear();
            done()
        }
        ("GET", "faults") => Answer::json(StatusCode::OK, &json!(gateway.faults())),
        ("PUT", "faults") => match serde_json::from_slice::<Faults>(body) {
            Ok(faults) => {
                gateway.set_faults(faults);
                done()
            }
            Err(error) => failed(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        ("GET", "violations") => Answer::json(StatusCode::OK, &json!(gateway.violations().await)),
        ("GET", "paths") => match gateway.paths().await {
            Ok(paths) => Answer::json(StatusCode::OK, &paths),
            Err(reason) => failed(StatusCode::BAD_GATEWAY, &reason),
        },
        ("PUT", "checks") => match serde_json::from_slice::<Option<Checks>>(body) {
            Ok(Some(_)) if gateway.profile == Profile::External => {
                failed(StatusCode::BAD_REQUEST, "the checker needs emulators that were started here")
            }
            Ok(checks) => {
                gateway.set_checks(checks);
                done()
            }
            Err(error) => failed(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        ("PUT", "permissions") => match serde_json::from_slice::<bool>(body) {
            Ok(_) if gateway.profile == Profile::External => {
                failed(StatusCode::BAD_REQUEST, "permissions are checked only by emulators that were started here")
            }
            Ok(on) => match gateway.check_permissions(on).await {
                Ok(()) => done(),
                Err(reason) => failed(StatusCode::BAD_GATEWAY, &reason),
            },
            Err(error) => failed(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        ("PUT", "delegations") => match serde_json::from_slice::<Delegation>(body) {
            Ok(Delegation { zone, delegated }) => {
                gateway.strict.delegate(&zone, delegated);
                done()
            }
            Err(error) => failed(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        ("PUT", "page-size") => match serde_json::from_slice::<Option<usize>>(body) {
            Ok(size) => {
                gateway.strict.pages.set(size);
                done()
            }
            Err(error) => failed(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        ("PUT", "quotas") => match serde_json::from_slice::<SetQuota>(body) {
            Ok(SetQuota { service, quota, value }) => match gateway.strict.quotas.set(&service, &quota, value) {
                Ok(()) => done(),
                Err(reason) => failed(StatusCode::BAD_REQUEST, &reason),
            },
            Err(error) => failed(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        ("POST", "sessions") if gateway.profile == Profile::External => {
            failed(StatusCode::BAD_REQUEST, "only emulators that were started here have sessions of roles")
        }
        ("POST", "sessions") => match gateway.assume(String::from_utf8_lossy(body).into_owned()).await {
            Ok(credentials) => Answer::json(StatusCode::OK, &credentials),
            Err(reason) => failed(StatusCode::BAD_GATEWAY, &reason),
        },
        ("POST", "schedules") if gateway.profile == Profile::External => {
            failed(StatusCode::BAD_REQUEST, "schedules are fired only by emulators that were started here")
        }
        ("POST", "schedules") => match gateway.fire_schedules().await {
            Ok(names) => Answer::json(StatusCode::OK, &names),
            Err(reason) => failed(StatusCode::BAD_GATEWAY, &reason),
        },
        ("POST", "reset") => match gateway.reset().await {
            Ok(()) => done(),
            Err(error) => failed(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        },
        ("POST", "stop") => {
            gateway.stop.notify_one();
            done()
        }
        _ => failed(StatusCode::NOT_FOUND, &format!("unknown operation {method} {PREFIX}{path}")),
    }
}

fn failed(status: StatusCode, message: &str) -> Answer {
    Answer::json(status, &json!({ "message": message }))
}

fn status(gateway: &Gateway) -> Status {
    let backends = gateway.servers().into_iter();
    Status {
        pid: std::process::id(),
        endpoint: format!("http://127.0.0.1:{}", gateway.port),
        profile: gateway.profile,
        account: ACCOUNT_ID.to_owned(),
        calls: gateway.recorder.calls().len(),
        rules: gateway.engine.rules().len(),
        origins: gateway.origins.clone(),
        strict: gateway.strict.is_on(),
        backends: backends.map(|(backend, port, _)| format!("{} 127.0.0.1:{port}", backend.name())).collect(),
    }
}
