//! An emulated AWS behind one endpoint, for tests and for trying things out.
//!
//! [`Bench`] runs a program with a stack on an instance of its own, for tests of stacks; [`Emulator::start`] gives a test
//! an instance alone. A gateway in front of the emulators records every call, fixes differences between the emulators and
//! AWS (`GAPS.md`), and injects failures of networks and AWS ([`Rule`]). It can check after each call that clients'
//! requests end at a healthy target, and that data is replicated ([`Checks`]).

mod action;
mod answer;
mod backend;
mod bench;
mod checker;
mod client;
mod control;
mod emulator;
mod error;
mod fault;
mod gateway;
mod guard;
mod hold;
mod latency;
mod limits;
mod mend;
mod model;
mod paths;
mod permission;
mod profile;
mod record;
mod resource;
mod route;
mod strict;
mod venv;
mod window;
mod xml;

pub use bench::{Bench, Outcome};
pub use checker::{Checks, Violation};
pub use client::{Control, Session};
pub use control::Status;
pub use emulator::{ACCOUNT_ID, Builder, Emulator, environment, isolate, misleading};
pub use error::{Error, Result};
pub use fault::{Fault, Faults, Match, Outage, Rule, Silence, When};
pub use hold::{Held, Hold};
pub use latency::Wait;
pub use paths::{Endpoint, Paths, Target};
pub use permission::iam_action;
pub use profile::Profile;
pub use record::Call;
pub use venv::{browser, cache_folder, install};
