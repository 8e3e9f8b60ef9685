//! Determines the service and region of a request from its signature.

use hyper::{HeaderMap, Uri, header::AUTHORIZATION};

/// The credential scope of a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) access_key: String,
    pub(crate) region: String,
    /// The signing name, which can differ from the endpoint's name: `monitoring` is `CloudWatch`.
    pub(crate) service: String,
}

impl Scope {
    /// Reads the scope from the header, or from the query of a presigned URL.
    pub(crate) fn of(headers: &HeaderMap, uri: &Uri) -> Option<Self> {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let signed = header.and_then(|value| {
            let (_, rest) = value.split_once("Credential=")?;
            Self::parse(rest.split([',', ' ']).next()?)
        });
        signed.or_else(|| {
            let credential = query(uri.query()?, "X-Amz-Credential")?;
            Self::parse(&credential)
        })
    }

    /// `KEY/DATE/REGION/SERVICE/aws4_request`.
    fn parse(credential: &str) -> Option<Self> {
        let mut parts = credential.rsplit('/');
        (parts.next()? == "aws4_request").then_some(())?;
        let (service, region, _date) = (parts.next()?, parts.next()?, parts.next()?);
        let access_key = parts.next()?;
        Some(Self { access_key: access_key.to_owned(), region: region.to_owned(), service: service.to_owned() })
    }
}

/// Whether an unsigned request is for a function or API that is deployed in the account.
pub(crate) fn is_data_plane(headers: &HeaderMap, uri: &Uri) -> bool {
    let host = headers.get(hyper::header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    [".execute-api.", ".lambda-url."].iter().any(|part| host.contains(part))
        || uri.path().contains("/_user_request_")
        || uri.path().starts_with("/_aws/execute-api/")
        // The runtime API that functions poll.
        || uri.path().starts_with("/2018-06-01/runtime/")
}

/// The decoded value of a parameter of a query or a form.
pub(crate) fn query(text: &str, name: &str) -> Option<String> {
    pairs(text).find_map(|(key, value)| (key == name).then_some(value))
}

/// The decoded parameters of a query or a form.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value))
    })
}

/// Decodes percent encoding, and `+` as a space.
pub(crate) fn decode(text: &str) -> String {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        let escaped =
            (byte == b'%').then(|| Some(hex(*bytes.get(index + 1)?)? * 16 + hex(*bytes.get(index + 2)?)?)).flatten();
        index += if escaped.is_some() { 3 } else { 1 };
        decoded.push(escaped.unwrap_or(if byte == b'+' { b' ' } else { byte }));
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn scope_from_header_and_from_query() {
        let scope = Scope { access_key: "test".into(), region: "us-east-2".into(), service: "ec2".into() };
        let mut headers = HeaderMap::new();
        let value =
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-2/ec2/aws4_request, SignedHeaders=host, Signature=0";
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        assert_eq!(Scope::of(&headers, &"/".parse().unwrap()), Some(scope.clone()));

        let uri = "/?X-Amz-Credential=test%2F20260101%2Fus-east-2%2Fec2%2Faws4_request".parse().unwrap();
        assert_eq!(Scope::of(&HeaderMap::new(), &uri), Some(scope));
        assert_eq!(Scope::of(&HeaderMap::new(), &"/bucket/key".parse().unwrap()), None);
    }

    #[test]
    fn decoding() {
        assert_eq!(decode("a%3Ab+c%2"), "a:b c%2");
        assert_eq!(query("Action=CreateVpc&Tag.1.Value=%C3%A9", "Tag.1.Value").as_deref(), Some("é"));
    }
}
