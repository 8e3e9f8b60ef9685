//! The settings from the environment.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use payment_aws::regions;
use thiserror::Error;

/// The settings of the service, which the ECS task definition sets in the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `PAYMENTS_TABLE`: the table of payments.
    pub table: String,
    /// `PENDING_INDEX`: the table's index of payments without an audit record. Without it, sweeps scan the table.
    pub index: Option<String>,
    /// `AUDIT_BUCKET`: the bucket of audit records; `REGIONS`: the bucket of each region, as in
    /// `us-east-1=a,us-east-2=b`. Each transaction id belongs to one of these regions, so every task must have the same
    /// list.
    pub buckets: BTreeMap<String, String>,
    /// `AWS_REGION`, which ECS sets.
    pub region: String,
    /// `PHASE`: the phase of the migration.
    pub phase: String,
    /// `AUTH`, `API_KEYS` and `API_KEYS_SECRET`: the authentication.
    pub auth: Auth,
    /// `TLS` and `TLS_SECRET`: the encryption.
    pub tls: Tls,
    /// `BIND_ADDRESS` (default: all addresses) and `PORT` (default: 8080; 0 is any free port).
    pub address: SocketAddr,
}

/// The authentication of callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `AUTH=none`: unauthenticated access.
    None,
    /// `API_KEYS`: API keys whose hashes are in this document.
    Keys(String),
    /// `API_KEYS_SECRET`: API keys whose hashes are in the secret with this ARN or name.
    Secret(String),
}

/// The encryption of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// `TLS=none`: no encryption.
    None,
    /// Not set: TLS with a certificate that is generated at startup.
    SelfSigned,
    /// `TLS_SECRET`: TLS with the certificate in the secret with this ARN or name.
    Secret(String),
}

/// An error in the environment variables.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SettingsError {
    /// A variable is not set.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// A variable has an invalid value.
    #[error("the environment variable {0} is `{1}`, which is not {2}")]
    Wrong(&'static str, String, &'static str),
    /// The authentication is not set, or set twice. Unauthenticated access must be explicit.
    #[error("set exactly one of the environment variables API_KEYS, API_KEYS_SECRET and AUTH=none")]
    Auth,
    /// Both no encryption and a certificate are set.
    #[error("set only one of the environment variables TLS=none and TLS_SECRET")]
    Tls,
}

impl Settings {
    /// Reads the settings through `variable`.
    ///
    /// # Errors
    /// The first variable that is missing or invalid.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let need = |name: &'static str| get(name).ok_or(SettingsError::Missing(name));
        let port = get("PORT")
            .map_or(Ok(8080), |text| text.parse::<u16>().map_err(|_| SettingsError::Wrong("PORT", text, "a port")))?;
        let address = get("BIND_ADDRESS").map_or(Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), |text| {
            text.parse().map_err(|_| SettingsError::Wrong("BIND_ADDRESS", text, "an IP address"))
        })?;
        let table = need("PAYMENTS_TABLE")?;
        let (bucket, region) = (need("AUDIT_BUCKET")?, need("AWS_REGION")?);
        let own = BTreeMap::from([(region.clone(), bucket)]);
        let buckets = match get("REGIONS") {
            None => own,
            Some(text) => match regions(&text) {
                Some(all) if own.iter().all(|(region, bucket)| all.get(region) == Some(bucket)) => all,
                _ => {
                    return Err(SettingsError::Wrong(
                        "REGIONS",
                        text,
                        "a list of REGION=BUCKET that includes this region",
                    ));
                }
            },
        };
        let none = |name: &'static str| match get(name) {
            Some(text) if text != "none" => Err(SettingsError::Wrong(name, text, "`none`")),
            found => Ok(found.is_some()),
        };
        let auth = match (none("AUTH")?, get("API_KEYS"), get("API_KEYS_SECRET")) {
            (true, None, None) => Auth::None,
            (false, Some(keys), None) => Auth::Keys(keys),
            (false, None, Some(secret)) => Auth::Secret(secret),
            _ => return Err(SettingsError::Auth),
        };
        let tls = match (none("TLS")?, get("TLS_SECRET")) {
            (true, None) => Tls::None,
            (false, None) => Tls::SelfSigned,
            (false, Some(secret)) => Tls::Secret(secret),
            (true, Some(_)) => return Err(SettingsError::Tls),
        };
        Ok(Self {
            table,
            auth,
            tls,
            index: get("PENDING_INDEX"),
            buckets,
            region,
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

    #[test]
    fn says_who_may_use_the_service_and_never_by_chance_anyone() {
        let auth = |with: &[(&str, &str)]| read_all(&[&ALL[..], with].concat()).map(|settings| settings.auth);
        assert_eq!(auth(&[("AUTH", "none")]), Ok(Auth::None));
        assert_eq!(auth(&[("API_KEYS", "k")]), Ok(Auth::Keys("k".to_owned())));
        assert_eq!(auth(&[("API_KEYS_SECRET", "s")]), Ok(Auth::Secret("s".to_owned())));
        for wrong in [&[][..], &[("AUTH", "none"), ("API_KEYS", "k")], &[("API_KEYS", "k"), ("API_KEYS_SECRET", "s")]] {
            assert_eq!(auth(wrong), Err(SettingsError::Auth), "{wrong:?}");
        }
        assert_eq!(auth(&[("AUTH", "off")]), Err(SettingsError::Wrong("AUTH", "off".to_owned(), "`none`")));
        let tls = |with: &[(&str, &str)]| read(&[&ALL[..], with].concat()).map(|settings| settings.tls);
        assert_eq!(tls(&[]), Ok(Tls::SelfSigned));
        assert_eq!(tls(&[("TLS", "none")]), Ok(Tls::None));
        assert_eq!(tls(&[("TLS_SECRET", "s")]), Ok(Tls::Secret("s".to_owned())));
        assert_eq!(tls(&[("TLS", "none"), ("TLS_SECRET", "s")]), Err(SettingsError::Tls));
    }

    /// Settings with unauthenticated access.
    fn read(with: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        read_all(&[with, &[("AUTH", "none")]].concat())
    }

    fn read_all(with: &[(&str, &str)]) -> Result<Settings, SettingsError> {
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
        let lists = "a list of REGION=BUCKET that includes this region";
        let two = read(&[&ALL[..], &[("REGIONS", "us-east-2=c,us-east-1=b")]].concat());
        assert_eq!(
            two.map(|settings| settings.buckets.into_values().collect::<Vec<_>>()),
            Ok(vec!["b".into(), "c".into()])
        );
        for wrong in
            ["us-east-2=c", "us-east-1=c", "us-east-1", "us-east-1=b,", "us-east-1=b,us-east-1=b", "us-east-1="]
        {
            let error = read(&[&ALL[..], &[("REGIONS", wrong)]].concat());
            assert_eq!(error, Err(SettingsError::Wrong("REGIONS", wrong.to_owned(), lists)));
        }
        for (name, value, says) in [("PORT", "http", "a port"), ("BIND_ADDRESS", "here", "an IP address")] {
            let error = read(&[&ALL[..], &[(name, value)]].concat()).map_err(|error| error.to_string());
            assert_eq!(error, Err(format!("the environment variable {name} is `{value}`, which is not {says}")));
        }
    }
}
