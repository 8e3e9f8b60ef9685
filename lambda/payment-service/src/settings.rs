//! What the environment says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use thiserror::Error;

/// How the service runs; the ECS task definition sets it in the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `PAYMENTS_TABLE`: the table of payments.
    pub table: String,
    /// `AUDIT_BUCKET`: the bucket of audit records.
    pub bucket: String,
    /// `AWS_REGION`, which ECS sets by itself.
    pub region: String,
    /// `PHASE`: the phase of the migration.
    pub phase: String,
    /// `BIND_ADDRESS` (all addresses) and `PORT` (8080); 0 takes a free one.
    pub address: SocketAddr,
}

/// What is wrong with the environment.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SettingsError {
    /// A variable is not set.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// A variable has a value that it cannot have.
    #[error("the environment variable {0} is `{1}`, which is not {2}")]
    Wrong(&'static str, String, &'static str),
}

impl Settings {
    /// The settings in the environment that `variable` reads.
    ///
    /// # Errors
    /// The first variable that is missing or wrong.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let need = |name: &'static str| get(name).ok_or(SettingsError::Missing(name));
        let port = get("PORT")
            .map_or(Ok(8080), |text| text.parse::<u16>().map_err(|_| SettingsError::Wrong("PORT", text, "a port")))?;
        let address = get("BIND_ADDRESS").map_or(Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), |text| {
            text.parse().map_err(|_| SettingsError::Wrong("BIND_ADDRESS", text, "an IP address"))
        })?;
        Ok(Self {
            table: need("PAYMENTS_TABLE")?,
            bucket: need("AUDIT_BUCKET")?,
            region: need("AWS_REGION")?,
            phase: need("PHASE")?,
            address: SocketAddr::new(address, port),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 4] =
        [("AUDIT_BUCKET", "b"), ("AWS_REGION", "us-east-1"), ("PAYMENTS_TABLE", "t"), ("PHASE", "migration")];

    fn read(with: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| {
            let found = with.iter().rev().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn says_which_variable_is_missing_or_wrong() {
        assert_eq!(read(&ALL).map(|settings| settings.address.to_string()), Ok("0.0.0.0:8080".to_owned()));
        for (name, _) in ALL {
            let error = read(&[&ALL[..], &[(name, "")]].concat()).map_err(|error| error.to_string());
            assert_eq!(error, Err(format!("the environment variable {name} is not set")));
        }
        for (name, value, says) in [("PORT", "http", "a port"), ("BIND_ADDRESS", "here", "an IP address")] {
            let error = read(&[&ALL[..], &[(name, value)]].concat()).map_err(|error| error.to_string());
            assert_eq!(error, Err(format!("the environment variable {name} is `{value}`, which is not {says}")));
        }
    }
}
