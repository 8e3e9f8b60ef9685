//! The desired state of a workspace of any stack.

use payinfra_aws::catalog;
use payinfra_engine::{Address, Graph, Result};
use payinfra_stack::{AccountId, Configuration};
use serde_json::Value;

use crate::protection::protect;
use crate::rules;

/// The desired state of `workspace` of the configured stack in `account`. Resources that keep data are protected as the
/// workspace says.
///
/// # Errors
/// If the workspace is not declared, the account id is invalid, the stack cannot be built, its graph violates a rule, or
/// AWS would show the value of a sensitive variable.
pub fn graph(configuration: &Configuration, workspace: &str, account: &str) -> Result<Graph> {
    let account = AccountId::try_from(account.to_owned())?;
    let catalog = catalog();
    let accepts =
        |address: &Address, args: &Value| catalog.kind(&address.kind).is_ok_and(|kind| kind.normal(args).is_ok());
    let mut graph = payinfra_stack::build(configuration, workspace, &account, &accepts)?;
    let workspace = configuration.workspace(workspace)?;
    protect(&mut graph, workspace, &catalog);
    rules::check(&graph, &workspace.names(&account)?, configuration.stack.rules())?;
    Ok(graph)
}
