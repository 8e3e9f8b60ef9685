//! `payinfra state`: inspects and edits the state.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use payinfra_engine::{Address, Error, Record, Result, State as Kept, Version, completed, counted};
use serde_json::Value;

use super::Execute;
use crate::context::{Context, Kept as Place};
use crate::exit::{Exit, Outcome};
use crate::recovery::{self, CaughtUp};
use crate::screen::{self, ADDRESS, DIM};
use crate::value_view;

#[derive(Args)]
pub(super) struct State {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the addresses of all resources in the state
    List,
    /// Show the recorded state of one resource, as JSON
    Show {
        /// Address of the resource
        address: Address,
    },
    /// Print the whole state
    Pull,
    /// Remove resources from the state without deleting them in AWS
    Rm {
        /// Addresses of the resources
        #[arg(required = true)]
        addresses: Vec<Address>,
    },
    /// List the versions of the state and the runs that `restore` accepts, newest first
    History,
    /// Replace the current state with an earlier one
    Restore {
        /// Version of the state object; see `state history`
        #[arg(long, value_name = "ID", required_unless_present = "history", conflicts_with = "history")]
        version: Option<String>,
        /// Serial of a run in the history; restores the state at the end of that run
        #[arg(long, value_name = "SERIAL")]
        history: Option<u64>,
        /// Skip the confirmation prompt
        #[arg(long, short)]
        yes: bool,
    },
    /// Move a resource to another address in the state; AWS is not changed
    Mv {
        /// Current address
        from: Address,
        /// New address, with the same region and kind
        to: Address,
    },
}

impl Execute for State {
    const NAME: &'static str = "state";
    const ABOUT: &'static str = "Inspect or edit the state";

    async fn execute(self, cx: &Context) -> Outcome {
        let place = cx.kept().await?;
        match self.action {
            Action::List => {
                let state = place.load().await?.state;
                state.resources.keys().for_each(|address| screen::line(&address.to_string()));
            }
            Action::Show { address } => {
                let state = place.load().await?.state;
                let record = serde_json::to_value(record(&state, &address)?);
                let record = record.map_err(|error| Error::failed(error.to_string()))?;
                screen::line(&format!("{:#}", value_view::masked(&record)));
            }
            Action::Pull => {
                let loaded = place.load().await?;
                if loaded.version.is_none() {
                    return Err(Error::invalid(format!("workspace {} has no state yet", place.workspace))
                        .hint("create it with `payinfra apply`")
                        .into());
                }
                let state = serde_json::to_string_pretty(&loaded.state);
                screen::line(&state.map_err(|error| Error::failed(error.to_string()))?);
            }
            Action::Rm { addresses } => {
                for line in place.change("state rm", async |state| remove(state, &addresses)).await? {
                    screen::line(&line);
                }
            }
            Action::History => list_history(&place).await?,
            Action::Restore { version, history, yes } => restore(&place, version.as_deref(), history, yes).await?,
            Action::Mv { from, to } => {
                place.change("state mv", async |state| rename(state, &from, &to)).await?;
                screen::line(&format!("{ADDRESS}{from}{ADDRESS:#} → {ADDRESS}{to}{ADDRESS:#}"));
            }
        }
        Ok(Exit::Done)
    }
}

/// The number of versions, and of runs, to list.
const LISTED: usize = 20;

async fn list_history(place: &Place) -> Result<()> {
    let versions = recovery::versions(&place.backing).await?;
    for version in versions.iter().take(LISTED) {
        let Version { id, modified, size, .. } = version;
        let size = counted(*size, "byte", "bytes");
        screen::line(&format!("version {ADDRESS}{id}{ADDRESS:#}  {modified}  {size}"));
    }
    let serials = recovery::serials(&place.backing).await?;
    for serial in serials.iter().rev().take(LISTED) {
        let bytes = place.backing.store.recall(&format!("{serial}.json")).await?.unwrap_or_default();
        let entry: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = |name: &str| entry[name].as_str().unwrap_or("?").to_owned();
        let resources = entry.pointer("/state/resources").and_then(Value::as_object);
        let resources =
            resources.map_or_else(|| "no state".to_owned(), |all| counted(all.len(), "resource", "resources"));
        screen::line(&format!(
            "run {ADDRESS}{serial}{ADDRESS:#}  {}  {} by {}: {}, {resources}",
            text("ended"),
            text("command"),
            text("who"),
            text("outcome")
        ));
    }
    if versions.is_empty() && serials.is_empty() {
        screen::line("No earlier versions of the state, and no runs in the history.");
    }
    Ok(())
}

