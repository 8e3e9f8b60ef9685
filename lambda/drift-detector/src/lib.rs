//! The Lambda function that detects drift on a schedule: `payinfra drift` and `payinfra drift --between-regions`, without a
//! configuration.
//!
//! The state has the resources, and the newest run in its history has what was declared, so the function needs to know only where
//! they are stored. It takes no lock and changes nothing: it writes a report beside the state, and publishes metrics.

mod detector;
mod report;
mod settings;

pub use detector::{Detector, Failure};
pub use report::Report;
pub use settings::{Settings, SettingsError};
