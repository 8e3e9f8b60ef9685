//! Builds a binary.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;
use serde_json::Value;

use crate::program::GLIBC;

/// The packages that [`build_function`] needs, with their versions.
const ZIG: &str = "lambda/zig/requirements.txt";

/// An instruction set of Lambda, with the name that it has in the variables of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Architecture {
    /// Graviton.
    #[value(name = "arm64")]
    Arm64,
    /// Intel and AMD.
    #[value(name = "x86_64")]
    X86_64,
}

impl Architecture {
    /// The name of the platform in Rust.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86_64 => "x86_64-unknown-linux-gnu",
        }
    }
}

/// Builds the package `name` with `lambda/image.toml`, and returns the path of the statically linked binary.
///
/// # Errors
/// If cargo fails.
pub fn build(name: &str, target: Option<&str>) -> Result<PathBuf, Box<dyn Error>> {
    let mut command = cargo("build", name)?;
    command.args(target.iter().flat_map(|target| ["--target", *target]));
    run(&mut command, name)
}

/// Builds the package `name` with zig, `lambda/image.toml` and `lambda/function.toml`, and returns the path of the
/// binary, which needs glibc [`GLIBC`].
///
/// The binary contains no paths of this machine, so the same source gives the same binary elsewhere.
///
/// # Errors
/// If cargo-zigbuild and zig are not installed, or the build fails.
pub fn build_function(name: &str, architecture: Architecture) -> Result<PathBuf, Box<dyn Error>> {
    let installed =
        Command::new("cargo-zigbuild").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !installed.is_ok_and(|status| status.success()) {
        return Err(format!(
            "cargo-zigbuild is not installed: run `python3 -m venv .zig && .zig/bin/pip install --requirement {ZIG}`, and \
             add `.zig/bin` to PATH"
        )
        .into());
    }
    let mut command = cargo("zigbuild", name)?;
    let (major, minor) = GLIBC;
    command.args(["--config", "function.toml", "--target", &format!("{}.{major}.{minor}", architecture.target())]);
    // They replace the flags of the configuration, with which it would be linked statically.
    command.env("CARGO_ENCODED_RUSTFLAGS", renamed_paths()?);
    run(&mut command, name)
}

/// A release build of the package `name` with `lambda/image.toml`.
fn cargo(subcommand: &str, name: &str) -> Result<Command, Box<dyn Error>> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args([subcommand, "--config", "image.toml", "--release", "--locked", "--package", name])
        .args(["--message-format", "json-render-diagnostics"])
        // This would override the flags of the configuration.
        .env_remove("RUSTFLAGS")
        .current_dir(lambda()?)
        .stderr(Stdio::inherit());
    Ok(command)
}

/// Runs a build, and returns the path of the binary `name`.
fn run(command: &mut Command, name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("building {name} failed").into());
    }
    let artifacts = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let program = artifacts.filter(|artifact: &Value| artifact["target"]["name"] == name);
    let mut paths = program.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    paths.next().ok_or_else(|| format!("cargo did not report the path of {name}").into())
}

/// The folder of the payments path.
fn lambda() -> Result<&'static Path, Box<dyn Error>> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("cannot determine the folder of this package")?)
}

/// The flags that replace the paths of this machine in messages of panics, separated as cargo expects them.
fn renamed_paths() -> Result<OsString, Box<dyn Error>> {
    let workspace = lambda()?.parent().ok_or("cannot determine the folder of the workspace")?;
    let home = env::var_os("HOME").map(PathBuf::from);
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(home?.join(".cargo")));
    let mut flags = OsString::new();
    for (path, name) in [(cargo.as_deref(), "cargo"), (Some(workspace), "payinfra")] {
        let Some(path) = path else { continue };
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(path);
        flags.push("=");
        flags.push(name);
    }
    Ok(flags)
}
