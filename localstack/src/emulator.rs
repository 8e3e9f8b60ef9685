//! An emulated AWS in this process: what tests start.

use std::{
    ffi::OsString,
    net::TcpListener,
    process::Command,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    backend::{Backend, Server},
    client::Control,
    control::Status,
    error::{Error, Result},
    fault::{Faults, Match, Rule, When},
    gateway::{self, Gateway},
    guard::Secrets,
    hold::Hold,
    latency::Wait,
    profile::Profile,
    record::Call,
};

/// The account of every emulated AWS.
pub const ACCOUNT_ID: &str = "123456789012";

/// An emulated AWS of one's own, on a free port of this machine. It ends when this is dropped, or this process does.
#[derive(Debug)]
pub struct Emulator {
    gateway: Arc<Gateway>,
    thread: Option<JoinHandle<()>>,
}

/// How an [`Emulator`] is to be.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    profile: Profile,
    port: u16,
    origins: Vec<String>,
}

impl Builder {
    /// With these emulators.
    #[must_use]
    pub fn profile(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    /// On this port; 0, the default, is any that is free.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Answering requests of this web page, such as `http://localhost:3000`, too. Without, those of none.
    #[must_use]
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.origins.push(origin.to_owned());
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When Python or the emulators cannot be found, installed or started, or the port is taken.
    pub async fn start(self) -> Result<Emulator> {
        // The gateway has a thread and a clock of its own: it works whatever the test does with its runtime, and
        // goes on while a test's time is paused.
        let (ready, started) = oneshot::channel();
        let thread = thread::Builder::new().name("emulated-aws".to_owned()).spawn(move || self.run(ready));
        let thread = thread.map_err(|source| Error::Listen { port: 0, source })?;
        let ended = || Error::Backend { emulator: "the gateway", reason: "its thread ended".to_owned() };
        let gateway = started.await.map_err(|_| ended())??;
        Ok(Emulator { gateway, thread: Some(thread) })
    }

    fn run(self, ready: oneshot::Sender<Result<Arc<Gateway>>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime.map_err(|source| Error::Listen { port: self.port, source }) {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(error))),
        };
        runtime.block_on(async {
            match self.open().await {
                Ok((gateway, listener)) => {
                    // If whoever started it has gone by now, nobody will stop it.
                    if ready.send(Ok(Arc::clone(&gateway))).is_ok() {
                        gateway::serve(gateway, listener).await;
                    }
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
    }

    async fn open(&self) -> Result<(Arc<Gateway>, tokio::net::TcpListener)> {
        let failed = |source| Error::Listen { port: self.port, source };
        let listener = TcpListener::bind(("127.0.0.1", self.port)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let external = match self.profile {
            Profile::External => Some(external()?),
            Profile::Default | Profile::Localstack => None,
        };
        let secrets = Secrets::new()?;
        let servers = start_servers(self.profile.backends(), port, &secrets.servers)?;
        let gateway = Arc::new(Gateway::new(self.profile, port, secrets, self.origins.clone(), external, servers));
        for (backend, ..) in gateway.servers() {
            wait_until_healthy(&gateway, backend).await?;
        }
        Ok((gateway, tokio::net::TcpListener::from_std(listener).map_err(failed)?))
    }
}

/// Starts emulators side by side.
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
            let reason = format!("it does not answer after {} s: {error}", patience.as_secs());
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
    /// As [`Builder::start`].
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// For one that is to differ from the default.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it answers: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway.port)
    }

    /// The environment of a child process that is to use it: see [`environment`].
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        environment(&self.endpoint())
    }

    /// The calls since the start or the last [`clear_calls`](Self::clear_calls), in order of arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.gateway.recorder.calls()
    }

    /// Forgets the calls; the next has number 1.
    pub fn clear_calls(&self) {
        self.gateway.recorder.clear();
    }

    /// From now on, each call notes which of `words` its request contains, in [`Call::mentions`].
    pub fn watch(&self, words: impl IntoIterator<Item = String>) {
        self.gateway.recorder.watch(words.into_iter().collect());
    }

    /// Sets the rules in the place of those before. Windows of time that are open close.
    pub fn faults(&self, rules: impl IntoIterator<Item = Rule>) {
        let Faults { throttling, latency, .. } = self.gateway.faults();
        self.gateway.set_faults(Faults { rules: rules.into_iter().collect(), throttling, latency });
    }

    /// Removes all rules, throttling and latency.
    pub fn clear_faults(&self) {
        self.gateway.set_faults(Faults::default());
    }

    /// Answers take AWS's time times this, and so does getting ready; `None` is as fast as can be.
    pub fn set_latency_scale(&self, scale: Option<f64>) {
        self.gateway.set_scales(|scales| scales.1 = scale);
    }

    /// The changes since the scale of latency was set that AWS takes its time for, in order.
    #[must_use]
    pub fn waits(&self) -> Vec<Wait> {
        self.gateway.latency.waits()
    }

    /// Throttles like AWS, with limits times this; `None` does not throttle.
    pub fn set_throttling(&self, scale: Option<f64>) {
        self.gateway.set_scales(|scales| scales.0 = scale);
    }

    /// AWS's clock is so many seconds ahead of this machine's from now on; behind it, if there are fewer than none.
    pub fn set_clock(&self, ahead: i64) {
        self.gateway.clock.set(ahead);
    }

    /// Stops each call that matches, before it is passed on or after it took effect, until the test lets it go.
    /// Dropping the [`Hold`] ends the rule.
    #[must_use]
    pub fn hold(&self, matches: Match, when: When) -> Hold {
        let (sender, hold) = Hold::new();
        self.gateway.engine.hold(matches, when, sender);
        hold
    }

    /// Empties the account and the record, in milliseconds. Faults stay.
    ///
    /// # Errors
    /// When an emulator does not start again.
    pub async fn reset(&self) -> Result<()> {
        self.control().reset().await
    }

    /// What is running.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn status(&self) -> Result<Status> {
        self.control().status().await
    }

    /// The token of its own interface, which nobody else may know.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.gateway.secrets.owner
    }

    fn control(&self) -> Control {
        Control::new(&self.endpoint(), self.token())
    }

    /// Waits until somebody stops it through its interface.
    pub async fn stopped(mut self) {
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(|| thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the gateway ended badly");
            }
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.gateway.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A gateway that panicked has stopped, too.
            let _panicked = thread.join();
        }
        self.gateway.end_servers();
    }
}

/// Makes a command use the emulated AWS at an endpoint, and nothing else, whatever the user's own environment says.
pub fn isolate<'a>(command: &'a mut Command, endpoint: &str) -> &'a mut Command {
    for name in misleading() {
        command.env_remove(name);
    }
    command.envs(environment(endpoint))
}

/// The variables of this process's own environment that would lead an SDK somewhere else: all of AWS's, among them the
/// endpoints of single services, and proxies.
#[must_use]
pub fn misleading() -> Vec<OsString> {
    const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let leads = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("AWS_") || PROXIES.iter().any(|proxy| name.eq_ignore_ascii_case(proxy))
    };
    std::env::vars_os().map(|(name, _)| name).filter(leads).collect()
}

/// The variables that [`isolate`] sets: dummy credentials, and none of the user's files, so that no mistake can reach a
/// real account.
#[must_use]
pub fn environment(endpoint: &str) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", endpoint),
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