/// Writes an earlier state as the new one, after merging what later runs recorded.
async fn restore(place: &Place, version: Option<&str>, history: Option<u64>, yes: bool) -> Result<()> {
    let missing = |what: String| Error::invalid(format!("{what} not found"));
    let mut state = match (version, history) {
        (Some(id), _) => {
            let store = &*place.backing.store;
            let bytes = store.load_version(id).await?.ok_or_else(|| missing(format!("version {id} of the state")))?;
            // A version is a checkpoint, which the run that wrote it may have continued in the journal.
            let bytes = completed(store, &bytes).await.unwrap_or_else(|error| {
                screen::note(&format!("What the run recorded after this version cannot be restored: {error}"));
                bytes
            });
            payinfra_state::migrate(&bytes)?
        }
        (None, serial) => {
            let serial = serial.unwrap_or_default();
            recovery::recalled(&place.backing, serial)
                .await?
                .ok_or_else(|| missing(format!("state of run {serial} in the history")))?
        }
    };
    let account = place.account.clone().unwrap_or_else(|| state.account.clone());
    state.belongs(&place.stack, &place.workspace, &account)?;
    screen::line(&format!(
        "State of {}: serial {}, lineage {}, {}.",
        place.workspace,
        state.serial,
        state.lineage,
        counted(state.resources.len(), "resource", "resources")
    ));
    let serials = recovery::serials(&place.backing).await?;
    if let Some(CaughtUp { serial, records }) = recovery::catch_up(&place.backing, &mut state, &serials).await? {
        let records = counted(records, "record comes", "records come");
        screen::line(&format!("{records} from run {serial}, which is newer."));
    }
    if !yes {
        screen::confirm("Restore this state?", "yes", "nothing was restored", "pass --yes").await?;
    }
    let epoch = state.epoch;
    place
        .replace("state restore", epoch, async |stored, _| {
            // The stored state may be corrupt, which is a reason to restore another one.
            let stored = stored.and_then(|bytes| payinfra_state::migrate(bytes).ok());
            let (serial, revision) = stored.map_or((0, 0), |stored| (stored.serial, stored.revision));
            state.serial = state.serial.max(serial).saturating_add(1);
            state.revision = state.revision.max(revision);
            Ok(state)
        })
        .await?;
    screen::tell("State restored. Run `payinfra plan` to see what has changed since.");
    Ok(())
}

fn record<'a>(state: &'a Kept, address: &Address) -> Result<&'a Record> {
    state.resources.get(address).ok_or_else(|| {
        Error::invalid(format!("{address} is not in the state")).hint("list the addresses with `payinfra state list`")
    })
}

fn remove(state: &mut Kept, addresses: &[Address]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for address in addresses {
        let id = record(state, address)?.id.clone();
        state.resources.remove(address);
        state.resources.values_mut().for_each(|record| {
            record.depends.remove(address);
        });
        let stays = id.map_or_else(String::new, |id| format!(" {DIM}({id} was not deleted in AWS){DIM:#}"));
        lines.push(format!("{ADDRESS}{address}{ADDRESS:#} → dropped{stays}"));
    }
    Ok(lines)
}

fn rename(state: &mut Kept, from: &Address, to: &Address) -> Result<()> {
    if (&from.region, &from.kind) != (&to.region, &to.kind) {
        return Err(Error::invalid(format!("{from} cannot be moved to {to}: region and kind must stay the same"))
            .hint(
                "a resource in another region or of another kind is a new resource; create it with `payinfra apply`",
            ));
    }
    if state.resources.contains_key(to) {
        return Err(Error::invalid(format!("{to} is already in the state"))
            .hint("remove it with `payinfra state rm`, or move it first"));
    }
    if record(state, from)?.intent.is_some() {
        return Err(
            Error::invalid(format!("an operation on {from} has not finished")).hint("finish it with `payinfra apply`")
        );
    }
    state.move_records(&BTreeMap::from([(to.clone(), from.clone())]));
    Ok(())
}
