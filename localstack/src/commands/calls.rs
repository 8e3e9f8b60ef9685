//! `cargo local calls`

use std::{
    io::{Write, stdout},
    process::ExitCode,
};

use clap::Args;

use payinfra_localstack::Call;

use super::{Outcome, running};

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Calls {
    /// Print each call as a JSON object on one line
    #[arg(long)]
    json: bool,
    /// Print only mutating calls
    #[arg(long)]
    mutating: bool,
    /// Print only calls that AWS's model of the service refuses, with members, constraints and values
    #[arg(long)]
    violations: bool,
    /// Clear the recorded calls after printing them
    #[arg(long)]
    clear: bool,
}

impl Calls {
    pub(super) async fn run(self) -> Outcome {
        let (control, _) = running::need().await?;
        let calls = control.calls().await?;
        if self.clear {
            control.clear_calls().await?;
        }
        let is_wanted =
            |call: &&Call| (call.mutating || !self.mutating) && (call.violation.is_some() || !self.violations);
        for call in calls.iter().filter(is_wanted) {
            if self.json {
                writeln!(stdout(), "{}", serde_json::to_string(call)?)?;
                continue;
            }
            let took = call.milliseconds.map_or_else(|| "…".to_owned(), |took| format!("{took:.0}"));
            let status = call.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            let sign = if call.mutating { '*' } else { ' ' };
            let violation = call.violation.as_deref().filter(|_| self.violations);
            let rest = [call.error.as_deref(), call.fault.as_deref(), violation];
            let rest = rest.into_iter().flatten().collect::<Vec<_>>().join(" ");
            let line = format!(
                "{:>5} {took:>6} ms {status:>3} {sign} {:<10} {:<16} {} {rest}",
                call.sequence, call.region, call.service, call.action
            );
            writeln!(stdout(), "{}", line.trim_end())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
