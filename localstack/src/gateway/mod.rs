//! The endpoint: parses each call, injects faults, and forwards it to an emulator.

mod conditions;
mod connection;
pub(crate) mod dns;
mod upstream;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use hyper::StatusCode;
use serde_json::json;

use conditions::Conditions;
pub(crate) use connection::serve;

use crate::{
    action::Request,
    answer::{self, Answer},
    backend::{Backend, Server},
    checker::{self, Account, Checker, Checks, Violation},
    error::Result,
    fault::{Engine, Fault, Faults, Silence, When, held},
    guard::Secrets,
    latency::Latency,
    limits::Limits,
    mend::{
        clock::Clock,
        owner, tagging,
        token::{self, Tokens},
    },
    model::{Models, Roles},
    permission::iam_action,
    profile::Profile,
    record::{Call, Recorder},
    strict::{self, Strict},
    window::Windows,
};

/// The maximum number of pages to read from an emulator for one list.
const PAGES: usize = 1000;

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
    pub(crate) clock: Clock,
    pub(crate) strict: Strict,
    conditions: Conditions,
    /// Whether the permissions of roles are checked.
    permissions: AtomicBool,
    pub(crate) checker: Checker,
    servers: Mutex<Vec<Server>>,
    /// AWS's models; an external endpoint checks requests itself.
    models: Option<Arc<Models>>,
    roles: Roles,
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
        models: Option<Arc<Models>>,
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
            clock: Clock::default(),
            strict: Strict::default(),
            conditions: Conditions::default(),
            permissions: AtomicBool::default(),
            checker: Checker::default(),
            servers: Mutex::new(servers),
            models,
            roles: Roles::default(),
        }
    }

    /// The active faults.
    pub(crate) fn faults(&self) -> Faults {
        Faults { rules: self.engine.rules(), ..self.conditions.get() }
    }

    /// Replaces the faults, and ends their effects.
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.engine.set(faults.rules.clone());
        self.windows.clear();
        self.set_scales(|conditions| *conditions = Faults { rules: Vec::new(), ..faults });
    }

    /// Changes the factors of throttling and latency, and completes all changes in progress.
    pub(crate) fn set_scales(&self, change: impl FnOnce(&mut Faults)) {
        self.conditions.change(true, change);
        self.checker.disturb();
        self.limits.clear();
        self.latency.clear();
    }

    /// Changes outages and set health.
    pub(crate) fn change_conditions(&self, change: impl FnOnce(&mut Faults)) {
        self.conditions.change(false, change);
        self.checker.disturb();
    }

    /// Applies constraints that AWS's models do not say, or not.
    pub(crate) fn set_strict(&self, on: bool) {
        self.strict.set(on);
    }

    /// Starts the invariant checker, or stops it.
    pub(crate) fn set_checks(&self, checks: Option<Checks>) {
        self.conditions.observe(checks.is_some());
        self.checker.set(checks);
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
        self.strict.clear();
        self.roles.clear();
        self.recorder.clear();
        self.checker.clear();
        self.permissions.store(false, Ordering::Relaxed);
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
        if let Some(refused) = self.clock.refuse(request) {
            return Outcome::Answer(refused);
        }
        if let Some(silence) = self.conditions.silence(&request.scope) {
            call.fault = Some("outage".to_owned());
            if silence == Silence::Hang {
                self.conditions.until_up(&request.scope).await;
            }
            return Outcome::Reset;
        }
        let Faults { throttling, latency, .. } = self.conditions.get();
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
                Fault::Expired => return Outcome::Answer(answer::expired(request)),
                Fault::Reset { when: When::Before } => return Outcome::Reset,
                Fault::Kill { pid, when: When::Before } => return kill(*pid),
                _ => {}
            }
        }
        if !held(&holds, When::Before, call).await {
            return Outcome::Reset;
        }

        if let Some(models) = &self.models
            && let Some(refused) = models.refuse(request, &self.roles).await
        {
            tracing::debug!("{} {}: {}", request.scope.service, request.action, refused.message);
            call.violation = Some(refused.message);
            return Outcome::Answer(refused.answer);
        }

        if let Some((answer, message)) = self.strict.refuse(request, self.models.as_ref()).await {
            call.violation = Some(message);
            return Outcome::Answer(answer);
        }

        let mut answer = match self.windows.intercept(request) {
            Some(answer) => {
                call.fault.get_or_insert_with(|| "window".to_owned());
                answer
            }
            None => self.paged(request, call, latency).await,
        };
        self.windows.edit(request, &mut answer, self.engine.has_stale());
        for fault in &faults {
            self.windows.open(fault, request, &answer);
        }
        for made in self.strict.follow(request, &answer) {
            // It exists already if the account made it before.
            let _existing = self.forward(&made, self.profile.backend(&made.scope.service)).await;
        }
        if let Some(window) = self.strict.window(request, latency) {
            self.windows.open(&window, request, &answer);
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

    /// Forwards a call, and cuts the page that it asks for out of a list.
    async fn paged(&self, request: &Request, call: &Call, latency: Option<f64>) -> Answer {
        let pages = &self.strict.pages;
        let Some(page) = pages.of(request, self.models.as_ref(), self.strict.is_on()).await else {
            return self.checked(request, call, latency).await;
        };
        let mut answer = self.checked(&page.whole, call, latency).await;
        let mut rest = page.rest(&answer);
        for _ in 0..PAGES {
            let Some(next) = rest else { break };
            let more = self.checked(&next, call, latency).await;
            rest = page.rest(&more);
            page.join(&mut answer, &more);
        }
        page.cut(request, &mut answer);
        answer
    }

    /// Forwards a call to the emulators, and checks the account after it.
    async fn checked(&self, request: &Request, call: &Call, latency: Option<f64>) -> Answer {
        let forwarded = async || match latency {
            Some(scale) => self.take_time(request, scale).await,
            None => self.pass_on(request).await,
        };
        let can_change = checker::can_change(request);
        // With latency, a change may take effect after its call.
        if !self.checker.is_on() || !can_change && latency.is_none() {
            return forwarded().await;
        }
        let turn = if can_change { Some(self.checker.turn.lock().await) } else { None };
        if turn.is_some() && self.checker.is_stale() {
            match self.account().await {
                Ok(account) => self.checker.accept(&account),
                Err(reason) => self.checker.fail(call, &reason),
            }
        }
        let answer = forwarded().await;
        let _turn = match turn {
            Some(turn) => turn,
            None => self.checker.turn.lock().await,
        };
        if !self.checker.is_stale() {
            match self.account().await {
                Ok(account) => self.checker.check(&account, Some(call)),
                Err(reason) => self.checker.fail(call, &reason),
            }
        }
        answer
    }

    /// The violations, including those of changes that took effect after the last call.
    pub(crate) async fn violations(&self) -> Vec<Violation> {
        let _turn = self.checker.turn.lock().await;
        if self.checker.is_on()
            && !self.checker.is_stale()
            && let Ok(account) = self.account().await
        {
            self.checker.check(&account, None);
        }
        self.checker.violations()
    }

    /// Reads what the checker needs from the emulators.
    async fn account(&self) -> std::result::Result<Account, String> {
        let traffic = self.read(Backend::Moto, "/_payinfra/traffic").await?;
        let stores = self.read(Backend::Ministack, "/_payinfra/stores").await?;
        Account::read(&traffic, &stores).map_err(|error| error.to_string())
    }

    /// Where requests go now, for [`Paths`](crate::Paths).
    pub(crate) async fn paths(&self) -> std::result::Result<serde_json::Value, String> {
        if self.profile == Profile::External {
            return Err("the paths of requests need emulators that were started here".to_owned());
        }
        let paths = self.read(Backend::Moto, "/_payinfra/paths").await?;
        serde_json::from_slice(&paths).map_err(|error| error.to_string())
    }

    /// Switches the checks of permissions on or off: in the emulator that has them, and for calls to the other one.
    pub(crate) async fn check_permissions(&self, on: bool) -> std::result::Result<(), String> {
        self.ask_ministack("/_payinfra/permissions", on.to_string()).await?;
        self.permissions.store(on, Ordering::Relaxed);
        Ok(())
    }

    /// Credentials of a session of this role.
    pub(crate) async fn assume(&self, role: String) -> std::result::Result<serde_json::Value, String> {
        let credentials = self.ask_ministack("/_payinfra/session", role).await?;
        serde_json::from_slice(&credentials).map_err(|error| error.to_string())
    }

    /// Fires all schedules of EventBridge now, and returns the names of their rules.
    pub(crate) async fn fire_schedules(&self) -> std::result::Result<serde_json::Value, String> {
        let names = self.ask_ministack("/_payinfra/schedules", String::new()).await?;
        serde_json::from_slice(&names).map_err(|error| error.to_string())
    }

    /// The error of a call to moto by a role that does not have the permission. Only MiniStack knows the sessions of roles.
    async fn denied(&self, request: &Request) -> Option<Answer> {
        let key = &request.scope.access_key;
        // Other keys have all permissions, and MiniStack itself uses one while it answers.
        if !self.permissions.load(Ordering::Relaxed) || !key.starts_with("ASIA") {
            return None;
        }
        // AWS allows this one whatever the policies are.
        if (&*request.scope.service, &*request.action) == ("sts", "GetCallerIdentity") {
            return None;
        }
        let action = iam_action(&request.scope.service, &request.action);
        let call = json!({ "access_key": key, "action": action, "account": crate::emulator::ACCOUNT_ID });
        match self.ask_ministack("/_payinfra/permitted", call.to_string()).await {
            Ok(answer) if *answer == *b"true" => None,
            Ok(_) => Some(answer::denied(request, &action)),
            Err(reason) => Some(answer::error(request, 502, "BadGateway", &reason)),
        }
    }

    /// Sends a request of the gateway itself to MiniStack.
    async fn ask_ministack(&self, path: &'static str, body: String) -> std::result::Result<bytes::Bytes, String> {
        let (uri, headers) = (hyper::Uri::from_static(path), hyper::HeaderMap::new());
        let sent = self.upstream.send(Some(Backend::Ministack), &hyper::Method::PUT, &uri, &headers, body.into()).await;
        let answer = sent.map_err(|error| error.to_string())?;
        if answer.is_success() { Ok(answer.body) } else { Err(answer.text().into_owned()) }
    }

    /// Reads what an emulator says of itself, at a path that is not AWS's.
    async fn read(&self, backend: Backend, path: &'static str) -> std::result::Result<bytes::Bytes, String> {
        let mut headers = hyper::HeaderMap::new();
        if let Some(conditions) = self.conditions.header(&self.strict) {
            headers.insert(conditions::HEADER, conditions);
        }
        let uri = hyper::Uri::from_static(path);
        let sent = self.upstream.send(Some(backend), &hyper::Method::GET, &uri, &headers, bytes::Bytes::new());
        let answer = sent.await.map_err(|error| error.to_string())?;
        if answer.is_success() { Ok(answer.body) } else { Err(answer.text().into_owned()) }
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
        if request.scope.service == "servicequotas"
            && backend.is_some()
            && let Some(answer) = self.strict.quotas.answer(request, self.strict.is_on())
        {
            return answer;
        }
        if let Some(refused) = backend.and_then(|_| owner::refuse(request)) {
            return refused;
        }
        if backend == Some(Backend::Moto)
            && let Some(refused) = self.denied(request).await
        {
            return refused;
        }
        let Some(slot) = self.tokens.slot(request).filter(|_| backend.is_some()) else {
            return self.forward_within_quotas(request, backend).await;
        };
        let mut slot = slot.lock().await;
        if let Some(answer) = token::repeated(request, slot.as_ref()) {
            return answer;
        }
        let answer = self.forward_within_quotas(request, backend).await;
        if answer.is_success() {
            *slot = Some((token::same(request), answer.clone()));
        }
        answer
    }

    /// Sends a request to an emulator, unless it exceeds a quota.
    async fn forward_within_quotas(&self, request: &Request, backend: Option<Backend>) -> Answer {
        let quotas = self.strict.quotas.of(request, self.strict.is_on());
        if quotas.is_empty() || backend.is_none() {
            return self.forward(request, backend).await;
        }
        let _turn = self.strict.quotas.turn.lock().await;
        for (quota, value) in quotas {
            let emulator = strict::Emulator { gateway: self, backend };
            if let Some(refused) = quota.refuse(request, value, emulator).await {
                return refused;
            }
        }
        self.forward(request, backend).await
    }

    /// Sends a request to an emulator, or to the external endpoint.
    pub(crate) async fn forward(&self, request: &Request, backend: Option<Backend>) -> Answer {
        let mut headers = request.headers.clone();
        if let Some(conditions) = backend.and_then(|_| self.conditions.header(&self.strict)) {
            headers.insert(conditions::HEADER, conditions);
        }
        let sent = self.upstream.send(backend, &request.method, &request.uri, &headers, request.body.clone()).await;
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
