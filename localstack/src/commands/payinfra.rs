//! `cargo local payinfra`

use std::{
    error::Error,
    ffi::OsString,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;
use payinfra_localstack::{Profile, isolate};

use super::{Outcome, running};

/// Commands that need no state, and therefore no backend.
const STATELESS: &[&str] =
    &["-V", "--help", "--version", "-h", "bootstrap", "completions", "graph", "help", "schema", "validate"];

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct Payinfra {
    /// Arguments for payinfra
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Payinfra {
    /// Replaces this process with payinfra, so that the exit code, signals and terminal are payinfra's.
    pub(super) async fn run(self) -> Outcome {
        let profile = std::env::var("PAYINFRA_LOCAL_PROFILE").ok();
        let profile = profile.map(|name| <Profile as clap::ValueEnum>::from_str(&name, true)).transpose()?;
        let binary = build()?;
        let status = running::start(profile, None, &[], false).await?;
        let first = self.arguments.first().and_then(|argument| argument.to_str());
        if first.is_some_and(|first| !STATELESS.contains(&first)) {
            bootstrap(&binary, &status.endpoint, &self.arguments)?;
        }
        let failed = isolate(&mut Command::new(&binary), &status.endpoint).args(self.arguments).exec();
        Err(format!("{}: {failed}", binary.display()).into())
    }
}

/// Builds payinfra with the profile of this program. Builds the whole workspace, because building only a part would
/// select other features of shared dependencies and compile the AWS SDK again.
fn build() -> Result<PathBuf, Box<dyn Error>> {
    let own = running::executable()?;
    let folder = own.parent().ok_or("cannot determine the folder of this program")?;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--workspace", "--manifest-path"]);
    cargo.arg(manifest);
    if folder.file_name().is_some_and(|name| name == "release") {
        cargo.arg("--release");
    }
    if !cargo.status()?.success() {
        return Err("building payinfra failed".into());
    }
    Ok(folder.join("payinfra"))
}

/// Bootstraps the state backend if necessary.
fn bootstrap(binary: &Path, endpoint: &str, arguments: &[OsString]) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(binary);
    isolate(&mut command, endpoint).arg("bootstrap");
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--config" {
            command.arg(argument).args(arguments.next());
        } else if argument.to_string_lossy().starts_with("--config=") {
            command.arg(argument);
        }
    }
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("payinfra bootstrap failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
