//! A run: loads the state, reads all resources, compares, writes the report and publishes the metrics.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use payinfra_aws::{Access, Aws, Identity};
use payinfra_engine::plan::refresh;
use payinfra_engine::{Cloud, Error, Lock, Metric, Region, Result};
use payinfra_state::{DynamoLock, Loaded, S3Store, declared, load, serials};
use serde_json::{Value, json};
use thiserror::Error as ThisError;
use tokio::time::timeout;

use crate::report::Report;
use crate::settings::Settings;

/// The time that is left for the response when a run is given up.
const ANSWERING: Duration = Duration::from_secs(5);

/// Why a run failed. Lambda counts it in the metric `Errors`, on which there is an alarm.
#[derive(Debug, ThisError)]
pub enum Failure {
    /// The state, a resource, the report or a metric could not be read or written.
    #[error("{0}{hint}", hint = hint(.0))]
    Failed(#[from] Error),
    /// The time of the invocation was not enough.
    #[error("the resources could not be read within {0} seconds: raise the memory of the function, or its timeout")]
    Late(u64),
}

fn hint(error: &Error) -> String {
    error.get_hint().map(|hint| format!("; {hint}")).unwrap_or_default()
}

/// The drift detector of one deployment.
#[derive(Debug)]
pub struct Detector {
    settings: Settings,
}

/// The result of a run.
enum Ran {
    /// The resources were compared.
    Compared(Box<Report>, String),
    /// Somebody is changing the deployment, and their changes would be shown as drift.
    Skipped(String),
}

impl Detector {
    /// The detector with these settings. It makes no calls now.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Runs once within `left`, the time until Lambda ends the function, and returns a summary for the log of invocations.
    ///
    /// # Errors
    /// If anything cannot be read or written; no metric is published then.
    pub async fn run(&self, left: Duration) -> std::result::Result<Value, Failure> {
        let limit = left.saturating_sub(ANSWERING);
        let ran = timeout(limit, Box::pin(self.compare())).await.map_err(|_| Failure::Late(limit.as_secs()))??;
        Ok(match ran {
            Ran::Skipped(why) => {
                tracing::warn!(why, "skipped");
                json!({ "skipped": why })
            }
            Ran::Compared(report, place) => {
                let (drifted, differences) = (report.resources.len(), report.differences.as_ref().map(Vec::len));
                tracing::info!(
                    compared = report.compared,
                    drifted,
                    differences = differences.unwrap_or_default(),
                    report = place,
                    "compared"
                );
                json!({ "compared": report.compared, "drifted": drifted, "differences": differences, "report": place })
            }
        })
    }

    async fn compare(&self) -> Result<Ran> {
        let Settings { stack, workspace, bucket, state_region, table, ignored_tags, region } = &self.settings;
        let access = Access::open_in(&Identity::default(), region).await?.ignoring(ignored_tags.clone());
        let config = access.config(state_region);
        let store = S3Store::new(&config, access.account(), bucket, stack, workspace);
        let lock = DynamoLock::new(&config, table, stack, workspace);
        let cloud: Arc<dyn Cloud> = Arc::new(Aws::new(access.clone()));
        cloud.guard(Arc::new(|| Err(Error::failed("the drift detector changes nothing"))));
        if let Some(why) = held(&lock).await? {
            return Ok(Ran::Skipped(why));
        }
        // The history before the state, so that a run that ends in between does not make the state look old.
        let runs = serials(&store).await?;
        let Loaded { state, version, .. } = self.load(&store, access.account()).await?;
        if runs.last().is_some_and(|newest| *newest > state.serial) {
            return Err(Error::invalid(format!("the state has serial {}, but the history is newer", state.serial))
                .hint("an earlier version of the state was restored; run `payinfra apply`, which catches up"));
        }
        let graph = declared(&store, &runs, &state.lineage).await?;
        let at = Timestamp::now().to_string();
        let refreshed = refresh(&cloud, &state).await?;
        if let Some(why) = held(&lock).await? {
            return Ok(Ran::Skipped(why));
        }
        let now = self.load(&store, access.account()).await?;
        if (now.state.revision, now.version) != (state.revision, version) {
            return Ok(Ran::Skipped("the state was written while the resources were read".to_owned()));
        }
        let report = Report::new(&state, graph.as_ref(), &refreshed, at);
        if graph.is_none() {
            tracing::warn!("the history has no run that says what was declared, so the regions are not compared");
        }
        let mut bytes = serde_json::to_vec_pretty(&report).map_err(|error| Error::failed(error.to_string()))?;
        bytes.push(b'\n');
        // Before the metrics: whoever is alarmed looks at it.
        let place = store.report(&bytes).await?;
        let region = Region::new(region);
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        if let Some(differences) = &report.differences {
            cloud.publish(&Metric::of_regions(stack, workspace, &region, count(differences.len()))).await?;
        }
        cloud.publish(&Metric::of_drift(stack, workspace, &region, count(report.resources.len()))).await?;
        Ok(Ran::Compared(Box::new(report), place))
    }

    /// The state, which must be this deployment's and have resources.
    async fn load(&self, store: &S3Store, account: &str) -> Result<Loaded> {
        let Settings { stack, workspace, bucket, .. } = &self.settings;
        let place = format!("s3://{bucket}/{stack}/{workspace}/state.json");
        let loaded = load(store).await.map_err(|error| error.at(&place))?;
        let loaded = loaded.ok_or_else(|| {
            Error::invalid(format!("there is no state at {place}"))
                .hint("restore it: `payinfra state history` lists its versions")
        })?;
        loaded.state.belongs(stack, workspace, account)?;
        if loaded.state.resources.is_empty() {
            return Err(Error::invalid(format!("the state at {place} has no resources: there is nothing to compare")));
        }
        Ok(loaded)
    }
}

/// Who holds the lock, if anybody does.
async fn held(lock: &DynamoLock) -> Result<Option<String>> {
    let holder = lock.holder().await?;
    Ok(holder.map(|it| format!("`{}` by {} holds the lock since {}", it.command, it.who, it.since)))
}
