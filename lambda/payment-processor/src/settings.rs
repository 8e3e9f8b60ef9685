//! The settings from the environment.

use std::collections::BTreeMap;

use payment_aws::regions;
use payment_core::Place;
use thiserror::Error;

/// The settings of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `PAYMENTS_TABLE`: the table of payments.
    pub table: String,
    /// `AUDIT_BUCKET`: the bucket of audit records; or `REGIONS`: the bucket of each region.
    pub buckets: BTreeMap<String, String>,
    /// `AWS_REGION`, which Lambda sets, and `PHASE`.
    pub place: Place,
}

/// An invalid environment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SettingsError {
    /// A variable is not set.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// The list of regions is invalid.
    #[error("the environment variable REGIONS must be a list of REGION=BUCKET that includes this region")]
    Regions,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// The first variable that is missing or invalid.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let need = |name: &'static str| get(name).ok_or(SettingsError::Missing(name));
        let (table, bucket, region) = (need("PAYMENTS_TABLE")?, need("AUDIT_BUCKET")?, need("AWS_REGION")?);
        let buckets = match get("REGIONS") {
            None => BTreeMap::from([(region.clone(), bucket)]),
            Some(text) => {
                let all = regions(&text).filter(|all| all.get(&region) == Some(&bucket));
                all.ok_or(SettingsError::Regions)?
            }
        };
        Ok(Self { table, buckets, place: Place { region, phase: need("PHASE")? } })
    }
}
