//! `payinfra unlock`: shows who holds the lock, and takes it from them.

use clap::Args;

use super::Execute;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::screen::{self, DIM};

#[derive(Args)]
pub(super) struct Unlock {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

impl Execute for Unlock {
    const NAME: &'static str = "unlock";
    const ABOUT: &'static str = "Show who holds the lock, since when and from where, and release it";

    async fn execute(self, cx: &Context) -> Outcome {
        let kept = cx.kept().await?;
        let lock = &kept.backing.lock;
        let Some(holder) = lock.holder().await? else {
            screen::line(&format!("Nobody holds the lock of {}.", kept.workspace));
            return Ok(Exit::Done);
        };
        screen::line(&format!("The lock of {} is held:", kept.workspace));
        if holder.is_readable() {
            screen::line(&format!("  {DIM}by{DIM:#}       {}, process {}", holder.who, holder.pid));
            screen::line(&format!("  {DIM}since{DIM:#}    {}", holder.since));
            screen::line(&format!("  {DIM}command{DIM:#}  {}", holder.command));
        } else {
            screen::line(
                "  by a process whose record cannot be read. It can have been damaged, or written by something else.",
            );
        }
        if !self.yes {
            let question = "Release it? Whatever still runs there can change nothing more.";
            screen::confirm(question, "yes", "nothing was released", "say --yes if that process is dead").await?;
        }
        lock.force_release(&holder).await?;
        screen::line("Released.");
        Ok(Exit::Done)
    }
}
