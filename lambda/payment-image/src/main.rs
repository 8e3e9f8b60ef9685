//! `cargo image`: builds the payments service and makes its container image, an archive for `docker load`, `skopeo` and
//! whatever else reads OCI archives.

#![expect(clippy::print_stdout, reason = "a command")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use clap::Parser;
use payment_image::{NAME, image};
use serde_json::Value;

/// Make the container image of the payments service
#[derive(Parser)]
#[command(name = "cargo image", version)]
struct Arguments {
    /// Where to write the archive
    #[arg(default_value = "payment-service.tar")]
    archive: PathBuf,
    /// Build the service for this platform, `x86_64-unknown-linux-gnu` unless given
    #[arg(long)]
    target: Option<String>,
    /// Use this statically linked binary, and build none
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

/// Builds the service as `lambda/image.toml` says, with all that it needs in one file, and returns that.
fn build(target: Option<&str>) -> Result<PathBuf, Box<dyn Error>> {
    let lambda = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("this package is in no folder")?;
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["--config", "image.toml", "build", "--release", "--locked", "--package", "payment-service"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(target.iter().flat_map(|target| ["--target", *target]))
        // It would take the place of the flags of the configuration.
        .env_remove("RUSTFLAGS")
        .current_dir(lambda)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the service could not be built".into());
    }
    let artifacts = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let program = artifacts.filter(|artifact: &Value| artifact["target"]["name"] == "payment-service");
    let mut paths = program.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    paths.next().ok_or_else(|| "cargo does not say where the service is".into())
}
