//! What commands that change something in steps share: the gates between the steps, Ctrl-C, and the return.

use std::time::Duration;

use payinfra_engine::{Action, Address, Class, Error, Plan, Result, State, Step};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::events::Emitter;
use crate::failure::Failure;
use crate::gate::{self, Gate, Gates, Verdict};
use crate::run::interrupt;
use crate::screen::{self, HEADING};

/// The number of attempts to return, and the pause between them: another run may hold the lock.
const RETURN: (usize, Duration) = (24, Duration::from_secs(5));

/// What to do if nobody can confirm the steps.
pub(crate) const REVIEW: &str = "review the steps, then pass --yes";

/// Notices Ctrl-C during the whole command, so that none is lost between two runs.
pub(crate) struct Listener(watch::Receiver<bool>);

impl Listener {
    /// Begins to listen.
    pub(crate) fn start() -> Self {
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            interrupt().await;
            stop.send_replace(true);
            stop.closed().await;
        });
        Self(stopped)
    }

    /// Whether there was a Ctrl-C.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for it.
    pub(crate) async fn stopped(&mut self) {
        if self.0.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Tries to return until `undo` has done so, and says why it is `not_yet` possible. Returns whether it has succeeded: it gives up
/// after some attempts, and at a Ctrl-C between them.
///
/// # Errors
/// If another attempt would not help.
pub(crate) async fn go_back(not_yet: &str, undo: impl AsyncFn() -> Result<bool, Failure>) -> Result<bool, Failure> {
    let (attempts, pause) = RETURN;
    for attempt in 1..=attempts {
        match undo().await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(Failure::Other(error)) if is_passing(&error) => screen::note(&format!("{not_yet}: {error}")),
            Err(failure) => return Err(failure),
        }
        if attempt < attempts {
            tokio::select! {
                () = sleep(pause) => {}
                () = interrupt() => break,
            }
        }
    }
    Ok(false)
}

/// Checks that a plan changes nothing but drift, and what is expected of it.
///
/// # Errors
/// If the configuration has other changes.
pub(crate) fn changes_nothing_else(planned: &Plan, is_expected: impl Fn(&Address, &Step) -> bool) -> Result<()> {
    let pending = planned.steps.iter().filter(|(address, step)| {
        step.action != Action::Keep && !planned.drift.contains_key(*address) && !is_expected(address, step)
    });
    let pending: Vec<_> = pending.map(|(address, _)| address.to_string()).collect();
    if pending.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!("the configuration has other changes of {}", pending.join(", ")))
        .hint("apply them first with `payinfra apply`"))
}

/// Whether the same change may succeed soon.
fn is_passing(error: &Error) -> bool {
    [Class::Locked, Class::Stale, Class::Ambiguous, Class::Throttled, Class::Conflict].contains(&error.class())
}

/// The gates `recorded` of an operation in the state, named `what`. Who can write the state must not be able to run programs
/// here, so gate commands have to be among those `given` on the command line.
///
/// # Errors
/// If one cannot be read, one is given that is not recorded, or a command is not given.
pub(crate) fn recorded(recorded: &[String], given: &[Gate], state: &State, what: &str) -> Result<Vec<Gate>> {
    let gates: Result<Vec<Gate>, String> = recorded.iter().map(|gate| gate.parse()).collect();
    let gates = gates.map_err(|error| Error::invalid(format!("a gate in the state cannot be read: {error}")))?;
    let given = &gate::expanded(given.to_vec(), state)?;
    if let Some(other) = given.iter().find(|gate| !gates.contains(gate)) {
        return Err(Error::invalid(format!("{other} is not a gate of the {what}"))
            .hint(format!("a resumed {what} keeps its gates; to change them, abort it and start another one")));
    }
    let is_missing = |gate: &&Gate| matches!(gate, Gate::Command(_)) && !given.contains(gate);
    match gates.iter().find(is_missing) {
        None => Ok(gates),
        Some(command) => Err(Error::invalid(format!("the {what} has the gate {command}"))
            .hint(format!("a program is only run if the command line names it: add --gate \"{command}\""))),
    }
}

/// Evaluates the gates before an interrupted change goes on. Returns why, if it must not.
///
/// # Errors
/// If they cannot be evaluated.
pub(crate) async fn failing(gates: &Gates, json: bool) -> Result<Option<String>> {
    let verdicts = gates.evaluate().await?;
    tell(&verdicts, json, true);
    Ok(verdicts.iter().any(|verdict| !verdict.holds).then(|| gate::reasons(&verdicts)))
}

/// Evaluates the gates before anything is changed.
///
/// # Errors
/// If one does not hold.
pub(crate) async fn opened(gates: &Gates, json: bool) -> Result<()> {
    let verdicts = gates.evaluate().await?;
    if !json {
        screen::line(&format!("{HEADING}Gates:{HEADING:#}"));
        if verdicts.is_empty() {
            screen::line("  none: the workspace has no alarms and no health checks");
        }
    }
    tell(&verdicts, json, true);
    if verdicts.iter().all(|verdict| verdict.holds) {
        return Ok(());
    }
    Err(Error::failed(format!("nothing was changed: {}", gate::reasons(&verdicts)))
        .hint("fix the cause first; `--ignore-alarm NAME` continues although an alarm of the workspace fires"))
}

/// Tells the results of the gates: as an event, or as lines if they are `shown`.
pub(crate) fn tell(verdicts: &[Verdict], json: bool, shown: bool) {
    if json {
        Emitter.emit(gate::results(verdicts));
    } else if shown {
        gate::list(verdicts);
    }
}
