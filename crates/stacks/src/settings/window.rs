//! Daily windows of databases.

use payinfra_engine::{Error, Result};

const MINUTES_OF_A_DAY: u32 = 24 * 60;

/// Checks that `text` is a window of at least half an hour in UTC, such as `03:00-04:00`.
pub(crate) fn window(text: &str) -> Result<()> {
    let minute = |time: &str| {
        let (hours, minutes) = time.split_once(':').filter(|_| time.len() == 5)?;
        let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
    };
    let times = text.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
    let Some((from, to)) = times else {
        return Err(Error::invalid(format!("`{text}` is not a daily window"))
            .hint("write start and end in UTC, such as 03:00-04:00"));
    };
    if (to + MINUTES_OF_A_DAY - from) % MINUTES_OF_A_DAY < 30 {
        return Err(
            Error::invalid(format!("the window {text} is too short")).hint("RDS requires at least half an hour")
        );
    }
    Ok(())
}
