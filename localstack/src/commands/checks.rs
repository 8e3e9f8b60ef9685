//! `cargo local checks`

use std::{
    io::{Write, stdout},
    process::ExitCode,
};

use clap::Subcommand;

use super::{Outcome, running};

#[derive(Debug, Subcommand)]
pub(super) enum Checks {
    /// Check after each mutating call that requests end at healthy targets and that data is replicated
    Start {
        /// Follow only names that match this pattern, such as `api.*`; by default, all alias and weighted records
        #[arg(long = "name", value_name = "PATTERN")]
        names: Vec<String>,
        /// The tables, buckets and global databases that match this pattern must be replicated between all regions that serve requests
        #[arg(long = "store", value_name = "PATTERN")]
        stores: Vec<String>,
    },
    /// Stop checking
    Stop,
    /// Print the violations; the exit code is 1 if there are any
    List {
        /// Print each violation as a JSON object on one line
        #[arg(long)]
        json: bool,
    },
}

impl Checks {
    pub(super) async fn run(self) -> Outcome {
        let (control, _) = running::need().await?;
        match self {
            Self::Start { names, stores } => {
                control.check(Some(&payinfra_localstack::Checks { names, stores })).await?;
            }
            Self::Stop => control.check(None).await?,
            Self::List { json } => {
                let violations = control.violations().await?;
                for violation in &violations {
                    let line = if json { serde_json::to_string(violation)? } else { violation.to_string() };
                    writeln!(stdout(), "{line}")?;
                }
                return Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
