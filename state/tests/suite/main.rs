//! The guarantees of the state and the lock, with files and with an emulated AWS.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod bench;
mod bootstrap;
mod configuration;
mod format;
mod lock;
mod lock_dynamo;
mod lock_processes;
mod lock_records;
mod owners;
mod store;
mod store_file;
mod store_s3;
