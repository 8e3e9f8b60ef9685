//! `cargo local reset`

use std::process::ExitCode;

use super::{Outcome, running};

pub(super) async fn run() -> Outcome {
    running::need().await?.0.reset().await?;
    Ok(ExitCode::SUCCESS)
}
