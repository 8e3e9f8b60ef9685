//! What the last runs declared, from the history: for programs that have no configuration.

use payinfra_engine::{Error, Graph, Plan, Result, Store};
use serde::Deserialize;
use serde_json::Value;

/// The part of a history entry that says what was declared.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    plan: Value,
}

/// The serials of the runs in the history of `store`, sorted.
///
/// # Errors
/// If the history cannot be listed.
pub async fn serials(store: &dyn Store) -> Result<Vec<u64>> {
    let names = store.kept().await?;
    let serial = |name: &String| name.rsplit('/').next()?.strip_suffix(".json")?.parse().ok();
    let mut serials: Vec<u64> = names.iter().filter_map(serial).collect();
    serials.sort_unstable();
    Ok(serials)
}

/// The graph that the newest of the runs with these `serials` declared for the deployment with `lineage`, with the digests of
/// secrets; `None` if there is no such run, or it has destroyed everything.
///
/// # Errors
/// If the history cannot be read, or another version of payinfra wrote it.
pub async fn declared(store: &dyn Store, serials: &[u64], lineage: &str) -> Result<Option<Graph>> {
    for serial in serials.iter().rev() {
        let Some(bytes) = store.recall(&format!("{serial}.json")).await? else { continue };
        let plan = plan(&bytes).map_err(|why| {
            Error::invalid(format!("run {serial} of the history cannot be read: {why}"))
                .hint("use the same version of payinfra for applies and for this program")
        })?;
        if plan.lineage == lineage {
            return Ok(Some(plan.graph).filter(|graph| !graph.nodes().is_empty()));
        }
    }
    Ok(None)
}

fn plan(bytes: &[u8]) -> std::result::Result<Plan, String> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let Entry { plan } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let Head { format } = Head::deserialize(&plan).map_err(|error| format!("its plan: {error}"))?;
    if format != payinfra_engine::plan::FORMAT {
        return Err(format!("its plan has format {format}, not {}", payinfra_engine::plan::FORMAT));
    }
    serde_json::from_value(plan).map_err(|error| format!("its plan: {error}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::FileStore;

    const ADDRESS: &str = "us-east-1/ssm.parameter/one";

    fn entry(lineage: &str, nodes: &Value) -> Value {
        let graph = json!({ "stack": "s", "workspace": "w", "tags": {}, "outputs": {}, "nodes": nodes });
        json!({
            "format": 3, "command": "apply", "outcome": "failed",
            "plan": {
                "format": payinfra_engine::plan::FORMAT, "account": "a", "lineage": lineage, "serial": 0, "revision": 0,
                "graph": graph, "steps": {}, "drift": {}, "lookups": {}, "left_out": [],
            },
        })
    }

    async fn history(entries: &[(u64, Value)]) -> (tempfile::TempDir, FileStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path(), "s", "w");
        for (serial, entry) in entries {
            store.keep(&format!("{serial}.json"), entry.to_string().as_bytes()).await.unwrap();
        }
        (folder, store)
    }

    #[tokio::test]
    async fn t08_the_newest_run_of_the_deployment_says_what_is_declared() {
        let nodes = |value: &str| json!({ ADDRESS: { "args": { "value": value } } });
        let entries = [(9, entry("l", &nodes("old"))), (10, entry("l", &nodes("new"))), (11, entry("m", &json!({})))];
        let (_folder, store) = history(&entries).await;
        let serials = serials(&store).await.unwrap();
        assert_eq!(serials, [9, 10, 11]);
        let graph = declared(&store, &serials, "l").await.unwrap().unwrap();
        assert_eq!(graph.nodes()[&ADDRESS.parse().unwrap()].args["value"], "new");
        assert_eq!(declared(&store, &serials, "m").await.unwrap(), None, "it was destroyed");
        assert_eq!(declared(&store, &serials, "n").await.unwrap(), None);
        assert_eq!(declared(&store, &[], "l").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_run_of_another_version_is_an_error() {
        let mut newer = entry("l", &json!({}));
        newer["plan"]["format"] = json!(9);
        for (entry, why) in [(newer, "its plan has format 9, not 2"), (json!({ "format": 1 }), "its plan: ")] {
            let (_folder, store) = history(&[(3, entry)]).await;
            let error = declared(&store, &[3], "l").await.unwrap_err();
            assert!(error.message().starts_with("run 3 of the history cannot be read: "), "{error}");
            assert!(error.message().contains(why), "{error}");
        }
    }
}
