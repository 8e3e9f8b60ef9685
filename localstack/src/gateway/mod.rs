//! The endpoint: parses each call, injects faults, and forwards it to an emulator.

mod connection;
mod upstream;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use hyper::StatusCode;
use serde_json::json;

pub(crate) use connection::serve;

use crate::{
    action::Request,
    answer::{self, Answer},
    backend::{Backend, Server},
    error::Result,
    fault::{Engine, Fault, Faults, When, held},
    guard::Secrets,
    latency::Latency,
    limits::Limits,
    mend::{
        owner, tagging,
        token::{self, Tokens},
    },
    profile::Profile,
    record::{Call, Recorder},
    window::Windows,
};

/// The state behind the endpoint.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) profile: Profile,
    pub(crate) port: u16,
    pub(crate) secrets: Secrets,
    /// The web pages that may send requests.
    pub(crate) origins: Vec<String>,
    pub(crate) recorder: Recorder,
    pub(crate) engine: Engine,
    /// Notified when a client requests a shutdown.
    pub(crate) stop: tokio::sync::Notify,
    upstream: upstream::Upstream,
    windows: Windows,
    limits: Limits,
    pub(crate) latency: Latency,
    tokens: Tokens,
    /// The factors of throttling and latency.
    scales: Mutex<(Option<f64>, Option<f64>)>,
    servers: Mutex<Vec<Server>>,
}

/// The result of a call for the client.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Answer),
    /// The response is truncated.
    Truncated(Answer),
    /// The connection is reset.
    Reset,
}

impl Gateway {
    pub(crate) fn new(
        profile: Profile,
        port: u16,
        secrets: Secrets,
        origins: Vec<String>,
        external: Option<hyper::Uri>,
        servers: Vec<Server>,
    ) -> Self {
        Self {
            profile,
            port,
            origins,
            recorder: Recorder::default(),
            engine: Engine::default(),
            stop: tokio::sync::Notify::new(),
            upstream: upstream::Upstream::new(external, &servers, &secrets.servers),
            secrets,
            windows: Windows::default(),
            limits: Limits::default(),
            latency: Latency::default(),
            tokens: Tokens::default(),
            scales: Mutex::default(),
            servers: Mutex::new(servers),
        }
    }

    /// The active faults.
    pub(crate) fn faults(&self) -> Faults {
        let (throttling, latency) = *self.scales.lock().unwrap_or_else(PoisonError::into_inner);
        Faults { rules: self.engine.rules(), throttling, latency }
    }

