//! Outputs of other workspaces and stacks, read from their states (M-29).

use std::collections::BTreeMap;

use payinfra_aws::payinfra::RemoteOutputs;
use payinfra_engine::{Error, Graph, Ref, Result};

use payinfra_stack::{AccountId, REMOTE, RemoteOutputs as Listed, Workspace};

/// The remote outputs by source and name.
pub(crate) struct Remote(BTreeMap<(String, String), Ref<String>>);

/// Declares lookups of the remote outputs; each one becomes an output of this workspace: `remote_SOURCE_OUTPUT`.
pub(crate) fn remote<V>(graph: &mut Graph, workspace: &Workspace<V>, account: &AccountId) -> Result<Remote> {
    let mut values = BTreeMap::new();
    for (source, remote) in &workspace.remote_outputs {
        let args = RemoteOutputs {
            bucket: remote.bucket.clone().unwrap_or_else(|| format!("payinfra-state-{account}")),
            account: remote.account.clone(),
            stack: remote.stack.clone(),
            workspace: remote.workspace.clone(),
            lineage: remote.lineage.clone(),
            outputs: remote.outputs.clone(),
        };
        let found = graph.find(&remote.region, source, &args)?;
        for name in &remote.outputs {
            let value = found.outputs.values.member(name)?;
            graph.output(&format!("remote_{}_{name}", source.replace('-', "_")), &value);
            values.insert((source.clone(), name.clone()), value);
        }
    }
    Ok(Remote(values))
}

impl Remote {
    /// The value of a variable: `remote.SOURCE.OUTPUT` refers to that output, anything else is the value itself.
    pub(crate) fn value(&self, variable: &str) -> Result<Ref<String>> {
        let Some(path) = variable.strip_prefix(REMOTE) else { return Ok(variable.into()) };
        let found = path.split_once('.').and_then(|(source, name)| self.0.get(&(source.to_owned(), name.to_owned())));
        found.cloned().ok_or_else(|| {
            Error::invalid(format!("`{variable}` is not listed in the remote outputs"))
                .hint("write remote.NAME.OUTPUT, and list OUTPUT under `remote_outputs`")
        })
    }

    /// Like [`Remote::value`], for an optional variable.
    pub(crate) fn given(&self, variable: Option<&String>) -> Result<Option<Ref<String>>> {
        variable.map(|variable| self.value(variable)).transpose()
    }
}

/// Checks that `value` is no remote output, or one that is listed.
pub(crate) fn listed(value: Option<&str>, remote: &BTreeMap<String, Listed>) -> Result<()> {
    let Some(path) = value.and_then(|value| value.strip_prefix(REMOTE)) else { return Ok(()) };
    let found = path.split_once('.').and_then(|(source, name)| Some(remote.get(source)?.outputs.contains(name)));
    if found == Some(true) {
        return Ok(());
    }
    Err(Error::invalid(format!("`{REMOTE}{path}` is not listed in the remote outputs"))
        .hint("write remote.NAME.OUTPUT, and list OUTPUT under `remote_outputs`"))
}
