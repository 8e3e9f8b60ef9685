//! The commands of `cargo local`, one file each.

mod calls;
mod checks;
mod delegate;
mod down;
mod faults;
mod payinfra;
mod reset;
mod running;
mod status;
mod up;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};

/// The result of a command.
type Outcome = Result<ExitCode, Box<dyn Error>>;

/// An emulated AWS on this machine: no Docker, no account, no token
#[derive(Debug, Parser)]
#[command(name = "cargo local", bin_name = "cargo local", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the emulated AWS if it is not running, and print the environment variables to use it
    Up(up::Up),
    /// Stop the emulated AWS and delete all of its data
    Down,
    /// Show whether the emulated AWS is running, and its configuration
    Status(status::Status),
    /// Show the recorded API calls
    Calls(calls::Calls),
    /// Check that requests always end at healthy targets
    #[command(subcommand)]
    Checks(checks::Checks),
    /// Let the parent of a zone delegate it, for an emulated AWS that is strict
    Delegate(delegate::Delegate),
    /// Inject failures, throttling, latency and outages
    #[command(subcommand)]
    Faults(faults::Faults),
    /// Delete all resources and recorded calls
    Reset,
    /// Build payinfra and run it against the emulated AWS, which is started if necessary
    Payinfra(payinfra::Payinfra),
}

impl Arguments {
    pub(crate) async fn run(self) -> Outcome {
        match self.command {
            Command::Up(up) => up.run().await,
            Command::Down => down::run().await,
            Command::Status(status) => status.run().await,
            Command::Calls(calls) => calls.run().await,
            Command::Checks(checks) => checks.run().await,
            Command::Delegate(delegate) => delegate.run().await,
            Command::Faults(faults) => faults.run().await,
            Command::Reset => reset::run().await,
            Command::Payinfra(payinfra) => payinfra.run().await,
        }
    }
}
