//! `cargo local up`

use std::{
    io::{self, Write, stdout},
    process::ExitCode,
};

use clap::Args;
use payinfra_localstack::{Emulator, Profile, Status, environment};

use super::{Outcome, running};

#[derive(Debug, Args)]
pub(super) struct Up {
    /// The emulators to use [default: default]
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// The port to listen on [default: 4566, or any if that is taken]
    #[arg(long)]
    port: Option<u16>,
    /// Stay, and stop on Ctrl-C
    #[arg(long)]
    foreground: bool,
}

impl Up {
    pub(super) async fn run(self) -> Outcome {
        if self.foreground {
            return self.stay().await;
        }
        print(&running::start(self.profile, self.port).await?)?;
        Ok(ExitCode::SUCCESS)
    }

    async fn stay(self) -> Outcome {
        let emulator = Emulator::builder();
        let emulator = emulator.profile(self.profile.unwrap_or_default()).port(self.port.unwrap_or(0)).start().await?;
        let status = emulator.status().await?;
        running::write_note(&status)?;
        print(&status)?;
        let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            () = emulator.stopped() => {}
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminated.recv() => {}
        }
        running::remove_note(status.pid)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Says where it is, in words that a shell understands.
fn print(status: &Status) -> io::Result<()> {
    writeln!(stdout(), "# emulated AWS, account {}: {}", status.account, status.backends.join(", "))?;
    for (name, value) in environment(&status.endpoint) {
        writeln!(stdout(), "export {name}={value}")?;
    }
    writeln!(stdout(), "unset AWS_PROFILE AWS_SESSION_TOKEN")?;
    Ok(())
}
