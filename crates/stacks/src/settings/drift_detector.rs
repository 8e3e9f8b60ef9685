//! The drift detector of a deployment.

use payinfra_aws::CodeSha256;
use payinfra_aws::sns::Topic;
use payinfra_components::drift_detector::{self, DETECTOR, DriftDetector};
use payinfra_components::function::log_group_name;
use payinfra_engine::{Error, Graph, Node, Ref, Result};
use payinfra_stack::{AccountId, Problems, Site, Workspace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, architecture};

/// The variable that names the package, for [`payinfra_stack::Stack::FILES`].
pub(crate) const PACKAGE: &str = "drift_detector.package";

/// The drift detector: a function that compares the resources in AWS with the state, and the regions with each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftDetectorConfig {
    /// The package: a zip file, which `cargo function --name drift-detector` builds.
    pub package: String,
    /// The instruction set of the package.
    #[serde(default)]
    pub architecture: Architecture,
    /// The memory in MB.
    #[serde(default = "memory")]
    #[schemars(range(min = 256, max = 10240))]
    pub memory: i32,
    /// The interval between two runs in minutes.
    #[serde(default = "every_minutes")]
    #[schemars(range(min = 15, max = 720))]
    pub every_minutes: i32,
}

fn memory() -> i32 {
    512
}

fn every_minutes() -> i32 {
    60
}

/// Checks the variables of the drift detector of `workspace`, if it has one.
pub(crate) fn check<V>(workspace: &Workspace<V>, config: Option<&DriftDetectorConfig>, problems: &mut Problems) {
    let Some(config) = config else { return };
    let mut section = workspace.section("drift_detector", problems);
    section.number("memory", config.memory, 256..=10_240);
    section.number("every_minutes", config.every_minutes, 15..=720);
    architecture(workspace, (PACKAGE, "drift_detector"), config.architecture, &mut section);
    section.check("package", stored(workspace).map(drop));
    let name = |config: &payinfra_stack::RegionConfig| {
        workspace.names(&AccountId::any())?.role(DETECTOR, &config.region).map(drop)
    };
    let names = workspace.regions.first().map_or(Ok(()), name);
    workspace.section("", problems).check("suffix", names);
}

/// Where the state is stored.
fn stored<V>(workspace: &Workspace<V>) -> Result<&payinfra_stack::StateBucket> {
    workspace.state.as_ref().ok_or_else(|| {
        Error::invalid("a drift detector cannot read a state that is stored in a folder")
            .hint("store the state in a bucket: remove `path` from `[state]`, or remove `drift_detector`")
    })
}

/// The log groups of the drift detector in the region `site`, for the policy of the key that encrypts them.
pub(crate) fn log_groups(site: &Site<'_>, config: Option<&DriftDetectorConfig>) -> Option<String> {
    config.filter(|_| site.config.is_primary()).map(|_| log_group_name(site, DETECTOR))
}

/// Declares the drift detector of `workspace`, if it has one, in its primary region `site`. Everything else must be declared
/// before.
pub(crate) fn drift_detector<V>(
    graph: &mut Graph,
    workspace: &Workspace<V>,
    site: &Site<'_>,
    config: Option<&DriftDetectorConfig>,
    topic: &Node<Topic>,
    (log_key, log_retention_days): (&Ref<String>, i32),
) -> Result<()> {
    let Some(config) = config else { return Ok(()) };
    let package =
        workspace.file(PACKAGE).ok_or_else(|| Error::failed("the package of the drift detector was not read"))?;
    let wanted = DriftDetector {
        code: CodeSha256::of(package),
        architecture: config.architecture.of_function(),
        memory: config.memory,
        every_minutes: config.every_minutes,
        state: stored(workspace)?,
        log_key,
        log_retention_days,
        ignored_tags: &workspace.ignored_tags,
        topic,
    };
    drift_detector::drift_detector(graph, site, &wanted).map(drop)
}
