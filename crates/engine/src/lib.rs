//! The engine of payinfra: compares a graph of typed resources with what exists, and reconciles the difference.
//!
//! It knows no AWS, no terminal and no wall clock; `crates/README.md` has the map.

mod address;
mod apply;
mod catalog;
mod cloud;
mod converge;
mod diff;
mod document;
mod error;
mod event;
mod graph;
pub mod import;
mod mask;
mod metric;
mod ownership;
pub mod plan;
mod pointer;
mod publish;
mod reader;
mod recall;
mod reference;
mod resolve;
mod resource;
mod retry;
mod run;
mod schema;
pub mod secret;
mod state;
mod store;
pub mod sweep;
mod tags;
mod task;

pub use address::{Address, Region};
pub use apply::apply;
pub use catalog::Catalog;
pub use cloud::{Cloud, Expected, Identity, Seen, Site, Spec, Status};
pub use diff::{Change, Wanted};
pub use document::{GRAPH_BYTES, GRAPH_FORMAT, graph_schema};
pub use error::{Class, Error, Result};
pub use event::{Event, Observer, Report};
pub use graph::{Declared, Found, Graph, Node};
pub use metric::Metric;
pub use plan::{Action, Drift, Plan, Step};
pub use pointer::{ID, Pointer};
pub use publish::publish;
pub use recall::Difference;
pub use reference::{Id, Ref, Secret, Sensitive, Text};
pub use resource::{Facts, Fields, Kind, Live, Lookup, Resource, kind, lookup};
pub use run::{Run, WIDTH};
pub use schema::{ADDRESS, REFERENCE, Schemas};
pub use state::{Deposed, FORMAT, Intent, Record, State};
pub use store::{COUNT_MAX, Guard, Holder, Journal, Lease, Lock, Store, Stored, Version};
pub use tags::{Owner, Tags};
pub use task::longest;
