//! The Lambda function that processes the objects of a bucket, behind the bucket's notifications and an HTTP API.
//!
//! For each new object, it reads the object's metadata and writes a session to a table. The id of a session is derived from the
//! version of the object, and a session is only written once, so any number of deliveries has the same result. `event`, `session`
//! and `function` make no calls; `aws` does.

mod aws;
mod event;
mod function;
mod session;
mod settings;

pub use aws::{Bucket, Table};
pub use event::{Created, Event, Failure};
pub use function::{CallError, Function, Metadata, Objects, Sessions};
pub use session::Session;
pub use settings::{Settings, SettingsError};
