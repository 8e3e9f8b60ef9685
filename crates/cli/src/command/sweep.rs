//! `payinfra sweep`: finds orphaned resources, which have the workspace's owner tags and are not in its state.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use payinfra_engine::plan::keep_protected;
use payinfra_engine::sweep::{self, Orphan, orphans, remove};
use payinfra_engine::{Address, Class, Error, Region, Result, State, counted};

use super::Execute;
use crate::context::{Context, Session};
use crate::events::{Emitter, Message, swept};
use crate::exit::{Exit, Outcome};
use crate::failure::block;
use crate::losses::Losses;
use crate::lost::lineages;
use crate::screen::{self, ADDRESS, CREATE, DELETE, DIM};
use crate::{lock, losses};

#[derive(Args)]
pub(super) struct Sweep {
    /// Delete the orphaned resources
    #[arg(long)]
    delete: bool,
    /// Skip the confirmation prompt
    #[arg(long, short, requires = "delete")]
    yes: bool,
    #[command(flatten)]
    losses: Losses,
    /// Print the orphaned resources as a JSON event on one line; see `schema --events`
    #[arg(long)]
    json: bool,
}

impl Execute for Sweep {
    const NAME: &'static str = "sweep";
    const ABOUT: &'static str =
        "Find resources with the workspace's owner tags that are not in its state; delete them with --delete";

    fn emits(&self) -> bool {
        self.json
    }

    async fn execute(self, cx: &Context) -> Outcome {
        let session = cx.session().await?;
        let found = find(&session).await?;
        if self.json {
            Emitter.emit(Message::Sweep { orphans: swept(&found) });
        } else if found.is_empty() {
            screen::line(&format!("{CREATE}No orphaned resources found.{CREATE:#}"));
        } else {
            list(&found);
        }
        if found.is_empty() || !self.delete {
            return Ok(if found.is_empty() { Exit::Done } else { Exit::Differs });
        }
        session.may_change(self.yes).await?;
        self.confirm(&session, &found).await?;
        let epoch = session.kept.load().await?.state.epoch;
        let lease = lock::acquire(&session.kept.backing, Self::NAME, epoch).await?;
        // Search again under the lock: a resource that an apply was creating may be in the state by now. Delete only
        // what was shown.
        let removed = async {
            session.cloud.guard(lease.guard());
            let shown: BTreeSet<_> = found.iter().map(key).collect();
            let mut again = find(&session).await?;
            again.retain(|orphan| shown.contains(&key(orphan)));
            lease.check()?;
            let count = again.len();
            let left = remove(&session.cloud, again).await;
            Ok::<_, Error>((count, left, lease.check()))
        }
        .await;
        lock::release(lease).await;
        let (count, left, held) = removed?;
        for (orphan, error) in &left {
            screen::fail(&format!("\n{}", block(Some(&orphan.owner.address), error)));
        }
        if !self.json {
            screen::line(&format!("Deleted {}, {} remaining.", count - left.len(), left.len()));
        }
        held?;
        Ok(if left.is_empty() { Exit::Done } else { Exit::Failed })
    }
}

/// Prints one line per orphan.
pub(super) fn list(found: &[Orphan]) {
    for orphan in found {
        let copy = if orphan.is_copy() { format!(", replica in {}", orphan.region) } else { String::new() };
        screen::line(&format!(
            "{DELETE}?{DELETE:#} {ADDRESS}{}{ADDRESS:#} {} {DIM}(workspace {}{copy}){DIM:#}",
            orphan.owner.address, orphan.seen.id, orphan.owner.workspace
        ));
    }
}

/// Identifies an orphan. A replica's own region differs from the region in its address.
fn key(orphan: &Orphan) -> (Address, Region, String) {
    (orphan.owner.address.clone(), orphan.region.clone(), orphan.seen.id.clone())
}

impl Sweep {
    /// Asks for confirmation, as destroy does: refuses protected resources, and data loss that was not accepted.
    async fn confirm(&self, session: &Session, found: &[Orphan]) -> Result<()> {
        protected(session, found)?;
        let losses = sweep::losses(&session.cloud, found)?;
        let losses: BTreeMap<_, _> = losses.iter().map(|(address, parts)| (address, &parts[..])).collect();
        if !self.json {
            screen::print(&losses::render(losses::DESTROYS, &losses::joined(&losses)));
        }
        let accepted = self.losses.accepted();
        if self.yes {
            return losses::agreed(losses, &accepted);
        }
        if self.json || !screen::can_ask() {
            return Err(Error::invalid("nothing was deleted: confirmation needs a terminal").hint("pass --yes"));
        }
        let question = format!("Permanently delete {}?", counted(found.len(), "resource", "resources"));
        if losses::confirmed(&question, losses, &accepted, &session.kept.workspace).await {
            return Ok(());
        }
        Err(Error::new(Class::Cancelled, "nothing was deleted"))
    }
}

/// Fails if one of `found` is protected: by the declaration at its address or, if there is none, by the workspace,
/// which protects what keeps data.
fn protected(session: &Session, found: &[Orphan]) -> Result<()> {
    let declared = session.graph()?;
    let workspace = session.kept.project.configuration.workspaces.get(&session.kept.workspace);
    let keeps = workspace.is_none_or(|workspace| workspace.protect);
    let protected = found.iter().map(|orphan| &orphan.owner.address).filter(|address| {
        let keeps_data = || session.cloud.spec(&address.kind).is_some_and(|spec| spec.keeps_data);
        declared.nodes().get(address).map_or_else(|| keeps && keeps_data(), |node| node.protect)
    });
    keep_protected(protected.collect())
}

/// Resources with the owner tags of this workspace that are not in its state.
pub(super) async fn find(session: &Session) -> Result<Vec<Orphan>> {
    let state: State = session.kept.load().await?.state;
    let found = session.count(&state).await?;
    let (ours, others) = orphans(found, &[state]);
    for (lineage, count) in lineages(&others) {
        let way = if lineage.is_empty() {
            "import individual resources with `payinfra import`".to_owned()
        } else {
            format!("if its state is lost, rebuild it with `payinfra adopt --lineage {lineage}`")
        };
        let others = counted(
            count,
            "resource belongs to another deployment and is",
            "resources belong to another deployment and are",
        );
        screen::note(&format!("{others} left unchanged; {way}."));
    }
    Ok(ours)
}

#[cfg(test)]
mod tests {
    use payinfra_engine::{Owner, Seen, Status};
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_copy_in_another_region_is_another_orphan() -> Result<()> {
        let orphan = |region: &str| {
            let owner = Owner {
                stack: "stack".to_owned(),
                workspace: "one".to_owned(),
                address: "us-east-1/dynamodb.table/payments".parse()?,
                lineage: "lineage".to_owned(),
            };
            let seen =
                Seen { id: "payments".to_owned(), status: Status::Ready, args: Value::Null, outputs: Value::Null };
            Ok::<_, Error>(Orphan { owner, region: Region::new(region), seen })
        };
        assert_eq!(key(&orphan("us-east-1")?), key(&orphan("us-east-1")?));
        assert_ne!(key(&orphan("us-east-1")?), key(&orphan("us-east-2")?));
        Ok(())
    }
}
