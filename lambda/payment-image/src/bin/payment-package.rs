//! `cargo function`: builds a function and writes its deployment package for Lambda.

#![expect(clippy::print_stdout, reason = "a command")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use payment_image::{Architecture, build_function, package};
use sha2::{Digest, Sha256};

/// Build the deployment package of a function
#[derive(Parser)]
#[command(name = "cargo function", version)]
struct Arguments {
    /// Write the package to this file [default: NAME.zip]
    archive: Option<PathBuf>,
    /// The function
    #[arg(long, default_value = "payment-processor", value_parser = ["drift-detector", "object-processor", "payment-processor"])]
    name: String,
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
        None => build_function(&arguments.name, arguments.architecture)?,
    };
    let archive = package(&fs::read(&binary)?)?;
    let file = arguments.archive.unwrap_or_else(|| format!("{}.zip", arguments.name).into());
    fs::write(&file, &archive)?;
    let hash = Sha256::digest(&archive).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    println!("sha256:{hash}\n{} ({} KiB)", file.display(), archive.len() >> 10);
    Ok(())
}
