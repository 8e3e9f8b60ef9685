//! `payinfra completions`: prints a shell completion script.

use clap::Args;
use clap_complete::Shell;

use super::{Execute, definition};
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::{program, screen};

#[derive(Args)]
pub(super) struct Completions {
    /// Shell to print completions for
    #[arg(value_enum)]
    shell: Shell,
}

impl Execute for Completions {
    const NAME: &'static str = "completions";
    const ABOUT: &'static str = "Print a shell completion script";

    async fn execute(self, _: &Context) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut definition(), program::name(), &mut script);
        screen::print(&String::from_utf8_lossy(&script));
        Ok(Exit::Done)
    }
}
