//! `payinfra sweep`: finds what carries our owner tags and is in no state.

use std::collections::BTreeSet;

use clap::Args;
use payinfra_engine::sweep::{Orphan, census, orphans, remove};
use payinfra_engine::{Class, Error, Region, Result, State};

use super::Execute;
use crate::context::{Context, Session};
use crate::events::{Emitter, Message, swept};
use crate::exit::{Exit, Outcome};
use crate::failure::block;
use crate::lock;
use crate::screen::{self, ADDRESS, CREATE, DELETE, DIM};

#[derive(Args)]
pub(super) struct Sweep {
    /// Remove what was found.
    #[arg(long)]
    delete: bool,
    /// Do not ask.
    #[arg(long, short, requires = "delete")]
    yes: bool,
    /// Print what was found as an event, a JSON object on one line; see `schema --events`.
    #[arg(long)]
    json: bool,
}

impl Execute for Sweep {
    const NAME: &'static str = "sweep";
    const ABOUT: &'static str =
        "Find what carries the workspace's owner tags and is in no state; remove it with --delete";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        let found = find(&session).await?;
        if self.json {
            Emitter.emit(Message::Sweep { orphans: swept(&found) });
        } else if found.is_empty() {
            screen::line(&format!("{CREATE}Nothing{CREATE:#} is ours and in no state."));
        } else {
            list(&found);
        }
        if found.is_empty() || !self.delete {
            return Ok(if found.is_empty() { Exit::Done } else { Exit::Differs });
        }
        self.confirm(found.len()).await?;
        let epoch = session.kept.load().await?.state.epoch;
        let lease = lock::acquire(&session.kept.backing, Self::NAME, epoch).await?;
        // Under the lock, and looked at again: nothing that an apply is just making is an orphan now.
        let removed = async {
            session.cloud.guard(lease.guard());
            let again = find(&session).await?;
            lease.check()?;
            let count = again.len();
            Ok::<_, Error>((count, remove(&session.cloud, again).await))
        }
        .await;
        lock::release(lease).await;
        let (count, left) = removed?;
        for (orphan, error) in &left {
            screen::fail(&format!("\n{}", block(Some(&orphan.owner.address), error)));
        }
        if !self.json {
            screen::line(&format!("Removed {}, left {}.", count - left.len(), left.len()));
        }
        Ok(if left.is_empty() { Exit::Done } else { Exit::Failed })
    }
}

/// One line each.
pub(super) fn list(found: &[Orphan]) {
    for orphan in found {
        let copy = if orphan.is_copy() { format!(", its copy in {}", orphan.region) } else { String::new() };
        screen::line(&format!(
            "{DELETE}?{DELETE:#} {ADDRESS}{}{ADDRESS:#} {} {DIM}(workspace {}{copy}){DIM:#}",
            orphan.owner.address, orphan.seen.id, orphan.owner.workspace
        ));
    }
}

impl Sweep {
    async fn confirm(&self, count: usize) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        if self.json || !screen::can_ask() {
            return Err(Error::invalid("nothing was removed: nobody is here to confirm it").hint("say --yes"));
        }
        if screen::ask(&format!("Remove {count} for good?")).await {
            return Ok(());
        }
        Err(Error::new(Class::Cancelled, "nothing was removed"))
    }
}

/// What carries the owner tags of this workspace and is not in its state.
pub(super) async fn find(session: &Session) -> Result<Vec<Orphan>> {
    let project = &session.kept.project;
    let mut regions: BTreeSet<Region> = BTreeSet::from([Region::global()]);
    for workspace in project.configuration.workspaces.values() {
        regions.extend(workspace.all_regions.iter().map(|region| region.region.clone()));
    }
    let state: State = session.kept.load().await?.state;
    regions.extend(state.resources.keys().map(|address| address.region.clone()));
    let found = census(&session.cloud, &*session.census, &project.configuration.stack, &regions).await?;
    let ours = found.into_iter().filter(|orphan| orphan.owner.workspace == session.kept.workspace).collect();
    Ok(orphans(ours, &[state]).0)
}
