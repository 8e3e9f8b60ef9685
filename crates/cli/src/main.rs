//! The `payinfra` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(payinfra::run(std::env::args_os()))
}
