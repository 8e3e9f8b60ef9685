//! What a stack is: a value with a name, its own typed variables, and a pure function to a graph.
//!
//! Configurations are parsed and checked here, for all stacks. Nothing here knows AWS or does I/O.

pub mod cidr;
mod conceal;
pub mod configuration;
mod files;
pub mod names;
mod places;
mod problem;
mod program;
mod region;
mod remote;
mod rule;
mod section;
mod site;
mod stack;
pub mod tags;
mod typed;
mod unfold;
mod workspace;

pub use conceal::build;
pub use configuration::{Configuration, StateConfig, Template, schema, template, without_secrets};
pub use files::{FILE_BYTES, Open};
pub use names::{AccountId, NameForm, Names, Suffix};
pub use problem::{At, ConfigError, Problem, Problems};
pub use program::{distinct, named};
pub use remote::{REMOTE, RemoteOutputs};
pub use rule::{Rule, Violation};
pub use section::Section;
pub use site::Site;
pub use stack::{AnyStack, NoVariables, Own, Stack, Stacks};
pub use toml::Spanned;
pub use workspace::{Erased, RegionConfig, StateBucket, Workspace};
