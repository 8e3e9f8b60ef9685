//! `cargo local status`

use std::process::ExitCode;

use clap::Args;

use super::{Outcome, running};

#[derive(Debug, Args)]
pub(super) struct Status {
    /// Print one JSON document, or null if it is not running
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Exits 0 if it is running, else 1.
    pub(super) async fn run(self) -> Outcome {
        let found = running::find().await?.map(|(_, status)| status);
        let code = if found.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&found)?);
            return Ok(code);
        }
        let Some(status) = found else {
            println!("the emulated AWS is not running");
            return Ok(code);
        };
        println!("endpoint  {}", status.endpoint);
        println!("profile   {}", serde_json::to_value(status.profile)?.as_str().unwrap_or_default());
        println!("account   {}", status.account);
        println!("process   {}", status.pid);
        println!("emulators {}", status.backends.join(", "));
        println!("calls     {}", status.calls);
        println!("faults    {}", status.rules);
        Ok(code)
    }
}
