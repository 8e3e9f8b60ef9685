//! An emulated AWS in this process, for tests.

use std::{
    ffi::OsString,
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    process::Command,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    backend::{Backend, Server},
    checker::{Checks, Violation},
    client::Control,
    control::Status,
    error::{Error, Result},
    fault::{Faults, Match, Outage, Rule, Silence, When},
    gateway::{self, Gateway},
    guard::Secrets,
    hold::Hold,
    latency::Wait,
    model::Models,
    profile::Profile,
    record::Call,
    strict, venv,
};

/// The account id of every emulated AWS.
pub const ACCOUNT_ID: &str = "123456789012";

/// A private emulated AWS on a free port. It stops when this is dropped, or when the process ends.
#[derive(Debug)]
pub struct Emulator {
    gateway: Arc<Gateway>,
    thread: Option<JoinHandle<()>>,
}

/// The configuration of an [`Emulator`].
#[derive(Debug, Clone, Default)]
pub struct Builder {
    profile: Profile,
    port: u16,
    origins: Vec<String>,
    strict: Option<bool>,
}

/// The sockets of one port: of the endpoint, and of DNS.
type Sockets = (tokio::net::TcpListener, tokio::net::UdpSocket);

/// How many free ports to try until one is free for both.
const PORTS: usize = 20;

/// Receives the gateway when it is ready, or the reason why it did not start.
type Started = oneshot::Receiver<Result<Arc<Gateway>>>;

impl Builder {
    /// Uses these emulators.
    #[must_use]
    pub fn profile(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    /// Uses this port; 0, the default, is any free port.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Accepts requests from this web page, such as `http://localhost:3000`. By default, all web pages are rejected.
    #[must_use]
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.origins.push(origin.to_owned());
        self
    }

    /// Whether constraints apply that AWS's models do not say, such as default quotas (`README.md`, Strict). By default,
    /// the variable `PAYINFRA_LOCAL_STRICT` decides.
    #[must_use]
    pub fn strict(self, strict: bool) -> Self {
        Self { strict: Some(strict), ..self }
    }

    /// Starts the emulated AWS, and waits until it responds.
    ///
    /// # Errors
    /// If Python or the emulators cannot be found, installed or started, or the port is in use.
    pub async fn start(self) -> Result<Emulator> {
        let (thread, started) = self.spawn()?;
        Ok(Emulator { gateway: started.await.map_err(|_| ended())??, thread: Some(thread) })
    }

    /// As [`start`](Self::start), for tests without a runtime.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    ///
    /// # Panics
    /// In an asynchronous context.
    pub fn start_blocking(self) -> Result<Emulator> {
        let (thread, started) = self.spawn()?;
        Ok(Emulator { gateway: started.blocking_recv().map_err(|_| ended())??, thread: Some(thread) })
    }

    /// The gateway has its own thread and runtime, so that it works whatever the test does with its runtime, even while
    /// the test's time is paused.
    fn spawn(self) -> Result<(JoinHandle<()>, Started)> {
        let (ready, started) = oneshot::channel();
        let thread = thread::Builder::new().name("emulated-aws".to_owned()).spawn(move || self.run(ready));
        Ok((thread.map_err(|source| Error::Listen { port: 0, source })?, started))
    }

    fn run(self, ready: oneshot::Sender<Result<Arc<Gateway>>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime.map_err(|source| Error::Listen { port: self.port, source }) {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error))),
        };
        runtime.block_on(async {
            match self.open().await {
                Ok((gateway, (listener, names))) => {
                    // If the caller is gone by now, nobody will stop it.
                    if ready.send(Ok(Arc::clone(&gateway))).is_ok() {
                        tokio::spawn(gateway::dns::serve(Arc::clone(&gateway), names));
                        gateway::serve(gateway, listener).await;
                    }
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
    }

    async fn open(&self) -> Result<(Arc<Gateway>, Sockets)> {
        let failed = |source| Error::Listen { port: self.port, source };
        let (listener, names) = self.listen().map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let external = match self.profile {
            Profile::External => Some(external()?),
            Profile::Default | Profile::Localstack => None,
        };
        let secrets = Secrets::new()?;
        let servers = start_servers(self.profile.backends(), port, &secrets.servers)?;
        let models = match self.profile {
            Profile::External => None,
            Profile::Default | Profile::Localstack => {
                Some(Models::open(&venv::interpreter(Backend::Moto.requirements())?)?)
            }
        };
        let origins = self.origins.clone();
        let gateway = Arc::new(Gateway::new(self.profile, port, secrets, origins, external, servers, models));
        gateway.strict.pages.set(strict::page_size_by_environment());
        gateway.set_strict(self.strict.unwrap_or_else(strict::by_environment));
        for (backend, ..) in gateway.servers() {
            wait_until_healthy(&gateway, backend).await?;
        }
        Ok((gateway, (listener, names)))
    }

    /// Listens on the port, over TCP and UDP. Not every port that is free for one is free for the other.
    fn listen(&self) -> io::Result<Sockets> {
        let attempt = || {
            let listener = TcpListener::bind(("127.0.0.1", self.port))?;
            let names = UdpSocket::bind(listener.local_addr()?)?;
            listener.set_nonblocking(true)?;
            names.set_nonblocking(true)?;
            Ok((tokio::net::TcpListener::from_std(listener)?, tokio::net::UdpSocket::from_std(names)?))
        };
        let attempts = if self.port == 0 { PORTS } else { 1 };
        (1..attempts).find_map(|_| attempt().ok()).map_or_else(attempt, Ok)
    }
}

/// The error that the thread of the gateway ended before it was ready.
fn ended() -> Error {
    Error::Backend { emulator: "the gateway", reason: "its thread ended".to_owned() }
}

/// Starts emulators concurrently.
fn start_servers(backends: &[Backend], gateway: u16, secret: &str) -> Result<Vec<Server>> {
    thread::scope(|scope| {
        let starting: Vec<_> = backends
            .iter()
            .map(|backend| scope.spawn(move || Server::start(*backend, gateway, backends, secret)))
            .collect();
        let started = starting.into_iter().map(thread::ScopedJoinHandle::join);
        started.map(|joined| joined.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))).collect()
    })
}

