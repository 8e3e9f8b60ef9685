//! `cargo image`: builds the payments service and writes its container image to an archive for `docker load`, `skopeo`
//! and other tools that read OCI archives.

#![expect(clippy::print_stdout, reason = "a command")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use clap::Parser;
use payment_image::{NAME, image};
use serde_json::Value;

/// Build the container image of the payments service
#[derive(Parser)]
#[command(name = "cargo image", version)]
struct Arguments {
    /// Write the archive to this file
    #[arg(default_value = "payment-service.tar")]
    archive: PathBuf,
    /// Build the service for this platform [default: x86_64-unknown-linux-gnu]
    #[arg(long)]
    target: Option<String>,
    /// Use this statically linked binary instead of building one
    #[arg(long, conflicts_with = "target")]
    binary: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let binary = match arguments.binary {
        Some(binary) => binary,
        None => build(arguments.target.as_deref())?,
    };
    let image = image(&fs::read(&binary)?)?;
    fs::write(&arguments.archive, &image.archive)?;
    let size = image.archive.len() >> 20;
    println!("{NAME}\n{}\n{} ({size} MiB)", image.digest, arguments.archive.display());
    Ok(())
}

/// Builds the service with `lambda/image.toml`, and returns the path of the statically linked binary.
fn build(target: Option<&str>) -> Result<PathBuf, Box<dyn Error>> {
    let lambda = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("cannot determine the folder of this package")?;
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["--config", "image.toml", "build", "--release", "--locked", "--package", "payment-service"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(target.iter().flat_map(|target| ["--target", *target]))
        // This would override the flags of the configuration.
        .env_remove("RUSTFLAGS")
        .current_dir(lambda)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("building the service failed".into());
    }
    let artifacts = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let program = artifacts.filter(|artifact: &Value| artifact["target"]["name"] == "payment-service");
    let mut paths = program.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    paths.next().ok_or_else(|| "cargo did not report the path of the service".into())
}
