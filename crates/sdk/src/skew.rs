//! How far this machine's clock is off.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// The difference of this machine's clock from AWS's: "61 minutes ahead of".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// It is ahead of AWS's clock.
    Ahead(Duration),
    /// It is behind AWS's clock.
    Behind(Duration),
}

impl Skew {
    /// From the time in a response of AWS that arrived at `now`; `None` if it has none.
    #[must_use]
    pub fn of(answer: &HttpResponse, now: SystemTime) -> Option<Self> {
        let date = DateTime::from_str(answer.headers().get("date")?, Format::HttpDate).ok()?;
        let theirs = SystemTime::try_from(date).ok()?;
        Some(match now.duration_since(theirs) {
            Ok(ahead) => Self::Ahead(ahead),
            Err(behind) => Self::Behind(behind.duration()),
        })
    }

    /// The absolute difference.
    #[must_use]
    pub const fn size(self) -> Duration {
        match self {
            Self::Ahead(size) | Self::Behind(size) => size,
        }
    }

    /// AWS's time when this machine's clock shows `time`.
    #[must_use]
    pub fn correct(self, time: SystemTime) -> SystemTime {
        let corrected = match self {
            Self::Ahead(size) => time.checked_sub(size),
            Self::Behind(size) => time.checked_add(size),
        };
        corrected.unwrap_or(time)
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if matches!(self, Self::Ahead(_)) { "ahead of" } else { "behind" };
        write!(f, "{} minutes {side}", self.size().as_secs() / 60)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    #[test]
    fn a_clock_is_set_right_by_an_answer() {
        let mut answer = HttpResponse::new(403.try_into().unwrap(), SdkBody::empty());
        let epoch = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(Skew::of(&answer, epoch(0)), None, "it has no time");
        answer.headers_mut().insert("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let theirs = epoch(784_111_777);
        for (ours, text) in
            [(theirs + Duration::from_mins(61), "61 minutes ahead of"), (epoch(784_108_177), "60 minutes behind")]
        {
            let skew = Skew::of(&answer, ours).unwrap();
            assert_eq!(skew.correct(ours), theirs);
            assert_eq!(skew.to_string(), text);
        }
    }
}
