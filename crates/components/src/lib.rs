//! What stacks have in common: the rules that their graphs obey, and components to compose them of.
//!
//! A component is a function that declares related resources in a graph and returns references to them. They are in one
//! region, except for replicas of [`tables`], and peerings of [`transit`] gateways and of networks
//! ([`peering`](mod@peering)). Names, tags and outputs come from the [`payinfra_stack::Site`] of a region. Nothing here
//! knows a stack.

pub mod alarms;
pub mod aurora;
pub mod buckets;
pub mod dashboard;
mod desired;
mod digest;
pub mod domain;
pub mod drift_detector;
pub mod endpoints;
pub mod events;
pub mod fargate;
pub mod flow_log;
pub mod function;
mod graph_file;
pub mod http_api;
pub mod keys;
pub mod load_balancer;
pub mod network;
pub mod peering;
pub mod postgresql;
mod protection;
pub mod rest_api;
pub mod roles;
pub mod rules;
pub mod stream;
pub mod tables;
pub mod topic;
pub mod trail;
pub mod transit;
pub mod web_acl;

pub use desired::graph;
pub use graph_file::{GraphFile, GraphVariables};
