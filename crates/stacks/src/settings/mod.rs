//! Variables that several stacks have.

mod alarms;
mod architecture;
pub(crate) mod database;
pub(crate) mod domain;
pub(crate) mod drift_detector;
mod package;
pub(crate) mod regions;
pub(crate) mod retention;
mod subscription;
mod tag;
mod window;

pub(crate) use alarms::{alarms, subscriptions};
pub use architecture::Architecture;
pub use drift_detector::DriftDetectorConfig;
pub(crate) use package::{architecture, code};
pub use subscription::Subscription;
pub(crate) use tag::tag;
pub(crate) use window::window;
