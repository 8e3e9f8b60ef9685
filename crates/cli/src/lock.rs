//! Acquires and releases the lock, and describes this process as its holder.

use std::time::Duration;

use payinfra_engine::{Class, Holder, Lease, Result};
use payinfra_state::Backing;

use crate::{program, screen};

/// How long to wait for the lock before telling the user.
const SILENCE: Duration = Duration::from_secs(2);

/// Acquires the lock for `command`. Its epoch is greater than `epoch`, the state's, even if the lock record is new.
pub(crate) async fn acquire(backing: &Backing, command: &str, epoch: u64) -> Result<Box<dyn Lease>> {
    let holder = holder(command);
    let mut acquiring = backing.lock.acquire(&holder, epoch.saturating_add(1));
    let taken = if let Ok(taken) = tokio::time::timeout(SILENCE, &mut acquiring).await {
        taken
    } else {
        screen::note("The lock is held. Checking whether its holder is still alive …");
        acquiring.await
    };
    let lease = taken?;
    if let Some(known) = lease.lifted_from() {
        screen::note(&lifted(known, epoch, lease.epoch()));
    }
    Ok(lease)
}

/// The note that the lock's epoch was older than the state's.
fn lifted(known: u64, state: u64, now: u64) -> String {
    format!(
        "The lock was recreated, or restored from a backup: its epoch was {known}, and the state's is {state}. It \
         continues with epoch {now}."
    )
}

/// Releases the lock; a failure is reported, but does not fail the command.
pub(crate) async fn release(lease: Box<dyn Lease>) {
    match lease.release().await {
        // Another process has taken the lock. That error has been reported, and there is nothing left to release.
        Err(error) if !error.is(Class::Locked) => {
            screen::note(&format!("The lock could not be released; its lease expires on its own: {error}"));
        }
        _ => {}
    }
}

/// This process as the holder of the lock, for those who wait for it.
fn holder(command: &str) -> Holder {
    Holder {
        who: who(),
        pid: std::process::id(),
        command: format!("{} {command}", program::name()),
        since: now(),
        nonce: uuid::Uuid::new_v4().to_string(),
    }
}

/// User and host.
pub(crate) fn who() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| {
        let output = std::process::Command::new("hostname").output().ok()?;
        String::from_utf8(output.stdout).ok()
    });
    let host = host.as_deref().map(str::trim).filter(|host| !host.is_empty());
    format!("{}@{}", user.as_deref().unwrap_or("unknown"), host.unwrap_or("unknown"))
}

/// The time, RFC 3339, to the second.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_that_knows_less_than_the_state_continues_from_it() -> Result<()> {
        let folder = tempfile::tempdir().map_err(|error| payinfra_engine::Error::failed(error.to_string()))?;
        let backend = payinfra_state::Backend::File { path: folder.path().to_owned() };
        let config = aws_config::SdkConfig::builder().build();
        let backing = payinfra_state::open(&backend, &config, "123456789012", "stack", "one")?;
        let lease = acquire(&backing, "apply", 7).await?;
        assert_eq!((lease.lifted_from(), lease.epoch()), (Some(0), 8));
        assert_eq!(
            lifted(3, 7, 8),
            "The lock was recreated, or restored from a backup: its epoch was 3, and the state's is 7. It continues with \
             epoch 8."
        );
        Ok(())
    }
}
