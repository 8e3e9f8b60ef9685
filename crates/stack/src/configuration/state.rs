//! Where the state is stored.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use crate::problem::Problem;

/// Where the state is stored: in S3 with a lock in `DynamoDB`, or in a local folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateConfig {
    /// The S3 bucket; by default `payinfra-state-ACCOUNT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The region of the bucket and the table.
    pub region: String,
    /// The `DynamoDB` lock table.
    pub table: String,
    /// A local folder, instead of all of the above; by default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self { bucket: None, region: "us-east-1".to_owned(), table: "payinfra-locks".to_owned(), path: None }
    }
}

/// Checks that the section `[state]` of the file `root` names either a folder or what is in AWS.
pub(super) fn in_one_place(root: &DeTable<'_>) -> Result<(), Problem> {
    let Some(state) = root.get("state") else { return Ok(()) };
    let given = |key: &str| state.get_ref().as_table().is_some_and(|state| state.contains_key(key));
    if given("path") && ["bucket", "region", "table"].into_iter().any(given) {
        return Err(Problem::new("the state is stored either in a folder or in a bucket, not in both", state.span())
            .hint("remove `path`, or `bucket`, `region` and `table`"));
    }
    Ok(())
}
