//! Responses of the emulators, and errors in the form of each protocol.

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::action::{Protocol, Request};

/// A response to the client.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A JSON response of the gateway itself.
    pub(crate) fn json(status: StatusCode, value: &Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
        Self { status, headers, body: body.into() }
    }

    /// AWS's error code, if the response is an error.
    pub(crate) fn error_code(&self) -> Option<String> {
        if self.status.as_u16() < 400 {
            return None;
        }
        let header = self.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = String::from_utf8_lossy(&self.body);
        let xml = || Some(text.split_once("<Code>")?.1.split_once("</Code>")?.0.to_owned());
        let json = || {
            let body: Value = serde_json::from_slice(&self.body).ok()?;
            ["__type", "code", "Code"].iter().find_map(|key| body.get(key)?.as_str().map(str::to_owned))
        };
        // In `com.amazonaws.dynamodb#ResourceNotFoundException:http://…`, the code is in the middle.
        let code = header.or_else(xml).or_else(json)?;
        let code = code.split(':').next().unwrap_or_default();
        Some(code.rsplit('#').next().unwrap_or_default().to_owned())
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    pub(crate) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// An error as AWS returns it, in the protocol of a request.
pub(crate) fn error(request: &Request, status: u16, code: &str, message: &str) -> Answer {
    let status_code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let escaped = crate::xml::escape(message);
    let kind = if status < 500 { "Sender" } else { "Receiver" };
    let id = "00000000-0000-0000-0000-000000000000";
    let mut answer = match request.protocol {
        Protocol::Ec2 => Answer::new(
            status_code,
            "text/xml",
            format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>{escaped}</Message></Error></Errors><RequestID>{id}</RequestID></Response>"
            ),
        ),
        Protocol::Query | Protocol::RestXml => Answer::new(
            status_code,
            "text/xml",
            format!(
                "<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{escaped}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
            ),
        ),
        Protocol::S3 if request.method == hyper::Method::HEAD => Answer::new(status_code, "application/xml", ""),
        Protocol::S3 => Answer::new(
            status_code,
            "application/xml",
            format!("<Error><Code>{code}</Code><Message>{escaped}</Message><RequestId>{id}</RequestId></Error>"),
        ),
        Protocol::Json => Answer::new(
            status_code,
            "application/x-amz-json-1.1",
            json!({ "__type": code, "message": message, "Message": message }).to_string(),
        ),
        Protocol::RestJson => {
            Answer::new(status_code, "application/json", json!({ "message": message, "Message": message }).to_string())
        }
        Protocol::Cbor => Answer::new(status_code, "application/cbor", cbor(&[("__type", code), ("message", message)])),
    };
    let mut header = |name: &'static str, value: &str| {
        if let Ok(value) = value.parse() {
            answer.headers.insert(name, value);
        }
    };
    header("x-amzn-requestid", id);
    match request.protocol {
        Protocol::RestJson | Protocol::Json => header("x-amzn-errortype", code),
        Protocol::Cbor => header("smithy-protocol", "rpc-v2-cbor"),
        _ => {}
    }
    answer
}

/// The service's throttling error.
pub(crate) fn throttled(request: &Request) -> Answer {
    let (status, code, message) = match request.scope.service.as_str() {
        "ec2" => (503, "RequestLimitExceeded", "Request limit exceeded."),
        "s3" => (503, "SlowDown", "Please reduce your request rate."),
        "iam" | "sts" | "rds" | "route53" | "elasticloadbalancing" | "monitoring" => {
            (400, "Throttling", "Rate exceeded")
        }
        "lambda" | "apigateway" => (429, "TooManyRequestsException", "Rate exceeded"),
        "tagging" => (400, "ThrottledException", "Rate exceeded"),
        "sns" => (429, "Throttled", "Rate exceeded"),
        _ => (400, "ThrottlingException", "Rate exceeded"),
    };
    error(request, status, code, message)
}

/// The service's error for expired temporary credentials.
pub(crate) fn expired(request: &Request) -> Answer {
    let message = "The security token included in the request is expired";
    let (status, code, message) = match request.protocol {
        Protocol::Ec2 => (400, "RequestExpired", "Request has expired."),
        Protocol::S3 => (400, "ExpiredToken", "The provided token has expired."),
        Protocol::Query | Protocol::RestXml => (403, "ExpiredToken", message),
        Protocol::Json => (400, "ExpiredTokenException", message),
        Protocol::RestJson | Protocol::Cbor => (403, "ExpiredTokenException", message),
    };
    error(request, status, code, message)
}

/// The service's error for a call without permission.
pub(crate) fn denied(request: &Request, action: &str) -> Answer {
    let message = format!("The role is not authorized to perform: {action}");
    error(request, 403, failure(request, 403), &message)
}

/// The service's error for a failure.
pub(crate) fn failed(request: &Request, status: u16) -> Answer {
    let message = if status == 403 { "Access denied (injected)" } else { "An internal error has occurred (injected)" };
    error(request, status, failure(request, status), message)
}

/// The service's code for a failure.
fn failure(request: &Request, status: u16) -> &'static str {
    match (request.protocol, status) {
        (Protocol::Ec2, 503) => "Unavailable",
        (Protocol::Ec2 | Protocol::S3, 500) => "InternalError",
        (Protocol::Json, 500) if request.scope.service == "dynamodb" => "InternalServerError",
        (_, 503) => "ServiceUnavailable",
        (Protocol::Ec2, 403) => "UnauthorizedOperation",
        (Protocol::Json, 403) => "AccessDeniedException",
        (_, 403) => "AccessDenied",
        _ => "InternalFailure",
    }
}

/// A CBOR map of short strings.
fn cbor(entries: &[(&str, &str)]) -> Vec<u8> {
    let head = |major: u8, length: usize| match u16::try_from(length).unwrap_or(u16::MAX) {
        short @ 0..24 => vec![(major << 5) | short.to_be_bytes()[1]],
        long => [vec![(major << 5) | 0x19], long.to_be_bytes().to_vec()].concat(),
    };
    let text = |text: &str| [head(3, text.len()), text.as_bytes().to_vec()].concat();
    let pairs = entries.iter().flat_map(|(key, value)| [text(key), text(value)].concat());
    head(5, entries.len()).into_iter().chain(pairs).collect()
}
