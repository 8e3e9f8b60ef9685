//! `cargo local status`

use std::{
    io::{Write, stdout},
    process::ExitCode,
};

use clap::Args;

use super::{Outcome, running};

#[derive(Debug, Args)]
pub(super) struct Status {
    /// Print as JSON, or null if it is not running
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Exits with 0 if it is running, else with 1.
    pub(super) async fn run(self) -> Outcome {
        let found = running::find().await?.map(|(_, status)| status);
        let code = if found.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if self.json {
            writeln!(stdout(), "{}", serde_json::to_string_pretty(&found)?)?;
            return Ok(code);
        }
        let Some(status) = found else {
            writeln!(stdout(), "the emulated AWS is not running")?;
            return Ok(code);
        };
        writeln!(stdout(), "endpoint  {}", status.endpoint)?;
        writeln!(stdout(), "profile   {}", status.profile)?;
        writeln!(stdout(), "strict    {}", if status.strict { "yes" } else { "no" })?;
        writeln!(stdout(), "account   {}", status.account)?;
        writeln!(stdout(), "process   {}", status.pid)?;
        writeln!(stdout(), "emulators {}", status.backends.join(", "))?;
        writeln!(stdout(), "calls     {}", status.calls)?;
        writeln!(stdout(), "faults    {}", status.rules)?;
        Ok(code)
    }
}