async fn wait_until_healthy(gateway: &Gateway, backend: Backend) -> Result<()> {
    let patience = backend.patience();
    let begun = Instant::now();
    let uri = hyper::Uri::from_static(backend.health());
    loop {
        let Err(error) = gateway.probe(backend, &uri).await else {
            return Ok(());
        };
        if begun.elapsed() > patience {
            let reason = format!("no response after {} s: {error}", patience.as_secs());
            return Err(Error::Backend { emulator: backend.name(), reason });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The endpoint of the profile `external`.
fn external() -> Result<hyper::Uri> {
    let value = std::env::var("AWS_ENDPOINT_URL").ok();
    let uri = value.as_deref().and_then(|value| value.parse::<hyper::Uri>().ok());
    uri.filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some()).ok_or(Error::External(value))
}

impl Emulator {
    /// Starts one with the default emulators.
    ///
    /// # Errors
    /// See [`Builder::start`].
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Configures one.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The endpoint: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway.port)
    }

    /// The DNS server that stands for public DNS, over UDP: it has the name servers of delegated zones.
    #[must_use]
    pub fn resolver(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.gateway.port))
    }

    /// The environment for a child process that uses it; see [`environment`].
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        environment(&self.endpoint())
    }

    /// The calls since the start or the last [`clear_calls`](Self::clear_calls), in order of arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.gateway.recorder.calls()
    }

    /// Clears the recorded calls; numbering restarts at 1.
    pub fn clear_calls(&self) {
        self.gateway.recorder.clear();
    }

    /// From now on, each call records which of `words` its request contains, in [`Call::mentions`].
    pub fn watch(&self, words: impl IntoIterator<Item = String>) {
        self.gateway.recorder.watch(words.into_iter().collect());
    }

    /// Replaces the rules, and ends their effects on earlier calls.
    pub fn faults(&self, rules: impl IntoIterator<Item = Rule>) {
        self.gateway.set_faults(Faults { rules: rules.into_iter().collect(), ..self.gateway.faults() });
    }

    /// Removes all rules, throttling, latency, outages and set health.
    pub fn clear_faults(&self) {
        self.gateway.set_faults(Faults::default());
    }

    /// Sets latency to AWS's times times this factor, for responses and for changes; `None` disables latency.
    pub fn set_latency_scale(&self, scale: Option<f64>) {
        self.gateway.set_scales(|faults| faults.latency = scale);
    }

    /// The changes with latency since the factor was set, in order.
    #[must_use]
    pub fn waits(&self) -> Vec<Wait> {
        self.gateway.latency.waits()
    }

    /// Throttles with AWS's limits times this factor; `None` disables throttling.
    pub fn set_throttling(&self, scale: Option<f64>) {
        self.gateway.set_scales(|faults| faults.throttling = scale);
    }

    /// From now on, a region is down, see [`Outage`]; `None` ends it.
    pub fn set_outage(&self, region: &str, calls: Option<Silence>) {
        self.gateway.change_conditions(|faults| {
            faults.outages.retain(|outage| outage.region != region);
            faults.outages.extend(calls.map(|calls| Outage { region: region.to_owned(), calls }));
        });
    }

    /// Sets the health of what a pattern names, see [`Faults::health`]; `None` lets the emulated AWS decide again.
    pub fn set_health(&self, pattern: &str, healthy: Option<bool>) {
        self.gateway.change_conditions(|faults| match healthy {
            Some(healthy) => drop(faults.health.insert(pattern.to_owned(), healthy)),
            None => drop(faults.health.remove(pattern)),
        });
    }

    /// Sets the state of an availability zone, such as `impaired`; `None` makes it `available` again.
    pub fn set_zone(&self, zone: &str, state: Option<&str>) {
        self.gateway.change_conditions(|faults| match state {
            Some(state) => drop(faults.zones.insert(zone.to_owned(), state.to_owned())),
            None => drop(faults.zones.remove(zone)),
        });
    }

    /// Renews the certificates whose names match a pattern.
    pub fn renew_certificates(&self, pattern: &str) {
        self.gateway.change_conditions(|faults| faults.renewed.extend([pattern.to_owned()]));
    }

    /// From now on, AWS's clock is this many seconds ahead of this machine's; behind it, if the number is negative.
    pub fn set_clock(&self, ahead: i64) {
        self.gateway.clock.set(ahead);
    }

    /// Holds each matching call, before it is forwarded or after it took effect, until the test releases it. Dropping
    /// the [`Hold`] removes the rule.
    #[must_use]
    pub fn hold(&self, matches: Match, when: When) -> Hold {
        let (sender, hold) = Hold::new();
        self.gateway.engine.hold(matches, when, sender);
        hold
    }

    /// Starts the invariant checker; what it found before is forgotten.
    ///
    /// # Errors
    /// If the emulators were not started here.
    pub async fn check(&self, checks: Checks) -> Result<()> {
        self.control().check(Some(&checks)).await
    }

    /// Stops the invariant checker.
    ///
    /// # Errors
    /// If it does not respond.
    pub async fn stop_checking(&self) -> Result<()> {
        self.control().check(None).await
    }

    /// The violations that the invariant checker found, in order.
    ///
    /// # Errors
    /// If it does not respond.
    pub async fn violations(&self) -> Result<Vec<Violation>> {
        self.control().violations().await
    }

    /// From now on, the parent of a zone has its NS record, so that public DNS finds it and its certificates can be validated; see
    /// [`Control::delegate`].
    pub fn delegate(&self, zone: &str) {
        self.gateway.strict.delegate(zone, true);
    }

    /// Sets the largest size of the pages of all list operations, such as 1; `None` restores AWS's sizes if the emulated AWS is
    /// strict, and the emulators' otherwise. By default, the variable `PAYINFRA_LOCAL_PAGE_SIZE` decides.
    pub fn set_page_size(&self, size: Option<usize>) {
        self.gateway.strict.pages.set(size);
    }

    /// Sets a quota for all regions, whether the emulated AWS is strict or not; see [`Control::set_quota`].
    ///
    /// # Errors
    /// If the quota is not known.
    pub async fn set_quota(&self, service: &str, quota: &str, value: Option<u32>) -> Result<()> {
        self.control().set_quota(service, quota, value).await
    }

    /// A client of the control API, for tasks that outlive a borrow of this.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(&self.endpoint(), self.token())
    }

    /// Deletes all resources and recorded calls, in milliseconds. Faults and the invariant checker are kept.
    ///
    /// # Errors
    /// If an emulator does not restart.
    pub async fn reset(&self) -> Result<()> {
        self.control().reset().await
    }

    /// The status.
    ///
    /// # Errors
    /// If it does not respond.
    pub async fn status(&self) -> Result<Status> {
        self.control().status().await
    }

    /// The token of the control API, which must be kept secret.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.gateway.secrets.owner
    }

    /// Waits until it is stopped through the control API.
    pub async fn stopped(mut self) {
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(|| thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the gateway failed");
            }
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.gateway.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A gateway that panicked has stopped as well.
            let _panicked = thread.join();
        }
        self.gateway.end_servers();
    }
}

/// Makes a command use only the emulated AWS at an endpoint, whatever the user's environment is.
pub fn isolate<'a>(command: &'a mut Command, endpoint: &str) -> &'a mut Command {
    for name in misleading() {
        command.env_remove(name);
    }
    command.envs(environment(endpoint))
}

/// The variables in this process's environment that would direct an SDK elsewhere: all of AWS's, including endpoints of
/// single services, and proxies.
#[must_use]
pub fn misleading() -> Vec<OsString> {
    const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let leads = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("AWS_") || PROXIES.iter().any(|proxy| name.eq_ignore_ascii_case(proxy))
    };
    std::env::vars_os().map(|(name, _)| name).filter(leads).collect()
}

/// The variables that [`isolate`] sets: dummy credentials and no user files, so that a real account cannot be reached
/// by mistake, and public DNS at the endpoint's address.
#[must_use]
pub fn environment(endpoint: &str) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("PAYINFRA_RESOLVER", endpoint.trim_start_matches("http://").trim_end_matches('/')),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
