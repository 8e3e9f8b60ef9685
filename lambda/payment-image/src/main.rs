//! `cargo image`: builds the payments service and writes its container image to an archive for `docker load`, `skopeo`
//! and other tools that read OCI archives.

#![expect(clippy::print_stdout, reason = "a command")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use payment_image::{NAME, build, image};

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
        None => build("payment-service", arguments.target.as_deref())?,
    };
    let image = image(&fs::read(&binary)?)?;
    fs::write(&arguments.archive, &image.archive)?;
    let size = image.archive.len() >> 20;
    println!("{NAME}\n{}\n{} ({size} MiB)", image.digest, arguments.archive.display());
    Ok(())
}
