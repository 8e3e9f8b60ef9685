//! Support for tests: a simulated cloud in virtual time that enforces a cloud's rules, fails as clouds do, and kills its
//! clients; an in-memory store and lock; random graphs and edits of them.
//!
//! [`Simulation`] is for tests of stacks: it has the kinds of any catalog, such as those of AWS, and needs no runtime.
//! [`Bench`] is for tests of the engine. It waits on tokio's clock, so run tests with a paused clock
//! (`#[tokio::test(start_paused = true)]`).

mod bench;
mod bound;
mod climate;
mod cloud;
mod cx;
mod faults;
mod kinds;
mod limits;
mod made_up;
mod models;
mod schema;
mod shape;
mod simulated;
mod simulation;
mod sketch;
mod store;
mod world;

pub use bench::{Bench, End};
pub use bound::{Bound, Direction, bound, ten_workers};
pub use climate::Climate;
pub use cloud::FakeCloud;
pub use cx::Cx;
pub use faults::{Fault, Faults, Operation, Point, Rule, When};
pub use kinds::{
    DAYS, First, Group, KINDS, Link, Made, Named, Proof, Tagged, Token, Vault, Zones, ZonesFound, catalog,
};
pub use schema::violations;
pub use shape::Shape;
pub use simulation::Simulation;
pub use sketch::{Edit, Item, Sketch, edits, history, sketches};
pub use store::{MemoryLock, MemoryStore};
pub use world::{Call, Lags, World};
