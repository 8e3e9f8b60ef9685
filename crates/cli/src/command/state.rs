//! `payinfra state`: looks at the state, and corrects it.

use clap::{Args, Subcommand};
use payinfra_engine::{Address, Error, Record, Result, State as Kept};

use super::Execute;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::screen::{self, ADDRESS, DIM};
use crate::value_view;

#[derive(Args)]
pub(super) struct State {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the addresses
    List,
    /// Show what is recorded of one resource, as JSON
    Show {
        /// Which
        address: Address,
    },
    /// Print the whole state
    Pull,
    /// Drop resources from the state; in AWS they stay
    Rm {
        /// Which
        #[arg(required = true)]
        addresses: Vec<Address>,
    },
    /// Give a resource another name; in AWS it stays the same
    Mv {
        /// Its address
        from: Address,
        /// Its new address: region and kind stay
        to: Address,
    },
}

impl Execute for State {
    const NAME: &'static str = "state";
    const ABOUT: &'static str = "Look at the state, and correct it";

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
                        .hint("`payinfra apply` makes it")
                        .into());
                }
                screen::print(&String::from_utf8_lossy(&loaded.state.bytes()?));
            }
            Action::Rm { addresses } => {
                for line in place.change("state rm", async |state| remove(state, &addresses)).await? {
                    screen::line(&line);
                }
            }
            Action::Mv { from, to } => {
                place.change("state mv", async |state| rename(state, &from, &to)).await?;
                screen::line(&format!("{ADDRESS}{from}{ADDRESS:#} → {ADDRESS}{to}{ADDRESS:#}"));
            }
        }
        Ok(Exit::Done)
    }
}

fn record<'a>(state: &'a Kept, address: &Address) -> Result<&'a Record> {
    state.resources.get(address).ok_or_else(|| {
        Error::invalid(format!("there is no {address} in the state")).hint("`payinfra state list` shows what there is")
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
        let stays = id.map_or_else(String::new, |id| format!(" {DIM}({id} stays in AWS){DIM:#}"));
        lines.push(format!("{ADDRESS}{address}{ADDRESS:#} → dropped{stays}"));
    }
    Ok(lines)
}

fn rename(state: &mut Kept, from: &Address, to: &Address) -> Result<()> {
    if (&from.region, &from.kind) != (&to.region, &to.kind) {
        return Err(Error::invalid(format!("{from} cannot become {to}: region and kind stay"))
            .hint("another region or kind is another resource: apply makes it"));
    }
    if state.resources.contains_key(to) {
        return Err(Error::invalid(format!("{to} is in the state already"))
            .hint("drop it with `payinfra state rm`, or move it first"));
    }
    if record(state, from)?.intent.is_some() {
        return Err(Error::invalid(format!("work on {from} was begun and has not ended"))
            .hint("finish it with `payinfra apply`"));
    }
    if let Some(record) = state.resources.remove(from) {
        state.resources.insert(to.clone(), record);
    }
    for record in state.resources.values_mut() {
        if record.depends.remove(from) {
            record.depends.insert(to.clone());
        }
    }
    Ok(())
}
