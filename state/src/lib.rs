//! Stores the state of a workspace and its lock, and bootstraps the backend.
//!
//! Two backends with the same guarantees: S3 with a lock in `DynamoDB`, and a local folder for trying things out.

mod backend;
mod bootstrap;
mod clock;
mod declared;
pub mod disk;
mod dynamo;
mod epoch;
mod file;
mod format;
mod name;
mod retry;
mod s3;

pub use backend::{Backend, Backing, open};
pub use bootstrap::{Existing, Made, Place, Report, bootstrap};
pub use declared::{declared, serials};
pub use dynamo::DynamoLock;
pub use file::{FileLock, FileStore};
pub use format::{Loaded, load, migrate, schema};
pub use s3::S3Store;
