//! What stacks have in common: the rules that their graphs obey, and components to compose them of.
//!
//! Nothing here knows a stack.

mod desired;
pub mod rules;

pub use desired::graph;
