//! `cargo local delegate`

use std::process::ExitCode;

use clap::Args;

use super::{Outcome, running};

#[derive(Debug, Args)]
pub(super) struct Delegate {
    /// Name of the zone, such as payments.test
    zone: String,
    /// Remove the delegation
    #[arg(long)]
    remove: bool,
}

impl Delegate {
    pub(super) async fn run(self) -> Outcome {
        let (control, _) = running::need().await?;
        control.delegate(&self.zone, !self.remove).await?;
        Ok(ExitCode::SUCCESS)
    }
}
