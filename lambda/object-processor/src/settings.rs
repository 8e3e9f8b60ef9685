//! The settings from the environment.

use thiserror::Error;

/// The settings of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `SESSIONS_TABLE`: the table of sessions.
    pub table: String,
    /// `EXPIRY_DAYS`: the number of days after which a session expires, 1 to 3650.
    pub days: u32,
    /// `AWS_REGION`, which Lambda sets.
    pub region: String,
}

/// An invalid environment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SettingsError {
    /// A variable is not set.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// The number of days is invalid.
    #[error("the environment variable EXPIRY_DAYS must be a number of days, 1 to 3650")]
    Days,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// The first variable that is missing or invalid.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let need =
            |name: &'static str| variable(name).filter(|value| !value.is_empty()).ok_or(SettingsError::Missing(name));
        let (table, region) = (need("SESSIONS_TABLE")?, need("AWS_REGION")?);
        let days = need("EXPIRY_DAYS")?.parse().ok().filter(|days| (1..=3_650).contains(days));
        Ok(Self { table, days: days.ok_or(SettingsError::Days)?, region })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_variable_is_missing_or_wrong() {
        let read = |days: &str, table: &str| {
            Settings::read(|name| match name {
                "AWS_REGION" => Some("us-east-1".to_owned()),
                "EXPIRY_DAYS" => Some(days.to_owned()),
                _ => Some(table.to_owned()),
            })
        };
        assert_eq!(read("30", ""), Err(SettingsError::Missing("SESSIONS_TABLE")));
        for days in ["0", "3651", "-1", "soon"] {
            assert_eq!(read(days, "t"), Err(SettingsError::Days), "{days}");
        }
        assert_eq!(read("30", "t").map(|settings| settings.days), Ok(30));
    }
}
