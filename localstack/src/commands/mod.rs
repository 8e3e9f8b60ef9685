//! The commands of `cargo local`, one file each.

mod calls;
mod down;
mod faults;
mod payinfra;
mod reset;
mod running;
mod status;
mod up;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};

/// How a command ends.
type Outcome = Result<ExitCode, Box<dyn Error>>;

/// One emulated AWS on this machine: no Docker, no account, no token.
#[derive(Debug, Parser)]
#[command(name = "cargo local", bin_name = "cargo local", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start it, if it is not running, and print how to use it
    Up(up::Up),
    /// Stop it, and forget everything in it
    Down,
    /// Show whether it is running, and what with
    Status(status::Status),
    /// Show the calls that were made to it
    Calls(calls::Calls),
    /// Make it fail like networks and AWS do
    #[command(subcommand)]
    Faults(faults::Faults),
    /// Empty the account and the record of calls
    Reset,
    /// Build payinfra and run it against the emulated AWS, which is started if need be
    Payinfra(payinfra::Payinfra),
}

impl Arguments {
    pub(crate) async fn run(self) -> Outcome {
        match self.command {
            Command::Up(up) => up.run().await,
            Command::Down => down::run().await,
            Command::Status(status) => status.run().await,
            Command::Calls(calls) => calls.run().await,
            Command::Faults(faults) => faults.run().await,
            Command::Reset => reset::run().await,
            Command::Payinfra(payinfra) => payinfra.run().await,
        }
    }
}
