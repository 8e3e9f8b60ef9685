//! What stacks have in common: the rules that their graphs obey, and components to compose them of.
//!
//! Nothing here knows a stack.

pub mod buckets;
mod desired;
mod graph_file;
pub mod keys;
pub mod rules;

pub use desired::graph;
pub use graph_file::{GraphFile, GraphVariables};
