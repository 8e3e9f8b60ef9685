//! Daily windows of databases.

use payinfra_engine::{Error, Result};

/// Checks that `text` is a window of at least half an hour, such as `03:00-04:00`.
pub(crate) fn window(text: &str) -> Result<()> {
    let minutes = |time: &str| {
        let (hours, minutes) = time.split_once(':')?;
        let number = |text: &str| if text.len() == 2 { text.parse::<u32>().ok() } else { None };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
    };
    let ends = text.split_once('-').and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)));
    if ends.is_some_and(|(from, to)| (to + 1_440 - from) % 1_440 >= 30) {
        return Ok(());
    }
    Err(Error::invalid(format!("`{text}` is not a backup window"))
        .hint("write two times in UTC, at least 30 minutes apart, such as 03:00-04:00"))
}
