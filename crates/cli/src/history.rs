//! The history: an entry for each run of apply, destroy and rollback, with its plan and the state at its end.

use std::sync::Arc;

use payinfra_engine::{Class, Error, Plan, Report, Result, State, Store};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::commit::Commit;
use crate::value_view::SECRET;

/// The version of the format. Entries of format 2 have no digests of secrets in the plan, no version, no commit and no
/// headline; entries of format 1 have no state either.
pub(crate) const FORMAT: u32 = 3;

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The version of the format.
    pub(crate) format: u32,
    /// The version of payinfra.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// The command.
    pub(crate) command: String,
    /// The serial of the run that a rollback returned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<u64>,
    /// User and host.
    pub(crate) who: String,
    /// When it began to change resources, RFC 3339.
    pub(crate) begun: String,
    /// When it ended, RFC 3339.
    pub(crate) ended: String,
    /// Where its graph was declared.
    #[serde(flatten)]
    pub(crate) source: Source,
    /// How it ended.
    pub(crate) outcome: Ending,
    /// The resources whose steps failed.
    #[serde(default)]
    pub(crate) failed: Vec<Failed>,
    /// The addresses whose steps were not started.
    #[serde(default)]
    pub(crate) skipped: Vec<String>,
    /// The plan, with the digests of secrets.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) plan: Value,
    /// The state at its end, so that it can be restored. Secrets in it are digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<Value>,
}

/// Where a graph was declared. For a rollback, that of the run that it returned to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The commit of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<Commit>,
    /// What the stack says about the workspace, such as its phase.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) headline: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ending {
    /// All steps succeeded.
    Complete,
    /// Ctrl-C interrupted it.
    Cancelled,
    /// A step failed.
    Failed,
}

/// A failed step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failed {
    /// The address of the resource.
    pub(crate) address: String,
    /// The error.
    pub(crate) error: String,
}

/// An entry, or why it cannot be read, by its serial.
pub(crate) type Run = (u64, Result<Entry>);

impl Ending {
    /// How the run with `report` ended.
    pub(crate) fn of(report: &Report) -> Self {
        match (report.is_complete(), report.cancelled) {
            (true, _) => Self::Complete,
            (false, true) => Self::Cancelled,
            (false, false) => Self::Failed,
        }
    }

    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

impl Entry {
    /// Its command, with the run that a rollback returned to.
    pub(crate) fn title(&self) -> String {
        self.to.map_or_else(|| self.command.clone(), |to| format!("{} to {to}", self.command))
    }

    /// The plan.
    ///
    /// # Errors
    /// If this version of payinfra cannot read it.
    pub(crate) fn plan(&self) -> Result<Plan> {
        let plan: Plan = serde_json::from_value(self.plan.clone())
            .map_err(|error| Error::invalid(format!("its plan cannot be read: {error}")))?;
        if plan.format == payinfra_engine::plan::FORMAT {
            return Ok(plan);
        }
        Err(Error::invalid(format!(
            "its plan has format {}, which this version of payinfra does not support",
            plan.format
        )))
    }

    /// The state at its end; `None` in format 1.
    ///
    /// # Errors
    /// If this version of payinfra cannot read it.
    pub(crate) fn state(&self) -> Result<Option<State>> {
        self.state.as_ref().map(|state| payinfra_state::migrate(state.to_string().as_bytes())).transpose()
    }

