//! Progress of an apply: live on a terminal, plain lines elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use payinfra_engine::{Action, Address, Event, Observer, Plan};

use crate::plan_view::symbol;
use crate::program::named;
use crate::screen::{self, DIM, ERROR};

/// The maximum number of running operations shown at once.
const LINES: usize = 16;

/// Prints one line per finished operation.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    ids: Mutex<BTreeMap<Address, String>>,
}

impl Observer for Lines {
    fn notice(&self, event: &Event) {
        if let Some(line) = ended(&self.ids, event) {
            screen::line(&line);
        }
    }
}

/// The line for an event that ends an operation.
fn ended(ids: &Mutex<BTreeMap<Address, String>>, event: &Event) -> Option<String> {
    match event {
        Event::Exists { address, id } => {
            ids.lock().unwrap_or_else(PoisonError::into_inner).insert(address.clone(), id.clone());
            None
        }
        Event::Done { address, action, seconds } => {
            let id = ids.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
            let id = id.filter(|_| action.makes()).map_or_else(String::new, |id| format!(" {DIM}({id}){DIM:#}"));
            let (_, style) = symbol(*action);
            Some(format!("{address} {style}{}{style:#} in {seconds:.1} s{id}", past(*action)))
        }
        Event::Failed { address, error } => Some(format!("{address} {ERROR}failed{ERROR:#}: {}", named(error))),
        Event::Skipped { address, because } => Some(format!("{address} {DIM}skipped: {because} failed{DIM:#}")),
        Event::Waiting { address, until, because: Some(because) } => {
            Some(format!("{address} {DIM}waits until {until}: {because}{DIM:#}"))
        }
        Event::Started { .. } | Event::Waiting { .. } => None,
    }
}

/// Shows running operations with their elapsed and usual times, and what is waiting; finished ones scroll above.
pub(crate) struct Live {
    screen: MultiProgress,
    total: ProgressBar,
    shown: Mutex<Shown>,
    ids: Mutex<BTreeMap<Address, String>>,
}

struct Shown {
    running: BTreeMap<Address, Running>,
    /// Steps that have not started, with their dependencies.
    waiting: BTreeMap<Address, BTreeSet<Address>>,
    /// Addresses that have finished; a replacement finishes twice.
    ended: BTreeSet<Address>,
}

struct Running {
    bar: ProgressBar,
    visible: bool,
    action: Action,
    expected: f64,
}

impl Live {
    /// Creates the display for `plan` before anything has started.
    pub(crate) fn new(plan: &Plan) -> Self {
        let screen = MultiProgress::new();
        let waiting: BTreeMap<_, _> = plan
            .steps
            .iter()
            .filter(|(_, step)| step.action != Action::Keep)
            .map(|(address, _)| (address.clone(), plan.graph.depends(address)))
            .collect();
        let total = screen.add(ProgressBar::new(waiting.len() as u64));
        total.set_style(style("{bar:24.green/dim} {pos}/{len}  {elapsed}  {msg:.dim}"));
        total.enable_steady_tick(Duration::from_millis(200));
        let shown = Mutex::new(Shown { running: BTreeMap::new(), waiting, ended: BTreeSet::new() });
        Self { screen, total, shown, ids: Mutex::default() }
    }

    /// Clears the live part of the screen.
    pub(crate) fn clear(&self) {
        self.total.finish_and_clear();
        // A display that cannot be cleared is no reason to fail.
        let _ = self.screen.clear();
    }

    fn begin(&self, shown: &mut Shown, address: &Address, action: Action, expected: f64) {
        shown.waiting.remove(address);
        let visible = shown.running.values().filter(|running| running.visible).count() < LINES;
        let bar = if visible {
            self.screen.insert_before(&self.total, ProgressBar::new_spinner())
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(style("{spinner:.cyan} {prefix} {elapsed} {msg:.dim}"));
        bar.set_prefix(address.to_string());
        bar.set_message(format!("{}, usually {}", present(action), seconds(expected)));
        if visible {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        shown.running.insert(address.clone(), Running { bar, visible, action, expected });
    }

    fn end(&self, shown: &mut Shown, address: &Address) {
        shown.waiting.remove(address);
        if let Some(running) = shown.running.remove(address) {
            running.bar.finish_and_clear();
            self.screen.remove(&running.bar);
        }
        if shown.ended.insert(address.clone()) {
            self.total.inc(1);
        }
    }

    /// Updates the bottom line: the number of running and waiting operations, and what the first of them waits for.
    fn sum_up(&self, shown: &Shown) {
        let open = |on: &&Address| shown.running.contains_key(*on) || shown.waiting.contains_key(*on);
        let first = shown.waiting.iter().find_map(|(address, depends)| Some((address, depends.iter().find(open)?)));
        let first = first.map_or_else(String::new, |(address, on)| format!(": {address} for {on} …"));
        self.total.set_message(format!("{} running, {} waiting{first}", shown.running.len(), shown.waiting.len()));
    }
}

impl Observer for Live {
    fn notice(&self, event: &Event) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { address, action, expected } => self.begin(&mut shown, address, *action, *expected),
            Event::Waiting { address, until, because } => {
                if let Some(running) = shown.running.get(address) {
                    let usual = seconds(running.expected);
                    let because = because.as_ref().map_or_else(String::new, |because| format!(": {because}"));
                    let action = present(running.action);
                    running.bar.set_message(format!("{action} until {until}, usually {usual}{because}"));
                }
            }
            Event::Done { address, .. } | Event::Failed { address, .. } | Event::Skipped { address, .. } => {
                self.end(&mut shown, address);
            }
            Event::Exists { .. } => {}
        }
        self.sum_up(&shown);
        if let Some(line) = ended(&self.ids, event) {
            // Errors of the display must not stop the apply.
            let _ = self.screen.println(line);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// A duration for display.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

fn present(action: Action) -> &'static str {
    match action {
        Action::Keep => "kept",
        Action::Create => "creating",
        Action::Update => "updating",
        Action::Replace | Action::ReplaceCreateFirst => "replacing",
        Action::Delete => "deleting",
        Action::Forget => "forgetting",
        Action::Restore => "restoring",
    }
}

fn past(action: Action) -> &'static str {
    match action {
        Action::Keep => "kept",
        Action::Create => "created",
        Action::Update => "updated",
        Action::Replace | Action::ReplaceCreateFirst => "replaced",
        Action::Delete => "deleted",
        Action::Forget => "forgotten",
        Action::Restore => "restored",
    }
}
