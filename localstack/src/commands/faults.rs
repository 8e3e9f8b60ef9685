//! `cargo local faults`

use std::{
    error::Error,
    fs,
    io::{Write, stdout},
    process::ExitCode,
};

use clap::Subcommand;

use super::{Outcome, running};

#[derive(Debug, Subcommand)]
pub(super) enum Faults {
    /// Replace the faults with those in a TOML or JSON file, or in JSON text
    Set {
        /// A file, `-` for standard input, or JSON text such as
        /// '{"rules": [{"match": {"service": "ec2"}, "fault": {"kind": "throttle"}}]}'
        faults: String,
    },
    /// Print the active faults, as TOML
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove all faults
    Clear,
}

impl Faults {
    pub(super) async fn run(self) -> Outcome {
        let (control, _) = running::need().await?;
        match self {
            Self::Set { faults } => control.set_faults(&read(&faults)?).await?,
            Self::List { json } => {
                let faults = control.faults().await?;
                let text = if json { serde_json::to_string_pretty(&faults)? } else { toml::to_string_pretty(&faults)? };
                writeln!(stdout(), "{}", text.trim_end())?;
            }
            Self::Clear => control.set_faults(&payinfra_localstack::Faults::default()).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Text that starts like JSON is JSON; anything else is a file name.
fn read(source: &str) -> Result<payinfra_localstack::Faults, Box<dyn Error>> {
    let text = match source.trim_start() {
        text if text.starts_with('{') => text.to_owned(),
        "-" => std::io::read_to_string(std::io::stdin())?,
        path => fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
    };
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).map_err(|error| format!("{source}: {error}").into());
    }
    toml::from_str(&text).map_err(|error| format!("{source}:\n{error}").into())
}
