//! The one emulated AWS that commands share: which it is, and starting it.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Write},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use payinfra_localstack::{Control, Profile, Status, cache_folder};

/// The port of every emulator of AWS.
const USUAL_PORT: u16 = 4566;

/// How long the first start may take, with the installation of the emulators.
const PATIENCE: Duration = Duration::from_mins(15);

/// Where the running one notes itself.
fn note() -> Result<PathBuf, Box<dyn Error>> {
    Ok(cache_folder()?.join("local.json"))
}

/// Where the running one writes what it has to say.
fn log() -> Result<PathBuf, Box<dyn Error>> {
    Ok(cache_folder()?.join("local.log"))
}

/// What is noted of the running one, for its owner only.
#[derive(Serialize, Deserialize)]
struct Note {
    /// Whoever has it controls the running one.
    token: String,
    #[serde(flatten)]
    status: Status,
}

/// Notes this process as the running one.
pub(super) fn write_note(status: &Status, token: &str) -> Result<(), Box<dyn Error>> {
    let note = note()?;
    // In one step, so that nobody reads half of it.
    let fresh = note.with_extension(format!("{}.tmp", status.pid));
    fs::create_dir_all(cache_folder()?)?;
    // One of an earlier process of the same number could be readable by others.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&fresh)?;
    let noted = Note { token: token.to_owned(), status: status.clone() };
    file.write_all(&serde_json::to_vec_pretty(&noted)?)?;
    Ok(fs::rename(fresh, note)?)
}

/// Removes the note, if it is still about the process that ends.
pub(super) fn remove_note(pid: u32) -> Result<(), Box<dyn Error>> {
    if noted()?.is_some_and(|noted| noted.status.pid == pid) {
        fs::remove_file(note()?)?;
    }
    Ok(())
}

fn noted() -> Result<Option<Note>, Box<dyn Error>> {
    // One that cannot be read is as good as none: the next start writes it again.
    Ok(fs::read(note()?).ok().and_then(|text| serde_json::from_slice(&text).ok()))
}

/// The running one, if there is one.
pub(super) async fn find() -> Result<Option<(Control, Status)>, Box<dyn Error>> {
    let Some(noted) = noted()? else {
        return Ok(None);
    };
    let control = Control::new(&noted.status.endpoint, &noted.token);
    // Whatever else has come to listen there does not have this process id.
    let status = control.status().await.ok().filter(|status| status.pid == noted.status.pid);
    Ok(status.map(|status| (control, status)))
}

/// The running one, or an error that says how to start it.
pub(super) async fn need() -> Result<(Control, Status), Box<dyn Error>> {
    find().await?.ok_or_else(|| "the emulated AWS is not running: `cargo local up` starts it".into())
}

/// The running one, which is started if there is none.
pub(super) async fn start(
    profile: Option<Profile>,
    port: Option<u16>,
    origins: &[String],
) -> Result<Status, Box<dyn Error>> {
    // Two that start at once get the same one.
    let cache = cache_folder()?;
    fs::create_dir_all(&cache)?;
    let lock = File::create(cache.join("local.lock"))?;
    lock.lock()?;
    if let Some((_, status)) = find().await? {
        if let Some(profile) = profile.filter(|profile| *profile != status.profile) {
            return Err(format!(
                "it is running with the profile {}, not {profile}: `cargo local down` first",
                status.profile
            )
            .into());
        }
        if let Some(port) = port.filter(|port| !status.endpoint.ends_with(&format!(":{port}"))) {
            return Err(
                format!("it is running at {}, not on port {port}: `cargo local down` first", status.endpoint).into()
            );
        }
        if let Some(origin) = origins.iter().find(|origin| !status.origins.contains(origin)) {
            return Err(
                format!("it is running and does not allow the origin {origin}: `cargo local down` first").into()
            );
        }
        return Ok(status);
    }
    let mut child = spawn(profile.unwrap_or_default(), port.unwrap_or_else(usual_port), origins)?;
    let begun = Instant::now();
    loop {
        if let Some((_, status)) = find().await?.filter(|(_, status)| status.pid == child.id()) {
            return Ok(status);
        }
        if let Some(ended) = child.try_wait()? {
            return Err(format!("it did not start ({ended}):\n{}", last_words()?).into());
        }
        if begun.elapsed() > PATIENCE {
            child.kill()?;
            return Err(format!("it did not start within {} s:\n{}", PATIENCE.as_secs(), last_words()?).into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The usual port if it is free, else any.
fn usual_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", USUAL_PORT)).map_or(0, |_| USUAL_PORT)
}

/// Starts it as a process that goes on when this one ends.
fn spawn(profile: Profile, port: u16, origins: &[String]) -> Result<Child, Box<dyn Error>> {
    let log = log()?;
    let file = File::create(&log)?;
    // The installation is done here, where its progress can be seen.
    payinfra_localstack::install(profile)?;
    let child = Command::new(executable()?)
        .args(["up", "--foreground", "--profile", &profile.to_string(), "--port", &port.to_string()])
        .args(origins.iter().flat_map(|origin| ["--allow-origin", origin]))
        .env("PAYINFRA_LOCAL_LOG", &log)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0)
        .spawn()?;
    Ok(child)
}

/// This program's file. Building payinfra replaces it while it runs, which Linux notes after the path.
pub(super) fn executable() -> std::io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let replaced = path.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.unwrap_or(path))
}

/// The end of what it wrote.
fn last_words() -> Result<String, Box<dyn Error>> {
    let text = String::from_utf8_lossy(&fs::read(log()?)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(20)..].join("\n"))
}
