//! `cargo local up`

use std::{
    collections::BTreeSet,
    io::{self, Write, stdout},
    process::ExitCode,
};

use clap::Args;
use payinfra_localstack::{Emulator, Profile, Status, environment, misleading};

use super::{Outcome, running};

#[derive(Debug, Args)]
pub(super) struct Up {
    /// Emulators to use [default: default]
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// Port to listen on [default: 4566, or any port if it is in use]
    #[arg(long)]
    port: Option<u16>,
    /// Accept requests from this web page, such as http://localhost:3000; can be repeated
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Apply constraints that AWS's models do not say, such as default quotas; also by PAYINFRA_LOCAL_STRICT=1
    #[arg(long)]
    strict: bool,
    /// Run in the foreground until Ctrl-C
    #[arg(long)]
    foreground: bool,
}

impl Up {
    pub(super) async fn run(self) -> Outcome {
        if self.foreground {
            return self.stay().await;
        }
        print(&running::start(self.profile, self.port, &self.allow_origin, self.strict).await?)?;
        Ok(ExitCode::SUCCESS)
    }

    async fn stay(self) -> Outcome {
        let builder = Emulator::builder().profile(self.profile.unwrap_or_default()).port(self.port.unwrap_or(0));
        let builder = self.allow_origin.iter().fold(builder, |builder, origin| builder.allow_origin(origin));
        let builder = if self.strict { builder.strict(true) } else { builder };
        let emulator = builder.start().await?;
        let status = emulator.status().await?;
        running::write_note(&status, emulator.token())?;
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

/// Prints the environment variables as shell commands.
fn print(status: &Status) -> io::Result<()> {
    writeln!(stdout(), "# emulated AWS, account {}: {}", status.account, status.backends.join(", "))?;
    for (name, value) in environment(&status.endpoint) {
        writeln!(stdout(), "export {name}={value}")?;
    }
    let exported = environment(&status.endpoint);
    let mut unset: BTreeSet<_> = misleading().into_iter().filter_map(|name| name.into_string().ok()).collect();
    unset.extend(["AWS_PROFILE", "AWS_SESSION_TOKEN"].map(str::to_owned));
    // Skip names that are not valid in a shell.
    unset.retain(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    unset.retain(|name| exported.iter().all(|(exported, _)| exported != name));
    writeln!(stdout(), "unset {}", unset.into_iter().collect::<Vec<_>>().join(" "))?;
    Ok(())
}
