//! `payinfra sweep`: finds what carries our owner tags and is in no state.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use payinfra_engine::sweep::{self, Orphan, orphans, remove};
use payinfra_engine::{Address, Class, Error, Result, State};

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
    /// Remove what was found.
    #[arg(long)]
    delete: bool,
    /// Do not ask.
    #[arg(long, short, requires = "delete")]
    yes: bool,
    #[command(flatten)]
    losses: Losses,
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
        // Under the lock, and looked at again: nothing that an apply is just making is an orphan now, and nothing is
        // removed that was not shown.
        let removed = async {
            session.cloud.guard(lease.guard());
            let shown: BTreeSet<_> = found.iter().map(key).collect();
            let mut again = find(&session).await?;
            again.retain(|orphan| shown.contains(&key(orphan)));
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
        screen::line(&format!(
            "{DELETE}?{DELETE:#} {ADDRESS}{}{ADDRESS:#} {} {DIM}(workspace {}){DIM:#}",
            orphan.owner.address, orphan.seen.id, orphan.owner.workspace
        ));
    }
}

/// What tells an orphan from all others: its kind and its region are in its address.
fn key(orphan: &Orphan) -> (Address, String) {
    (orphan.owner.address.clone(), orphan.seen.id.clone())
}

impl Sweep {
    /// As before a destroy: nothing that is protected, and no data that nobody agreed to lose.
    async fn confirm(&self, session: &Session, found: &[Orphan]) -> Result<()> {
        protected(session, found)?;
        let losses = sweep::losses(&session.cloud, found)?;
        let losses: BTreeMap<_, _> = losses.iter().map(|(address, parts)| (address, &parts[..])).collect();
        if !self.json {
            screen::print(&losses::render(&losses));
        }
        let accepted = self.losses.accepted();
        if self.yes {
            return losses::agreed(losses, &accepted);
        }
        if self.json || !screen::can_ask() {
            return Err(Error::invalid("nothing was removed: nobody is here to confirm it").hint("say --yes"));
        }
        let question = format!("Remove {} for good?", found.len());
        let confirmed = if losses::open(losses, &accepted).is_empty() {
            screen::ask(&question).await
        } else {
            screen::ask_for(&losses::question(&question), &session.kept.workspace).await
        };
        if confirmed {
            return Ok(());
        }
        Err(Error::new(Class::Cancelled, "nothing was removed"))
    }
}

/// That none of `found` is protected: by what is declared at its address, or where nothing is, by the workspace if it
/// keeps data.
fn protected(session: &Session, found: &[Orphan]) -> Result<()> {
    let declared = session.graph()?;
    let workspace = session.kept.project.configuration.workspaces.get(&session.kept.workspace);
    let keeps = workspace.is_none_or(|workspace| workspace.protect);
    let protected = found.iter().map(|orphan| &orphan.owner.address).filter(|address| {
        let keeps_data = || session.cloud.spec(&address.kind).is_some_and(|spec| spec.keeps_data);
        declared.nodes().get(address).map_or_else(|| keeps && keeps_data(), |node| node.protect)
    });
    let protected: BTreeSet<String> = protected.map(ToString::to_string).collect();
    if protected.is_empty() {
        return Ok(());
    }
    let protected = protected.into_iter().collect::<Vec<_>>().join(", ");
    Err(Error::invalid(format!("this would remove what is protected: {protected}"))
        .hint("set `protect = false` for the workspace in payinfra.toml if you mean it"))
}

/// What carries the owner tags of this workspace and is not in its state.
pub(super) async fn find(session: &Session) -> Result<Vec<Orphan>> {
    let state: State = session.kept.load().await?.state;
    let found = session.count(&state).await?;
    let (ours, others) = orphans(found, &[state]);
    for (lineage, count) in lineages(&others) {
        let way = if lineage.is_empty() {
            "`payinfra import` takes single ones into the state".to_owned()
        } else {
            format!("if its state is lost, `payinfra adopt --lineage {lineage}` creates it again")
        };
        screen::note(&format!("{count} resources belong to another deployment and are not touched: {way}."));
    }
    Ok(ours)
}
