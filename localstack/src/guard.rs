//! Accepts requests only from programs on this machine, and not from web pages in its browsers.
//!
//! Requests from a browser arrive at 127.0.0.1 as well. A page whose own domain resolves to 127.0.0.1 (DNS rebinding)
//! sends that domain in `Host`. Other pages send their origin in `Origin` or, where they cannot read the response, as
//! for images, in `Sec-Fetch-Site`.

use std::{fs::File, hint::black_box, io::Read, net::IpAddr};

use hyper::{
    HeaderMap, Uri,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, HOST, HeaderName, HeaderValue, ORIGIN},
};

use crate::error::{Error, Result};

/// The header with the token of the control API.
pub(crate) const TOKEN: &str = "x-payinfra-token";

/// The header that shows an emulator that a request comes from the gateway.
pub(crate) const GATEWAY: &str = "x-payinfra-gateway";

/// Secrets of this process.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// The token of the control API.
    pub(crate) owner: String,
    /// The secret for the emulators, which accept requests only from the gateway. `LocalStack` accepts all requests.
    pub(crate) servers: String,
}

impl Secrets {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { owner: secret()?, servers: secret()? })
    }
}

/// A new secret: 32 random bytes from the operating system, in hexadecimal.
fn secret() -> Result<String> {
    const SOURCE: &str = "/dev/urandom";
    let mut bytes = [0_u8; 32];
    File::open(SOURCE).and_then(|mut file| file.read_exact(&mut bytes)).map_err(Error::file(SOURCE))?;
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    Ok(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
}

/// Whether a request has the token; compares in constant time.
pub(crate) fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(TOKEN).map(HeaderValue::as_bytes).unwrap_or_default();
    let differences = given.iter().zip(token.as_bytes()).fold(0, |bits, (one, other)| black_box(bits | (one ^ other)));
    given.len() == token.len() && differences == 0
}

/// The reason to reject a request, if any.
pub(crate) fn refusal(uri: &Uri, headers: &HeaderMap, origins: &[String]) -> Option<String> {
    let text = |name: HeaderName| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    let mut hosts = text(HOST).chain(uri.authority().map(hyper::http::uri::Authority::as_str)).peekable();
    if hosts.peek().is_none() {
        return Some("Requests without Host are rejected".to_owned());
    }
    if let Some(host) = hosts.find(|host| !is_loopback(host)) {
        return Some(format!("{host:?} is not a loopback name of this machine; use 127.0.0.1 or localhost"));
    }
    let mut from = text(ORIGIN).peekable();
    if from.peek().is_none() {
        let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
        return site
            .filter(|site| !["none", "same-origin"].contains(site))
            .map(|_| "Requests from web pages are rejected".to_owned());
    }
    from.find(|origin| !origins.iter().any(|allowed| allowed == origin)).map(|origin| {
        format!("Requests from the web page {origin:?} are rejected; allow them with `cargo local up --allow-origin`")
    })
}

/// Whether a host, with or without a port, is a loopback name or address.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Removes headers from a response that allow any page to read it, unless the requesting page is allowed.
pub(crate) fn restrict(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    if let Some(origin) = origin {
        // Only allowed pages get here. If the emulator allows all pages, allow this one.
        if headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).is_some_and(|allowed| allowed == "*") {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        return;
    }
    let names = headers.keys().filter(|name| name.as_str().starts_with("access-control-"));
    for name in names.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:4566",
            "127.8.8.8:1",
            "localhost",
            "LOCALHOST:4566",
            "api.localhost:4566",
            "[::1]:4566",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:4566",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "notlocalhost",
            "0.0.0.0:4566",
            "192.168.0.1",
            "[::]:4566",
            "[::1",
            "host.docker.internal:4566",
            "127.1:4566",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn tokens() {
        let token = secret().unwrap();
        assert_eq!(token.len(), 64);
        assert_ne!(token, secret().unwrap());
        let with = |given: &str| HeaderMap::from_iter([(HeaderName::from_static(TOKEN), given.parse().unwrap())]);
        assert!(has_token(&with(&token), &token));
        assert!(!has_token(&HeaderMap::new(), &token));
        for wrong in ["", &token[1..], &format!("{token}0"), &secret().unwrap()] {
            assert!(!has_token(&with(wrong), &token), "{wrong}");
        }
    }
}