    /// The plan and the state of a run whose graph can be planned again in the deployment with `lineage`.
    ///
    /// # Errors
    /// The reason why it cannot, without a hint.
    pub(crate) fn restorable(&self, lineage: &str) -> Result<(Plan, State)> {
        let refused = |why: &str| Err(Error::invalid(why));
        match self.outcome {
            Ending::Complete => {}
            Ending::Cancelled => return refused("it was interrupted"),
            Ending::Failed => return refused("it failed"),
        }
        let plan = self.plan()?;
        if plan.lineage != lineage {
            return refused("it belongs to another deployment");
        }
        if !plan.left_out.is_empty() {
            return refused("it applied only a part (`--target`)");
        }
        if plan.graph.nodes().is_empty() {
            return refused("it deleted all resources");
        }
        if self.format < FORMAT && plan.graph.nodes().values().any(|node| is_masked(&node.args)) {
            return refused("it was recorded by an earlier version of payinfra, without digests of its secrets");
        }
        match self.state()? {
            Some(state) => Ok((plan, state)),
            None => refused("it was recorded by an earlier version of payinfra, without the state"),
        }
    }
}

/// Whether a secret in `value` was replaced by a text, as up to format 2.
fn is_masked(value: &Value) -> bool {
    match value {
        Value::String(text) => text == SECRET,
        Value::Array(values) => values.iter().any(is_masked),
        Value::Object(members) => members.values().any(is_masked),
        _ => false,
    }
}

/// The run with this serial; `None` if the history has none.
///
/// # Errors
/// If it cannot be loaded or read, or has a newer format.
pub(crate) async fn read(store: &dyn Store, serial: u64) -> Result<Option<Entry>> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let Some(bytes) = store.recall(&format!("{serial}.json")).await? else { return Ok(None) };
    let broken =
        |error: serde_json::Error| Error::invalid(format!("run {serial} of the history cannot be read: {error}"));
    let head: Head = serde_json::from_slice(&bytes).map_err(broken)?;
    if head.format > FORMAT {
        let message = format!(
            "run {serial} of the history has format {}, but this version of payinfra supports only formats up to {FORMAT}",
            head.format
        );
        return Err(Error::invalid(message).hint("use the version of payinfra that wrote it, or a newer one"));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(broken)
}

/// The newest `limit` of the runs with these `serials`, newest first.
///
/// # Errors
/// If the history cannot be loaded.
pub(crate) async fn newest(store: &Arc<dyn Store>, serials: &[u64], limit: usize) -> Result<Vec<Run>> {
    let mut reads = JoinSet::new();
    for serial in serials.iter().rev().take(limit).copied() {
        let store = Arc::clone(store);
        reads.spawn(async move { (serial, read(&*store, serial).await) });
    }
    let mut runs = Vec::new();
    for (serial, entry) in reads.join_all().await {
        match entry {
            Ok(entry) => runs.extend(entry.map(|entry| (serial, Ok(entry)))),
            Err(error) if error.is(Class::Invalid) => runs.push((serial, Err(error))),
            Err(error) => return Err(error),
        }
    }
    runs.sort_unstable_by_key(|(serial, _)| std::cmp::Reverse(*serial));
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use payinfra_state::Backend;
    use serde_json::json;

    use super::*;

    /// A successful apply of one resource.
    fn entry() -> Value {
        let address = "us-east-1/ssm.parameter/one";
        let graph = json!({
            "stack": "s", "workspace": "w", "tags": {}, "outputs": {},
            "nodes": { address: { "args": { "value": { "$hash": "0a" } } } },
        });
        json!({
            "format": 3, "version": "0.1.0", "command": "apply", "who": "a@b", "begun": "2026-03-01T02:00:00Z",
            "ended": "2026-03-01T02:00:01Z", "outcome": "complete", "commit": { "id": "0123456789abcdef" },
            "headline": "legacy", "failed": [], "skipped": [],
            "plan": {
                "format": payinfra_engine::plan::FORMAT, "account": "a", "lineage": "lineage", "serial": 0, "revision": 0,
                "graph": graph, "steps": { address: { "action": "create", "changes": [] } }, "drift": {}, "lookups": {},
                "left_out": [],
            },
            "state": State { lineage: "lineage".to_owned(), ..State::new("s", "w", "a") },
        })
    }

    /// Why the run in [`entry`] with `value` at `pointer` cannot be restored.
    fn refused(pointer: &str, value: Value) -> serde_json::Result<Option<String>> {
        let mut entry = entry();
        if let Some(place) = entry.pointer_mut(pointer) {
            *place = value;
        }
        let entry: Entry = serde_json::from_value(entry)?;
        Ok(entry.restorable("lineage").err().map(|error| error.message().to_owned()))
    }

    #[test]
    fn m04_only_a_complete_apply_of_this_deployment_can_be_restored() -> serde_json::Result<()> {
        assert_eq!(refused("/format", json!(3))?, None);
        for (pointer, value, why) in [
            ("/outcome", json!("failed"), "it failed"),
            ("/outcome", json!("cancelled"), "it was interrupted"),
            ("/plan/lineage", json!("other"), "it belongs to another deployment"),
            ("/plan/left_out", json!(["us-east-1/sns.topic/a"]), "it applied only a part (`--target`)"),
            ("/plan/graph/nodes", json!({}), "it deleted all resources"),
            ("/state", json!(null), "it was recorded by an earlier version of payinfra, without the state"),
            ("/plan/format", json!(9), "its plan has format 9, which this version of payinfra does not support"),
        ] {
            assert_eq!(refused(pointer, value)?.as_deref(), Some(why), "{pointer}");
        }
        assert!(
            refused("/plan/steps", json!({ "nonsense": {} }))?.is_some_and(|why| why.starts_with("its plan cannot"))
        );
        Ok(())
    }

    #[test]
    fn entries_of_format_2_are_read_but_have_no_digests() -> serde_json::Result<()> {
        let mut old = entry();
        old["format"] = json!(2);
        for newer in ["version", "commit", "headline"] {
            old.as_object_mut().and_then(|entry| entry.remove(newer));
        }
        let read: Entry = serde_json::from_value(old.clone())?;
        assert_eq!(read.source, Source::default());
        assert!(read.restorable("lineage").is_ok(), "it has no secret in the clear or masked");
        old["plan"]["graph"]["nodes"]["us-east-1/ssm.parameter/one"]["args"]["value"] = json!(SECRET);
        let why = serde_json::from_value::<Entry>(old)?.restorable("lineage").err();
        assert!(why.is_some_and(|why| why.message().contains("without digests of its secrets")));
        Ok(())
    }

    #[tokio::test]
    async fn the_newest_runs_come_first_and_one_that_cannot_be_read_hides_no_other() -> Result<()> {
        let folder = tempfile::tempdir().map_err(|error| Error::failed(error.to_string()))?;
        let backend = Backend::File { path: folder.path().to_owned() };
        let config = aws_config::SdkConfig::builder().build();
        let backing = payinfra_state::open(&backend, &config, "123456789012", "stack", "one")?;
        let newer = json!({ "format": FORMAT + 1 });
        for (serial, entry) in [(1, entry()), (9, entry()), (10, json!("no entry")), (11, newer)] {
            backing.store.keep(&format!("{serial}.json"), entry.to_string().as_bytes()).await?;
        }
        let serials = [1, 9, 10, 11];
        let runs = newest(&backing.store, &serials, 3).await?;
        let shown: Vec<_> = runs.iter().map(|(serial, entry)| (*serial, entry.is_ok())).collect();
        assert_eq!(shown, [(11, false), (10, false), (9, true)]);
        let error = runs.into_iter().find_map(|(_, entry)| entry.err());
        assert!(error.is_some_and(|error| error.message().contains("formats up to 3")));
        assert!(read(&*backing.store, 2).await?.is_none());
        Ok(())
    }
}
