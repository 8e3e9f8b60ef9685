//! Whom the gateway answers: programs on this machine, and no web page that a browser on it shows.
//!
//! Anything that a browser can be made to send arrives at 127.0.0.1 as well. A page with a name of its own that is
//! resolved to 127.0.0.1 (DNS rebinding) sends its name in `Host`; other pages send theirs in `Origin`, or where they
//! are not allowed to read the answer, such as for images, `Sec-Fetch-Site`.

use std::{fs::File, hint::black_box, io::Read, net::IpAddr};

use hyper::{
    HeaderMap, Uri,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, HOST, HeaderName, HeaderValue, ORIGIN},
};

use crate::error::{Error, Result};

/// The header that carries the token of the gateway's own interface.
pub(crate) const TOKEN: &str = "x-payinfra-token";

/// The header that shows an emulator that a request comes from the gateway.
pub(crate) const GATEWAY: &str = "x-payinfra-gateway";

/// What only some may know.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// For whoever controls the gateway.
    pub(crate) owner: String,
    /// For the emulators, which answer the gateway only. `LocalStack` answers everybody.
    pub(crate) servers: String,
}

impl Secrets {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { owner: secret()?, servers: secret()? })
    }
}

/// A secret of this process: 32 bytes from the system's generator, in hexadecimal.
fn secret() -> Result<String> {
    const SOURCE: &str = "/dev/urandom";
    let mut bytes = [0_u8; 32];
    File::open(SOURCE).and_then(|mut file| file.read_exact(&mut bytes)).map_err(Error::file(SOURCE))?;
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    Ok(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
}

/// Whether a request carries the token, in a time that does not depend on how much of it is right.
pub(crate) fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(TOKEN).map(HeaderValue::as_bytes).unwrap_or_default();
    let differences = given.iter().zip(token.as_bytes()).fold(0, |bits, (one, other)| black_box(bits | (one ^ other)));
    given.len() == token.len() && differences == 0
}

/// Why a request is refused, if it is.
pub(crate) fn refusal(uri: &Uri, headers: &HeaderMap, origins: &[String]) -> Option<String> {
    let text = |name: HeaderName| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    let mut hosts = text(HOST).chain(uri.authority().map(hyper::http::uri::Authority::as_str)).peekable();
    if hosts.peek().is_none() {
        return Some("A request without Host is not answered".to_owned());
    }
    if let Some(host) = hosts.find(|host| !is_loopback(host)) {
        return Some(format!("{host:?} is not a name of this machine's own: use 127.0.0.1 or localhost"));
    }
    let mut from = text(ORIGIN).peekable();
    if from.peek().is_none() {
        let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
        return site
            .filter(|site| !["none", "same-origin"].contains(site))
            .map(|_| "Requests of web pages are not answered".to_owned());
    }
    from.find(|origin| !origins.iter().any(|allowed| allowed == origin)).map(|origin| {
        format!("Requests of the web page {origin:?} are not answered: `cargo local up --allow-origin` allows them")
    })
}

/// Whether a host, with or without a port, is this machine's loopback by its form.
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

/// Takes from an answer that any page may read it, unless the page that asked may.
pub(crate) fn restrict(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    if let Some(origin) = origin {
        // Only allowed ones come so far. What the emulator allows everybody, it allows this one.
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
