//! Operations that take several runs, such as a shift of traffic. The state records them from before their first run until
//! they have ended, so that they can be resumed, and nobody starts a second one.

use payinfra_engine::{Class, Error, Result, State};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::Kept;
use crate::lock;

/// The record of an operation in the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Operation<T> {
    /// User and host that started or last resumed it.
    pub(crate) who: String,
    /// When it was started, RFC 3339.
    pub(crate) since: String,
    /// The run that continues it; changes when another one takes it over.
    run: String,
    /// What is needed to continue it.
    #[serde(flatten)]
    pub(crate) what: T,
}

/// The right of this run to continue an operation.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    command: &'static str,
    run: String,
}

impl Claim {
    /// Checks that no other run has taken over the operation in `state`.
    ///
    /// # Errors
    /// If it has.
    pub(crate) fn check(&self, state: &State) -> Result<()> {
        let recorded = state.operations.get(self.command);
        if recorded.and_then(|recorded| recorded["run"].as_str()) == Some(&self.run) {
            return Ok(());
        }
        let what = match recorded {
            Some(recorded) => format!("was taken over by {}", text(recorded, "who")),
            None => "was ended by another run".to_owned(),
        };
        Err(Error::invalid(format!("the {} operation {what}; this run stops", self.command))
            .hint(format!("see `payinfra {} --status`", self.command)))
    }
}

/// The operation of `command` in `state`.
///
/// # Errors
/// If its record cannot be read.
pub(crate) fn find<T: DeserializeOwned>(state: &State, command: &'static str) -> Result<Option<Operation<T>>> {
    let recorded = state.operations.get(command).cloned();
    let read = recorded.map(serde_json::from_value).transpose();
    read.map_err(|error| {
        Error::invalid(format!("the {command} operation in the state cannot be read: {error}"))
            .hint("a newer version of payinfra may have written it; use that version")
    })
}

/// Checks that no operation is in progress.
///
/// # Errors
/// If one is, with who started it, when, and the ways to end it.
pub(crate) fn refuse(state: &State) -> Result<()> {
    let Some((command, recorded)) = state.operations.iter().next() else { return Ok(()) };
    Err(Error::invalid(described(command, recorded)).hint(ways(command)))
}

/// A note about each operation in progress, for commands that may run in the meantime.
pub(crate) fn notes(state: &State) -> Vec<String> {
    let all = state.operations.iter();
    all.map(|(command, recorded)| format!("Note: {}; {}.", described(command, recorded), ways(command))).collect()
}

fn described(command: &str, recorded: &Value) -> String {
    let (who, since) = (text(recorded, "who"), text(recorded, "since"));
    format!("a {command} operation of {who} has been in progress since {since}")
}

/// The ways to end the operation of `command`.
pub(crate) fn ways(command: &str) -> String {
    format!("`payinfra {command} --resume` continues it, and `payinfra {command} --abort` undoes it")
}

fn text<'a>(recorded: &'a Value, member: &str) -> &'a str {
    recorded[member].as_str().unwrap_or("unknown")
}

/// Records that an operation begins.
///
/// # Errors
/// If one is in progress already, or the state cannot be written.
pub(crate) async fn begin<T: Serialize>(kept: &Kept, command: &'static str, what: T) -> Result<Claim> {
    let run = uuid::Uuid::new_v4().to_string();
    let operation = Operation { who: lock::who(), since: lock::now(), run: run.clone(), what };
    let recorded = serde_json::to_value(operation).map_err(|error| Error::failed(error.to_string()))?;
    kept.change(command, async |state| {
        refuse(state)?;
        state.operations.insert(command.to_owned(), recorded);
        Ok(())
    })
    .await?;
    Ok(Claim { command, run })
}

/// Takes over the operation of another run, which stops before its next change.
///
/// # Errors
/// If it has ended, or the state cannot be written.
pub(crate) async fn take_over(kept: &Kept, command: &'static str) -> Result<Claim> {
    let run = uuid::Uuid::new_v4().to_string();
    kept.change(command, async |state| {
        let recorded = state.operations.get_mut(command).and_then(Value::as_object_mut);
        let recorded =
            recorded.ok_or_else(|| Error::new(Class::Stale, format!("the {command} operation has ended")))?;
        recorded.insert("run".to_owned(), run.clone().into());
        recorded.insert("who".to_owned(), lock::who().into());
        Ok(())
    })
    .await?;
    Ok(Claim { command, run })
}

/// Records that the operation has ended.
///
/// # Errors
/// If another run has taken it over, or the state cannot be written.
pub(crate) async fn end(kept: &Kept, claim: &Claim) -> Result<()> {
    kept.change(claim.command, async |state| {
        claim.check(state)?;
        state.operations.remove(claim.command);
        Ok(())
    })
    .await
}
