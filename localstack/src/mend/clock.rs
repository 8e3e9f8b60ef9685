//! Checks the time of signatures: AWS rejects a request whose signature time differs from its own, but no emulator does.

use std::sync::atomic::{AtomicI64, Ordering};

use hyper::header::{DATE, HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp, civil::DateTime, fmt::rfc2822::DateTimePrinter, tz::TimeZone};

use crate::{
    action::{Protocol, Request},
    answer::{self, Answer},
};

/// AWS's clock, as a difference from this machine's.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// In seconds.
    ahead: AtomicI64,
}

/// The maximum difference between the time of a signature and AWS's time, in S3 and elsewhere.
const TOLERANCES: (SignedDuration, SignedDuration) = (SignedDuration::from_mins(15), SignedDuration::from_mins(5));

impl Clock {
    /// From now on, it is this many seconds ahead of this machine's clock; behind it, if the number is negative.
    pub(crate) fn set(&self, ahead: i64) {
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed))).unwrap_or(now)
    }

    /// Rejects a request whose signature time is out of range.
    pub(crate) fn refuse(&self, request: &Request) -> Option<Answer> {
        // A presigned URL contains its own expiration time.
        let signed = DateTime::strptime("%Y%m%dT%H%M%SZ", request.header("x-amz-date")?).ok()?;
        let signed = signed.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let now = self.now();
        let off = signed.duration_since(now);
        let tolerance = if request.protocol == Protocol::S3 { TOLERANCES.0 } else { TOLERANCES.1 };
        if off.abs() <= tolerance {
            return None;
        }
        let compact = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
        let (signed, minutes, now) = (compact(signed), tolerance.as_mins(), now);
        let message = if off.is_positive() {
            let latest = compact(now + tolerance);
            format!(
                "Signature not yet current: {signed} is still later than {latest} ({} + {minutes} min.)",
                compact(now)
            )
        } else {
            let earliest = compact(now - tolerance);
            format!("Signature expired: {signed} is now earlier than {earliest} ({} - {minutes} min.)", compact(now))
        };
        let (status, code, message) = match request.protocol {
            Protocol::S3 => {
                let message = "The difference between the request time and the current time is too large.";
                (403, "RequestTimeTooSkewed", message)
            }
            Protocol::Ec2 => (400, "RequestExpired", "Request has expired."),
            Protocol::Query | Protocol::RestXml => (403, "SignatureDoesNotMatch", &*message),
            Protocol::Json | Protocol::RestJson | Protocol::Cbor => (403, "InvalidSignatureException", &*message),
        };
        Some(answer::error(request, status, code, message))
    }

    /// Adds the time to a response.
    pub(crate) fn stamp(&self, headers: &mut HeaderMap) {
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&self.now());
        if let Some(date) = date.ok().and_then(|date| HeaderValue::try_from(date).ok()) {
            headers.insert(DATE, date);
        }
    }
}
