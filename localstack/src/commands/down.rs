//! `cargo local down`

use std::{
    io::{Write, stdout},
    process::ExitCode,
    time::Duration,
};

use super::{Outcome, running};

pub(super) async fn run() -> Outcome {
    let Some((control, status)) = running::find().await? else {
        writeln!(stdout(), "the emulated AWS is not running")?;
        return Ok(ExitCode::SUCCESS);
    };
    control.stop().await?;
    // When this returns, the port is free again.
    for _ in 0..500 {
        if control.status().await.is_err() {
            running::remove_note(status.pid)?;
            writeln!(stdout(), "the emulated AWS at {} has stopped", status.endpoint)?;
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("the emulated AWS did not stop; its process id is {}", status.pid).into())
}
