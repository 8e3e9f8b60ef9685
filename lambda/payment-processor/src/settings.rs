//! The settings from the environment.

use std::collections::BTreeMap;

use payment_aws::{Key, regions};
use payment_core::{Homes, Place};
use thiserror::Error;

/// The settings of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `PAYMENTS_TABLE`: the table of payments.
    pub table: String,
    /// `PAYMENTS_KEY`: the key of the table.
    pub key: Key,
    /// `AUDIT_BUCKET`: the bucket of audit records; or `REGIONS`: the bucket of each region.
    pub buckets: BTreeMap<String, String>,
    /// `CONSISTENCY`: that of the table between the regions.
    pub homes: Homes,
    /// `AWS_REGION`, which Lambda sets, and `PHASE`.
    pub place: Place,
    /// `ALLOWED_ORIGIN`: the origin of web pages that may read responses, or `*`.
    pub origin: Option<String>,
    /// `METRICS_NAMESPACE`: the namespace of the metrics.
    pub namespace: Option<String>,
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
    /// The key is invalid.
    #[error(
        "the environment variable PAYMENTS_KEY must be the table's partition key, such as `payment_id`, or its partition \
         key and sort key, such as `payment_id,timestamp`; they must not be attributes of a payment"
    )]
    Key,
    /// The consistency is unknown.
    #[error("the environment variable CONSISTENCY must be `eventual` or `strong`")]
    Consistency,
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
        let key = Key::parse(get("PAYMENTS_KEY").as_deref().unwrap_or("payment_id")).ok_or(SettingsError::Key)?;
        let buckets = match get("REGIONS") {
            None => BTreeMap::from([(region.clone(), bucket)]),
            Some(text) => {
                let all = regions(&text).filter(|all| all.get(&region) == Some(&bucket));
                all.ok_or(SettingsError::Regions)?
            }
        };
        let names = buckets.keys().map(String::as_str);
        let homes = match get("CONSISTENCY").as_deref() {
            None | Some("eventual") => Homes::new(names).ok_or(SettingsError::Regions)?,
            Some("strong") => Homes::strong(&region, names),
            Some(_) => return Err(SettingsError::Consistency),
        };
        let place = Place { region, phase: need("PHASE")? };
        let (origin, namespace) = (get("ALLOWED_ORIGIN"), get("METRICS_NAMESPACE"));
        Ok(Self { table, key, buckets, homes, place, origin, namespace })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 4] =
        [("AUDIT_BUCKET", "b"), ("AWS_REGION", "us-east-1"), ("PAYMENTS_TABLE", "t"), ("PHASE", "primary")];

    fn read(with: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let all = [&ALL[..], with].concat();
        Settings::read(|name| all.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn says_which_variable_is_missing_or_wrong() {
        for (name, _) in ALL {
            assert_eq!(read(&[(name, "")]), Err(SettingsError::Missing(name)));
        }
        for (name, value, error) in [
            ("REGIONS", "us-east-2=b", SettingsError::Regions),
            ("REGIONS", "us-east-1=c", SettingsError::Regions),
            ("PAYMENTS_KEY", "payment_id,payment_id", SettingsError::Key),
            ("CONSISTENCY", "weak", SettingsError::Consistency),
        ] {
            assert_eq!(read(&[(name, value)]), Err(error), "{name}={value}");
        }
    }

    /// G-04: with eventual consistency, an id has the same home in all regions; with strong consistency, each region
    /// accepts all ids.
    #[test]
    fn g04_the_consistency_decides_where_a_payment_is_stored() {
        let both = |consistency: &str| {
            [("us-east-1", "b"), ("us-west-2", "c")].map(|(region, bucket)| {
                let regions = ("REGIONS", "us-east-1=b,us-west-2=c");
                let here = [("AWS_REGION", region), ("AUDIT_BUCKET", bucket), regions, ("CONSISTENCY", consistency)];
                read(&here).unwrap().homes
            })
        };
        let [first, second] = both("eventual");
        let homes: Vec<_> = (0..100).map(|number| first.of(&format!("t-{number}")).to_owned()).collect();
        assert!((0..100).all(|number| second.of(&format!("t-{number}")) == homes[number]));
        assert!(homes.iter().any(|home| home == "us-east-1") && homes.iter().any(|home| home == "us-west-2"));
        let [first, second] = both("strong");
        assert_eq!((first.of("t"), second.of("t")), ("us-east-1", "us-west-2"));
    }
}
