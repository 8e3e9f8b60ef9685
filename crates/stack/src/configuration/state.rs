//! Where the state is stored.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// Where the state is stored: in S3 with a lock in `DynamoDB`, or in a local folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// The S3 bucket; by default `payinfra-state-ACCOUNT`.
    pub bucket: Option<String>,
    /// The region of the bucket and the table; by default us-east-1.
    pub region: Option<String>,
    /// The `DynamoDB` lock table; by default `payinfra-locks`.
    pub table: Option<String>,
    /// A local folder, instead of all of the above.
    pub path: Option<PathBuf>,
}
