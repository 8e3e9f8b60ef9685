//! The endpoint that calls are sent to.

use std::net::IpAddr;

/// Whether `endpoint` is on this machine, so that calls go to an emulated AWS.
#[must_use]
pub fn is_local(endpoint: &str) -> bool {
    let Ok(endpoint) = endpoint.parse::<http::Uri>() else { return false };
    let (Some(_), Some(host)) = (endpoint.scheme(), endpoint.host()) else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_endpoint_on_this_machine_is_local() {
        let local = ["http://127.0.0.1:4566", "http://localhost:4566/", "http://[::1]:4566", "http://aws.localhost"];
        for endpoint in local {
            assert!(is_local(endpoint), "{endpoint}");
        }
        let elsewhere = [
            "https://ec2.us-east-1.amazonaws.com",
            "https://vpce-1.ec2.us-east-1.vpce.amazonaws.com",
            "http://localhost.example.com",
            "http://127.0.0.1@example.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1:4566",
            "localhost",
            "",
        ];
        for endpoint in elsewhere {
            assert!(!is_local(endpoint), "{endpoint}");
        }
    }
}
