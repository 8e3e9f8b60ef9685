//! `payinfra unlock`: shows who holds the lock, and releases it.

use clap::Args;

use super::Execute;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::screen::{self, DIM};

#[derive(Args)]
pub(super) struct Unlock {
    /// Skip the confirmation prompt
    #[arg(long, short)]
    yes: bool,
}

impl Execute for Unlock {
    const NAME: &'static str = "unlock";
    const ABOUT: &'static str = "Show who holds the lock, and release it";

    async fn execute(self, cx: &Context) -> Outcome {
        let kept = cx.kept().await?;
        let lock = &kept.backing.lock;
        let Some(holder) = lock.holder().await? else {
            screen::line(&format!("The lock of {} is not held.", kept.workspace));
            return Ok(Exit::Done);
        };
        screen::line(&format!("The lock of {} is held:", kept.workspace));
        if holder.is_readable() {
            screen::line(&format!("  {DIM}by{DIM:#}       {}, process {}", holder.who, holder.pid));
            screen::line(&format!("  {DIM}since{DIM:#}    {}", holder.since));
            screen::line(&format!("  {DIM}command{DIM:#}  {}", holder.command));
        } else {
            screen::line(
                "  by an unknown process: the lock record cannot be read. It may be damaged, or written by another program.",
            );
        }
        if !self.yes {
            let question = "Release it? A process that still runs will not be able to make further changes.";
            screen::confirm(question, "yes", "nothing was released", "pass --yes if that process is dead").await?;
        }
        lock.force_release(&holder).await?;
        screen::line("Released.");
        Ok(Exit::Done)
    }
}
