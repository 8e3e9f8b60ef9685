//! The options that all commands share.

use std::path::PathBuf;

use clap::{ArgAction, Args};

/// Options that all commands share.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Workspace to use; required if the configuration declares more than one
    #[arg(long, short, global = true, env = "PAYINFRA_WORKSPACE", value_name = "NAME")]
    pub(crate) workspace: Option<String>,
    /// Configuration file
    #[arg(long, global = true, env = "PAYINFRA_CONFIG", value_name = "FILE", default_value = "payinfra.toml")]
    pub(crate) config: PathBuf,
    /// Disable colored output; the environment variable `NO_COLOR` does the same
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Show all fields of plans and log API calls to stderr; repeat for more detail
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}
