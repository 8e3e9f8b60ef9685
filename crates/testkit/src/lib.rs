//! What tests of the engine need: a cloud in virtual time that enforces what a cloud enforces, fails as clouds fail,
//! and dies with its client; a store and a lock in memory; random graphs and edits of them.
//!
//! Everything waits on tokio's clock: run it paused (`#[tokio::test(start_paused = true)]`).

mod bench;
mod cloud;
mod cx;
mod faults;
mod kinds;
mod schema;
mod sketch;
mod store;
mod world;

pub use bench::{Bench, End};
pub use cloud::FakeCloud;
pub use cx::Cx;
pub use faults::{Fault, Faults, Operation, Point, Rule, When};
pub use kinds::{
    DAYS, First, Group, KINDS, Link, Made, Named, Proof, Tagged, Token, Vault, Zones, ZonesFound, catalog,
};
pub use schema::violations;
pub use sketch::{Edit, Item, Sketch, edits, history, sketches};
pub use store::{MemoryLock, MemoryStore};
pub use world::{Call, Lags, World};
