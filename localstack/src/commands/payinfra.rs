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

/// Commands that need no state, and therefore no place for it.
const STATELESS: &[&str] =
    &["-V", "--help", "--version", "-h", "bootstrap", "completions", "graph", "help", "schema", "validate"];

#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct Payinfra {
    /// What to give to payinfra
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Payinfra {
    /// Becomes payinfra, so that its exit code, signals and terminal are its own.
    pub(super) async fn run(self) -> Outcome {
        let profile = std::env::var("PAYINFRA_LOCAL_PROFILE").ok();
        let profile = profile.map(|name| <Profile as clap::ValueEnum>::from_str(&name, true)).transpose()?;
        let binary = build()?;
        let status = running::start(profile, None, &[]).await?;
        let first = self.arguments.first().and_then(|argument| argument.to_str());
        if first.is_some_and(|first| !STATELESS.contains(&first)) {
            bootstrap(&binary, &status.endpoint, &self.arguments)?;
        }
        let failed = isolate(&mut Command::new(&binary), &status.endpoint).args(self.arguments).exec();
        Err(format!("{}: {failed}", binary.display()).into())
    }
}

/// Builds payinfra in the profile that this was built in. The whole workspace, because a part of it would have other
/// features in what is shared, and that would compile the AWS SDK once more.
fn build() -> Result<PathBuf, Box<dyn Error>> {
    let own = running::executable()?;
    let folder = own.parent().ok_or("this program is in no folder")?;
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--workspace", "--manifest-path"]);
    cargo.arg(manifest);
    if folder.file_name().is_some_and(|name| name == "release") {
        cargo.arg("--release");
    }
    if !cargo.status()?.success() {
        return Err("payinfra could not be built".into());
    }
    Ok(folder.join("payinfra"))
}

/// Makes the place for the state, if it is not there yet.
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
