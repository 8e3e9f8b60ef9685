//! The `payinfra` binary: the command line with the stacks that payinfra ships.

use std::process::ExitCode;

fn main() -> ExitCode {
    payinfra::main(payinfra_stacks::STACKS)
}
