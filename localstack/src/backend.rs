//! The processes of the emulators: one launcher per emulator and process, one forked server per instance.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    emulator::{ACCOUNT_ID, misleading},
    error::{Error, Result},
    venv,
};

/// An emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    Localstack,
    Ministack,
    Moto,
}

impl Backend {
    /// The name of its launcher.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Localstack => "localstack",
            Self::Ministack => "ministack",
            Self::Moto => "moto",
        }
    }

    /// Its pinned packages.
    pub(crate) fn requirements(self) -> &'static str {
        match self {
            Self::Localstack => "requirements-localstack.txt",
            Self::Ministack | Self::Moto => "requirements.txt",
        }
    }

    /// A path that responds as soon as the server is ready.
    pub(crate) fn health(self) -> &'static str {
        match self {
            Self::Localstack => "/_localstack/health",
            Self::Ministack => "/_ministack/ready",
            Self::Moto => "/moto-api/",
        }
    }

    /// Whether starting a new server is as fast as resetting a running one.
    pub(crate) fn restarts(self) -> bool {
        self != Self::Localstack
    }

    /// The time limit for a server's first response.
    pub(crate) fn patience(self) -> Duration {
        Duration::from_secs(if self.restarts() { 30 } else { 180 })
    }

    /// Settings that make the emulators consistent with each other and with AWS.
    fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Localstack => &[
                ("DEBUG", "0"),
                ("DISABLE_EVENTS", "1"),
                ("EAGER_SERVICE_LOADING", "0"),
                ("SKIP_SSL_CERT_DOWNLOAD", "1"),
                ("DNS_ADDRESS", "0"),
                ("LOCALSTACK_HOST", "127.0.0.1"),
            ],
            Self::Ministack => &[
                ("MINISTACK_ACCOUNT_ID", ACCOUNT_ID),
                ("MINISTACK_HOST", "127.0.0.1"),
                ("BIND_HOST", "127.0.0.1"),
                ("IOT_MTLS_ENABLED", "0"),
                ("SFTP_ENABLED", "0"),
                ("LOG_LEVEL", "WARNING"),
            ],
            Self::Moto => &[
                ("MOTO_ACCOUNT_ID", ACCOUNT_ID),
                ("MOTO_IAM_LOAD_MANAGED_POLICIES", "true"),
                ("MOTO_EC2_LOAD_DEFAULT_AMIS", "false"),
                ("MOTO_ACM_VALIDATION_WAIT", "1"),
            ],
        }
    }
}

/// A running server of an emulator. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) backend: Backend,
    pub(crate) pid: u32,
    pub(crate) port: u16,
    launcher: Arc<Launcher>,
}

impl Server {
    /// Starts a server. This blocks for seconds for the first one of its kind in this process, and for milliseconds
    /// otherwise. The server gets the list of all emulators, including itself, because it cannot see resources of the
    /// others. It accepts only requests with `secret`.
    pub(crate) fn start(backend: Backend, gateway: u16, all: &[Backend], secret: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Started {
            pid: u32,
            port: u16,
        }
        let launcher = launcher(backend)?;
        let all: Vec<_> = all.iter().map(|backend| backend.name()).collect();
        let started: Started =
            launcher.command(&json!({ "start": { "gateway": gateway, "emulators": all, "secret": secret } }))?;
        Ok(Self { backend, pid: started.pid, port: started.port, launcher })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped: Result<serde_json::Value> = self.launcher.command(&json!({ "stop": self.pid }));
        if let Err(error) = stopped {
            tracing::debug!("{} had already ended: {error}", self.backend.name());
        }
    }
}

/// The process that forks an emulator's servers. It exits when its standard input closes, so it cannot outlive this
/// process.
#[derive(Debug)]
struct Launcher {
    backend: Backend,
    pipes: Mutex<Pipes>,
}

#[derive(Debug)]
struct Pipes {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// The running launcher of an emulator; the first caller starts it.
fn launcher(backend: Backend) -> Result<Arc<Launcher>> {
    type Slot = Arc<Mutex<Option<Arc<Launcher>>>>;
    static LAUNCHERS: Mutex<BTreeMap<Backend, Slot>> = Mutex::new(BTreeMap::new());

    // A lock per emulator, so that they start concurrently.
    let slot = LAUNCHERS.lock().unwrap_or_else(PoisonError::into_inner).entry(backend).or_default().clone();
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(launcher) = slot.as_ref().filter(|launcher| launcher.is_running()) {
        return Ok(Arc::clone(launcher));
    }
    let launcher = Arc::new(Launcher::start(backend)?);
    *slot = Some(Arc::clone(&launcher));
    Ok(launcher)
}

impl Launcher {
    fn start(backend: Backend) -> Result<Self> {
        let python = venv::interpreter(backend.requirements())?;
        let failed = |reason: String| Error::Backend { emulator: backend.name(), reason };
        let mut command = Command::new(python);
        // Only these variables: an emulator must never see or use the user's credentials.
        let own =
            |name: &str| ["LOCALSTACK_", "MINISTACK_", "MOTO_", "PYTHON"].iter().any(|prefix| name.starts_with(prefix));
        let own = std::env::vars_os().map(|(name, _)| name).filter(|name| own(&name.to_string_lossy()));
        for name in misleading().into_iter().chain(own) {
            command.env_remove(name);
        }
        command
            .arg("-s")
            .arg(venv::file("python/launcher.py"))
            .arg(backend.name())
            .envs(backend.environment().iter().copied())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log()?)
            // Ctrl-C in the terminal is for the client under test; the emulator continues until the process that
            // started it ends.
            .process_group(0);
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let (Some(commands), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("it has no pipes".to_owned()));
        };
        let mut pipes = Pipes { child, commands, answers: BufReader::new(answers) };
        let ready: Result<serde_json::Value> = pipes.read(backend);
        ready?;
        Ok(Self { backend, pipes: Mutex::new(pipes) })
    }

    fn is_running(&self) -> bool {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(pipes.child.try_wait(), Ok(None))
    }

    fn command<T: DeserializeOwned>(&self, command: &serde_json::Value) -> Result<T> {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pipes.commands, "{command}")
            .map_err(|error| Error::Backend { emulator: self.backend.name(), reason: error.to_string() })?;
        pipes.read(self.backend)
    }
}

impl Pipes {
    fn read<T: DeserializeOwned>(&mut self, backend: Backend) -> Result<T> {
        let failed = |reason: String| Error::Backend { emulator: backend.name(), reason };
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|error| failed(error.to_string()))?;
        if line.is_empty() {
            let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            return Err(failed(format!("its launcher ended ({status})")));
        }
        serde_json::from_str(&line).map_err(|error| failed(format!("{error} in {line:?}")))
    }
}

/// The destination of the emulators' output: discarded, unless `PAYINFRA_LOCAL_LOG` names a file.
fn log() -> Result<Stdio> {
    match std::env::var_os("PAYINFRA_LOCAL_LOG") {
        Some(path) => {
            let file = File::options().create(true).append(true).open(&path).map_err(Error::file(path))?;
            Ok(file.into())
        }
        None => Ok(Stdio::null()),
    }
}