    /// Replaces the faults, and ends their effects.
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.engine.set(faults.rules);
        self.windows.clear();
        self.set_scales(|scales| *scales = (faults.throttling, faults.latency));
    }

    /// Changes the factors of throttling and latency.
    pub(crate) fn set_scales(&self, change: impl FnOnce(&mut (Option<f64>, Option<f64>))) {
        change(&mut self.scales.lock().unwrap_or_else(PoisonError::into_inner));
        self.limits.clear();
        self.latency.clear();
    }

    /// Deletes all resources and recorded calls by starting new servers. Faults are kept.
    pub(crate) async fn reset(self: &Arc<Self>) -> Result<()> {
        let gateway = Arc::clone(self);
        let restarted = tokio::task::spawn_blocking(move || gateway.restart()).await;
        restarted.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?;
        self.upstream.reset_kept(self).await;
        self.windows.clear();
        self.limits.clear();
        self.latency.clear();
        self.tokens.clear();
        self.recorder.clear();
        Ok(())
    }

    /// Replaces the servers that start within milliseconds.
    fn restart(&self) -> Result<()> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<_> = servers.iter().map(|server| server.backend).collect();
        for server in servers.iter_mut().filter(|server| server.backend.restarts()) {
            *server = Server::start(server.backend, self.port, &all, &self.secrets.servers)?;
        }
        self.upstream.set(&servers);
        Ok(())
    }

    /// The servers' names, ports and process ids.
    pub(crate) fn servers(&self) -> Vec<(Backend, u16, u32)> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.iter().map(|server| (server.backend, server.port, server.pid)).collect()
    }

    /// Stops the servers.
    pub(crate) fn end_servers(&self) {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Sends a request to an emulator, and accepts any response.
    pub(crate) async fn probe(&self, backend: Backend, uri: &hyper::Uri) -> std::result::Result<(), String> {
        let nothing = hyper::HeaderMap::new();
        let sent = self.upstream.send(Some(backend), &hyper::Method::GET, uri, &nothing, bytes::Bytes::new()).await;
        sent.map(drop).map_err(|error| error.to_string())
    }

    /// Handles one call of a client, including its record.
    pub(crate) async fn handle(&self, request: Request) -> Outcome {
        let arrived = Instant::now();
        let mut call = self.recorder.begin(&request);
        let outcome = self.answer(&request, &mut call).await;
        if let Outcome::Answer(answer) = &outcome {
            call.status = Some(answer.status.as_u16());
            call.error = answer.error_code();
        }
        self.recorder.end(call, arrived.elapsed());
        outcome
    }

    async fn answer(&self, request: &Request, call: &mut Call) -> Outcome {
        let (throttling, latency) = *self.scales.lock().unwrap_or_else(PoisonError::into_inner);
        if throttling.is_some_and(|scale| !self.limits.admit(call, scale)) {
            call.fault = Some(Fault::Throttle.label().to_owned());
            return Outcome::Answer(answer::throttled(request));
        }
        let (faults, holds) = self.engine.take(call);
        call.fault = (!faults.is_empty()).then(|| faults.iter().map(Fault::label).collect::<Vec<_>>().join(" "));

        for fault in &faults {
            match fault {
                Fault::Error { status } => {
                    return Outcome::Answer(answer::failed(request, *status));
                }
                Fault::Throttle => return Outcome::Answer(answer::throttled(request)),
                Fault::Reset { when: When::Before } => return Outcome::Reset,
                Fault::Kill { pid, when: When::Before } => return kill(*pid),
                _ => {}
            }
        }
        if !held(&holds, When::Before, call).await {
            return Outcome::Reset;
        }

        let mut answer = match self.windows.intercept(request) {
            Some(answer) => {
                call.fault.get_or_insert_with(|| "window".to_owned());
                answer
            }
            None => match latency {
                Some(scale) => self.take_time(request, scale).await,
                None => self.pass_on(request).await,
            },
        };
        self.windows.edit(request, &mut answer, self.engine.has_stale());
        for fault in &faults {
            self.windows.open(fault, request, &answer);
        }
        if let Some(scale) = latency {
            if let Some(window) = Latency::window(request, scale) {
                self.windows.open(&window, request, &answer);
            }
            tokio::time::sleep(Latency::of(request, scale)).await;
        }

        if !held(&holds, When::After, call).await {
            return Outcome::Reset;
        }
        let mut truncate = false;
        for fault in &faults {
            match fault {
                Fault::Reset { when: When::After } => return Outcome::Reset,
                Fault::Kill { pid, when: When::After } => return kill(*pid),
                Fault::Delay { seconds } => {
                    tokio::time::sleep(std::time::Duration::try_from_secs_f64(*seconds).unwrap_or_default()).await;
                }
                Fault::Truncate => truncate = true,
                _ => {}
            }
        }
        if truncate { Outcome::Truncated(answer) } else { Outcome::Answer(answer) }
    }

    /// Forwards a call to the emulators, and simulates AWS's latency.
    async fn take_time(&self, request: &Request, scale: f64) -> Answer {
        if let Some(refused) = self.latency.refuse(request) {
            return refused;
        }
        let before = match Latency::question(request) {
            Some(question) => Some(self.pass_on(&question).await),
            None => None,
        };
        let mut answer = self.pass_on(request).await;
        self.latency.edit(request, &mut answer, before.as_ref(), scale);
        answer
    }

    /// Forwards a call to the emulators, and fixes the response.
    async fn pass_on(&self, request: &Request) -> Answer {
        if request.scope.service == "tagging" && self.profile != Profile::External {
            return tagging::answer(self, request).await;
        }
        let backend = self.profile.backend(&request.scope.service);
        if let Some(refused) = backend.and_then(|_| owner::refuse(request)) {
            return refused;
        }
        let Some(slot) = self.tokens.slot(request).filter(|_| backend.is_some()) else {
            return self.forward(request, backend).await;
        };
        let mut slot = slot.lock().await;
        if let Some(answer) = token::repeated(request, slot.as_ref()) {
            return answer;
        }
        let answer = self.forward(request, backend).await;
        if answer.is_success() {
            *slot = Some((token::same(request), answer.clone()));
        }
        answer
    }

    /// Sends a request to an emulator, or to the external endpoint.
    pub(crate) async fn forward(&self, request: &Request, backend: Option<Backend>) -> Answer {
        let sent =
            self.upstream.send(backend, &request.method, &request.uri, &request.headers, request.body.clone()).await;
        sent.unwrap_or_else(|error| {
            let name = backend.map_or("the external endpoint", Backend::name);
            tracing::warn!("{name} did not respond to {}: {error}", request.action);
            answer::error(request, 502, "BadGateway", &format!("{name} did not respond: {error}"))
        })
    }

    /// Asks S3 for its response to the CORS preflight of an allowed page.
    pub(crate) async fn forward_preflight(&self, uri: &hyper::Uri, headers: &hyper::HeaderMap) -> Answer {
        let backend = self.profile.backend("s3");
        let sent = self.upstream.send(backend, &hyper::Method::OPTIONS, uri, headers, bytes::Bytes::new()).await;
        sent.unwrap_or_else(|error| Answer::json(StatusCode::BAD_GATEWAY, &json!({ "message": error.to_string() })))
    }

    /// Sends an unsigned request to the emulator that runs functions and APIs.
    pub(crate) async fn forward_data(
        &self,
        method: &hyper::Method,
        uri: &hyper::Uri,
        headers: &hyper::HeaderMap,
        body: bytes::Bytes,
    ) -> Answer {
        let backend = self.profile.backend("lambda");
        let sent = self.upstream.send(backend, method, uri, headers, body).await;
        sent.unwrap_or_else(|error| Answer::json(StatusCode::BAD_GATEWAY, &json!({ "message": error.to_string() })))
    }
}

/// Kills a client, whose connection is then useless.
fn kill(pid: u32) -> Outcome {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let killed = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
    if !matches!(killed, Some(Ok(()))) {
        tracing::warn!("could not kill {pid:?}: {killed:?}");
    }
    Outcome::Reset
}
