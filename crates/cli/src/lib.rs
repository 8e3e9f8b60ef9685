//! The command line of payinfra: one file per command, and the only crate that prints.

mod account;
mod arguments;
mod colours;
mod command;
mod commit;
mod compare;
mod context;
mod cost;
mod databases;
mod disk;
mod edit_view;
mod events;
mod existence;
mod exit;
mod failure;
mod functions;
mod gate;
mod global;
mod history;
mod lock;
mod losses;
mod lost;
mod native;
mod operation;
mod page;
mod plan_view;
mod program;
mod progress;
mod quotas;
mod recovery;
mod rescue;
mod routes;
mod run;
mod screen;
mod stepwise;
mod table;
mod value_view;
mod weights;

// All that a stack needs, so that its crate depends on this one only.
pub use payinfra_aws as aws;
pub use payinfra_components as components;
pub use payinfra_engine as engine;
pub use payinfra_stack as stack;

pub use arguments::{main, run};
pub use command::{COMMANDS, Entry, commands};
