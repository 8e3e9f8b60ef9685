//! Questions to public DNS.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use payinfra_engine::{Error, Result};

use crate::route53::DnsName;

/// The variable with the address and port of the DNS server to ask, whatever the configuration says.
const RESOLVER: &str = "PAYINFRA_RESOLVER";

/// How long to wait for an answer, and how often to ask.
const TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;

/// The DNS server that the environment names.
///
/// # Errors
/// If it is not an address with a port.
pub(crate) fn by_environment() -> Result<Option<SocketAddr>> {
    std::env::var(RESOLVER).ok().filter(|text| !text.is_empty()).map(|text| parse(&text)).transpose()
}

fn parse(text: &str) -> Result<SocketAddr> {
    text.parse().map_err(|_| {
        Error::invalid(format!("`{text}` in {RESOLVER} is not an address with a port"))
            .hint("write the address of a DNS server, such as 1.1.1.1:53")
    })
}

/// The name servers of the zone `name` as public DNS finds them, asked at `resolver` or else at the system's; none if
/// there is no such zone.
///
/// # Errors
/// If the DNS server does not answer, or with an error.
pub(crate) async fn name_servers(name: &DnsName, resolver: Option<SocketAddr>) -> Result<BTreeSet<DnsName>> {
    let asked = resolver.map_or_else(|| "the system's DNS server".to_owned(), |address| format!("{address}"));
    let failed = |error: hickory_resolver::net::NetError| {
        Error::failed(format!("{asked} did not say which name servers `{name}` has: {error}")).source(error)
    };
    let mut builder = match resolver {
        Some(address) => TokioResolver::builder_with_config(only(address), TokioRuntimeProvider::default()),
        None => TokioResolver::builder_tokio().map_err(failed)?,
    };
    let options = builder.options_mut();
    (options.timeout, options.attempts) = (TIMEOUT, ATTEMPTS);
    let found = builder.build().map_err(failed)?.ns_lookup(format!("{name}.")).await;
    match found {
        Ok(found) => Ok(found
            .answers()
            .iter()
            .filter(|record| DnsName::new(&record.name.to_string()) == *name)
            .filter_map(|record| match &record.data {
                RData::NS(server) => Some(DnsName::new(&server.0.to_string())),
                _ => None,
            })
            .collect()),
        Err(error) if error.is_no_records_found() => Ok(BTreeSet::new()),
        Err(error) => Err(failed(error)),
    }
}

/// Asks only this DNS server.
fn only(address: SocketAddr) -> ResolverConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    ResolverConfig::from_name_servers(vec![server])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_has_a_port() {
        assert_eq!(parse("[::1]:53").ok(), Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 53))));
        for text in ["1.1.1.1", "dns.google:53", "53"] {
            let told = parse(text).err().map(|error| error.message().to_owned());
            assert_eq!(told, Some(format!("`{text}` in PAYINFRA_RESOLVER is not an address with a port")));
        }
    }

    /// A server that is not there is an error, not a zone without a delegation.
    #[tokio::test]
    async fn a_server_that_does_not_answer_is_an_error() {
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).ok();
        let found = name_servers(&DnsName::new("payments.test"), closed).await;
        let told = found.err().map(|error| error.message().to_owned()).unwrap_or_default();
        assert!(told.contains("did not say which name servers `payments.test` has"), "{told}");
    }
}
