//! The shared emulated AWS of the commands: finds it, and starts it.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Write},
    net::{TcpListener, UdpSocket},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use payinfra_localstack::{Control, Profile, Status, cache_folder};

/// The usual port of AWS emulators.
const USUAL_PORT: u16 = 4566;

/// How long the first start may take, including the installation of the emulators.
const PATIENCE: Duration = Duration::from_mins(15);

/// The file that describes the running instance.
fn note() -> Result<PathBuf, Box<dyn Error>> {
    Ok(cache_folder()?.join("local.json"))
}

/// The log file of the running instance.
fn log() -> Result<PathBuf, Box<dyn Error>> {
    Ok(cache_folder()?.join("local.log"))
}

/// The description of the running instance, readable only by its owner.
#[derive(Serialize, Deserialize)]
struct Note {
    /// The token that controls the instance.
    token: String,
    #[serde(flatten)]
    status: Status,
}

/// Records this process as the running instance.
pub(super) fn write_note(status: &Status, token: &str) -> Result<(), Box<dyn Error>> {
    let note = note()?;
    // Write atomically, so that nobody reads half of it.
    let fresh = note.with_extension(format!("{}.tmp", status.pid));
    fs::create_dir_all(cache_folder()?)?;
    // A file left by an earlier process with the same id could be readable by others.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&fresh)?;
    let noted = Note { token: token.to_owned(), status: status.clone() };
    file.write_all(&serde_json::to_vec_pretty(&noted)?)?;
    Ok(fs::rename(fresh, note)?)
}

/// Deletes the description, if it still describes this process.
pub(super) fn remove_note(pid: u32) -> Result<(), Box<dyn Error>> {
    if noted()?.is_some_and(|noted| noted.status.pid == pid) {
        fs::remove_file(note()?)?;
    }
    Ok(())
}

fn noted() -> Result<Option<Note>, Box<dyn Error>> {
    // Ignore a description that cannot be read: the next start replaces it.
    Ok(fs::read(note()?).ok().and_then(|text| serde_json::from_slice(&text).ok()))
}

/// The running instance, if any.
pub(super) async fn find() -> Result<Option<(Control, Status)>, Box<dyn Error>> {
    let Some(noted) = noted()? else {
        return Ok(None);
    };
    let control = Control::new(&noted.status.endpoint, &noted.token);
    // Another program that listens on the port does not report this process id.
    let status = control.status().await.ok().filter(|status| status.pid == noted.status.pid);
    Ok(status.map(|status| (control, status)))
}

/// The running instance, or an error with the command that starts it.
pub(super) async fn need() -> Result<(Control, Status), Box<dyn Error>> {
    find().await?.ok_or_else(|| "the emulated AWS is not running; start it with `cargo local up`".into())
}

/// The running instance, which is started if there is none.
pub(super) async fn start(
    profile: Option<Profile>,
    port: Option<u16>,
    origins: &[String],
    strict: bool,
) -> Result<Status, Box<dyn Error>> {
    // Two concurrent starts get the same instance.
    let cache = cache_folder()?;
    fs::create_dir_all(&cache)?;
    let lock = File::create(cache.join("local.lock"))?;
    lock.lock()?;
    if let Some((_, status)) = find().await? {
        if let Some(profile) = profile.filter(|profile| *profile != status.profile) {
            return Err(format!(
                "the emulated AWS is running with the profile {}, not {profile}; stop it with `cargo local down` first",
                status.profile
            )
            .into());
        }
        if let Some(port) = port.filter(|port| !status.endpoint.ends_with(&format!(":{port}"))) {
            return Err(format!(
                "the emulated AWS is running at {}, not on port {port}; stop it with `cargo local down` first",
                status.endpoint
            )
            .into());
        }
        if let Some(origin) = origins.iter().find(|origin| !status.origins.contains(origin)) {
            return Err(
                format!("the emulated AWS is running and does not allow the origin {origin}; stop it with `cargo local down` first").into()
            );
        }
        if strict && !status.strict {
            return Err("the emulated AWS is running and is not strict; stop it with `cargo local down` first".into());
        }
        return Ok(status);
    }
    let mut child = spawn(profile.unwrap_or_default(), port.unwrap_or_else(usual_port), origins, strict)?;
    let begun = Instant::now();
    loop {
        if let Some((_, status)) = find().await?.filter(|(_, status)| status.pid == child.id()) {
            return Ok(status);
        }
        if let Some(ended) = child.try_wait()? {
            return Err(format!("the emulated AWS did not start ({ended}):\n{}", last_words()?).into());
        }
        if begun.elapsed() > PATIENCE {
            child.kill()?;
            return Err(
                format!("the emulated AWS did not start within {} s:\n{}", PATIENCE.as_secs(), last_words()?).into()
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The usual port if it is free, also for DNS, or else any port.
fn usual_port() -> u16 {
    let usual = ("127.0.0.1", USUAL_PORT);
    let is_free = TcpListener::bind(usual).is_ok() && UdpSocket::bind(usual).is_ok();
    if is_free { USUAL_PORT } else { 0 }
}

/// Starts the instance as a process that outlives this one.
fn spawn(profile: Profile, port: u16, origins: &[String], strict: bool) -> Result<Child, Box<dyn Error>> {
    let log = log()?;
    let file = File::create(&log)?;
    // Install here, so that the user sees the progress.
    payinfra_localstack::install(profile)?;
    let child = Command::new(executable()?)
        .args(["up", "--foreground", "--profile", &profile.to_string(), "--port", &port.to_string()])
        .args(origins.iter().flat_map(|origin| ["--allow-origin", origin]))
        .args(strict.then_some("--strict"))
        .env("PAYINFRA_LOCAL_LOG", &log)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0)
        .spawn()?;
    Ok(child)
}

/// The path of this program. If a build replaces the file while it runs, Linux appends a note to the path.
pub(super) fn executable() -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let replaced = path.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.unwrap_or(path))
}

/// The last lines of the log.
fn last_words() -> Result<String, Box<dyn Error>> {
    let text = String::from_utf8_lossy(&fs::read(log()?)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(20)..].join("\n"))
}
