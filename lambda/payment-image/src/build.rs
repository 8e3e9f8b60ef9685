//! Builds a binary.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Builds the package `name` with `lambda/image.toml`, and returns the path of the statically linked binary.
///
/// # Errors
/// If cargo fails.
pub fn build(name: &str, target: Option<&str>) -> Result<PathBuf, Box<dyn Error>> {
    let lambda = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("cannot determine the folder of this package")?;
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["--config", "image.toml", "build", "--release", "--locked", "--package", name])
        .args(["--message-format", "json-render-diagnostics"])
        .args(target.iter().flat_map(|target| ["--target", *target]))
        // This would override the flags of the configuration.
        .env_remove("RUSTFLAGS")
        .current_dir(lambda)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("building {name} failed").into());
    }
    let artifacts = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let program = artifacts.filter(|artifact: &Value| artifact["target"]["name"] == name);
    let mut paths = program.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    paths.next().ok_or_else(|| format!("cargo did not report the path of {name}").into())
}
