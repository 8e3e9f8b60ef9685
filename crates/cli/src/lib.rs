//! The command line of payinfra: one file per command, and the only crate that prints.

mod account;
mod arguments;
mod command;
mod context;
mod disk;
mod events;
mod exit;
mod failure;
mod lock;
mod losses;
mod lost;
mod plan_view;
mod progress;
mod rescue;
mod run;
mod screen;
mod value_view;

pub use arguments::{commands, main, run};
pub use command::{COMMANDS, Entry};
