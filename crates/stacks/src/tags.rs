//! The tags that every taggable resource carries (M-05, X-02).

use payinfra_engine::Tags;

use crate::config::Workspace;

/// The keys that a resource must not lack.
pub const REQUIRED: [&str; 5] = ["CutoverTimestamp", "Environment", "ManagedBy", "MigrationPhase", "Project"];

/// The tags of all resources of `workspace`. The time is the configured one: the clock would change every plan.
#[must_use]
pub fn tags(workspace: &Workspace) -> Tags {
    let mut tags = Tags::new()
        .with("CutoverTimestamp", workspace.cutover.to_string())
        .with("Environment", &workspace.environment)
        .with("ManagedBy", "payinfra")
        .with("MigrationPhase", workspace.phase.as_str())
        .with("Project", &workspace.project);
    tags.fill(&workspace.tags);
    tags
}
