//! The epoch of the next holder of a lock.

use payinfra_engine::{COUNT_MAX, Error, Result};

/// The epoch of the next holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) epoch: u64,
    /// The lock's last epoch, if it is lower than the state's.
    pub(crate) lifted_from: Option<u64>,
}

/// The epoch after `last`, the last one of the lock at `place`, and at least `floor`.
pub(crate) fn next_epoch(last: u64, floor: u64, place: &str) -> Result<Next> {
    let after = last.saturating_add(1);
    if after > COUNT_MAX {
        let message = format!("the lock in {place} has the invalid epoch {last}: it is damaged or was tampered with");
        return Err(Error::invalid(message).hint("delete it; the lock then continues from the epoch of the state"));
    }
    if floor > COUNT_MAX {
        let message = format!("the state leads to the invalid epoch {floor}: it is damaged or was tampered with");
        return Err(Error::invalid(message).hint("restore an earlier version of the state"));
    }
    Ok(Next { epoch: after.max(floor), lifted_from: (after < floor).then_some(last) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_is_never_below_the_floor() -> Result<()> {
        for (last, floor, epoch, lifted_from) in [
            (0, 0, 1, None),
            (0, 1, 1, None),
            (3, 0, 4, None),
            (3, 4, 4, None),
            (9, 4, 10, None),
            (3, 8, 8, Some(3)),
            (0, 2, 2, Some(0)),
            (COUNT_MAX - 1, COUNT_MAX, COUNT_MAX, None),
        ] {
            assert_eq!(next_epoch(last, floor, "it")?, Next { epoch, lifted_from }, "{last} {floor}");
        }
        for (last, floor) in [(COUNT_MAX, 0), (u64::MAX, 0), (0, COUNT_MAX + 1), (0, u64::MAX)] {
            let error = next_epoch(last, floor, "it").err();
            assert!(
                error.is_some_and(|error| error.message().contains("damaged or was tampered with")),
                "{last} {floor}"
            );
        }
        Ok(())
    }
}
