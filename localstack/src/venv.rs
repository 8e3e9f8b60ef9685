//! The emulators' Python packages, installed once per set of pins and shared by all instances.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sha2::{Digest, Sha256};

use crate::{
    error::{Error, Result},
    profile::Profile,
};

/// The folder of this crate's files.
const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// Checks whether an interpreter is suitable, and prints its version.
const PROBE: &str = "import sys, venv, ensurepip; assert sys.version_info >= (3, 11), sys.version.split()[0]; \
                     print(sys.version.split()[0], sys.implementation.cache_tag)";

/// A file of this crate, such as `python/launcher.py`.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// The cache folder of the emulators and of the running instance: `$XDG_CACHE_HOME/payinfra`.
///
/// # Errors
/// If there is no home directory.
pub fn cache_folder() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("payinfra"))
        .ok_or(Error::NoCache)
}

/// Installs the emulators of a profile if they are not installed. Progress is logged.
///
/// # Errors
/// If there is no Python, or the installation fails.
pub fn install(profile: Profile) -> Result<()> {
    profile.backends().iter().try_for_each(|backend| interpreter(backend.requirements()).map(drop))
}

/// The interpreter that has Chromium, with which tests simulate web pages. The first use downloads 260 MB and takes 700
/// MB of the cache folder.
///
/// # Errors
/// If there is no Python, or the installation fails.
pub fn browser() -> Result<PathBuf> {
    interpreter("requirements-browser.txt")
}

/// The interpreter that has the packages of a requirements file, which are installed if necessary.
///
/// Concurrent calls from several processes are safe: one installs, the others wait. An interrupted installation is
/// repeated, because only a complete one has a marker file.
pub(crate) fn interpreter(requirements: &str) -> Result<PathBuf> {
    let (name, requirements) = (requirements, file(requirements));
    let pins = fs::read(&requirements).map_err(Error::file(&requirements))?;
    let (python, version) = find_python()?;
    let digest = Sha256::new().chain_update(&pins).chain_update(&version).finalize();
    let digest = digest.iter().take(6).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));

    let cache = cache_folder()?;
    fs::create_dir_all(&cache).map_err(Error::file(&cache))?;
    let folder = cache.join(format!("python-{digest:012x}"));
    let installed = folder.join("bin").join("python");
    let mark = folder.join("complete");
    if mark.exists() {
        return Ok(installed);
    }

    let lock = folder.with_extension("lock");
    let guard = File::create(&lock).map_err(Error::file(&lock))?;
    guard.lock().map_err(Error::file(&lock))?;
    if mark.exists() {
        return Ok(installed);
    }
    if folder.exists() {
        tracing::info!("an earlier installation was interrupted: starting again");
        fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    tracing::info!("installing the packages of {name} into {} (once; under a minute)", folder.display());
    run("python -m venv", Command::new(&python).args(["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(&installed);
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"]);
    run("pip install", pip.arg("--requirement").arg(&requirements))?;
    fs::write(&mark, &version).map_err(Error::file(&mark))?;
    tracing::info!("the packages of {name} are installed");
    Ok(installed)
}

/// The first suitable interpreter, with its version.
fn find_python() -> Result<(OsString, String)> {
    let named = env::var_os("PAYINFRA_PYTHON").filter(|name| !name.is_empty());
    let candidates = match named {
        Some(name) => vec![name],
        // The pins are resolved for 3.11, so this version comes first.
        None => ["python3.11", "python3.12", "python3.13", "python3"].map(OsString::from).to_vec(),
    };
    let mut tried = Vec::new();
    for candidate in candidates {
        let output = Command::new(&candidate).args(["-c", PROBE]).stdin(Stdio::null()).output();
        let reason = match output {
            Ok(output) if output.status.success() => {
                return Ok((candidate, String::from_utf8_lossy(&output.stdout).trim().to_owned()));
            }
            Ok(output) => String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("unknown error").to_owned(),
            Err(error) => error.to_string(),
        };
        tried.push(format!("{}: {reason}", candidate.to_string_lossy()));
    }
    Err(Error::Python { tried: tried.join("; ") })
}

/// Runs a step of the installation; if it fails, its last lines become the error.
fn run(step: &'static str, command: &mut Command) -> Result<()> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| Error::Install { step, output: error.to_string() })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    Err(Error::Install { step, output: lines[lines.len().saturating_sub(20)..].join("\n") })
}
