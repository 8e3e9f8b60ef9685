//! `cargo function`: builds the payments function and writes its deployment package for Lambda.

#![expect(clippy::print_stdout, reason = "a command")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use payment_image::{Architecture, build_function, package};
use sha2::{Digest, Sha256};

/// Build the deployment package of the payments function
#[derive(Parser)]
#[command(name = "cargo function", version)]
struct Arguments {
    /// Write the package to this file
    #[arg(default_value = "payment-processor.zip")]
    archive: PathBuf,
    /// Build the function for this instruction set, that of the stack's variable `function.architecture`
    #[arg(long, default_value = "arm64")]
    architecture: Architecture,
    /// Use this binary instead of building one
    #[arg(long, conflicts_with = "architecture")]
    binary: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let binary = match arguments.binary {
        Some(binary) => binary,
        None => build_function("payment-processor", arguments.architecture)?,
    };
    let archive = package(&fs::read(&binary)?)?;
    fs::write(&arguments.archive, &archive)?;
    let hash = Sha256::digest(&archive).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    println!("sha256:{hash}\n{} ({} KiB)", arguments.archive.display(), archive.len() >> 10);
    Ok(())
}
