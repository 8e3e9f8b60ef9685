//! The package of a function.

use payinfra_aws::CodeSha256;
use payinfra_engine::{Error, Result};
use payinfra_stack::Workspace;

/// The digest of the function's package.
///
/// # Errors
/// If the workspace names none.
pub(crate) fn code<V>(workspace: &Workspace<V>) -> Result<CodeSha256> {
    let package = workspace.file("package").ok_or_else(|| Error::failed("the package of the function was not read"))?;
    Ok(CodeSha256::of(package))
}
