//! Two real processes and one lock: the other one is killed or stopped.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use payinfra_engine::{Class, Lock};
use payinfra_state::{DynamoLock, FileLock};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{LEASE, TABLE, aws, config_at, fails, holder, name, soon};

/// A folder or an endpoint, for the other process.
const PLACE: &str = "PAYINFRA_TEST_PLACE";
const WORKSPACE: &str = "PAYINFRA_TEST_WORKSPACE";
/// The file to which the other process writes the results of its checks.
const DIARY: &str = "PAYINFRA_TEST_DIARY";

fn lock(place: &str, workspace: &str) -> Box<dyn Lock> {
    if place.starts_with("http:") {
        let config = config_at(place, "test");
        Box::new(DynamoLock::new(&config, TABLE, "stack", workspace).with_lease(LEASE))
    } else {
        Box::new(FileLock::new(Path::new(place), "stack", workspace))
    }
}

/// Not a test: acquires the lock, and checks it repeatedly.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other process of the tests below"]
async fn other_process() {
    let [place, workspace, diary] = [PLACE, WORKSPACE, DIARY].map(|name| std::env::var(name).unwrap());
    let mut diary = fs::File::options().append(true).create(true).open(diary).unwrap();
    let lease = lock(&place, &workspace).acquire(&holder("other"), 0).await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(1) {
        writeln!(diary, "{}", if lease.check().is_ok() { "holds" } else { "lost" }).unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

struct Other {
    child: Child,
    diary: tempfile::NamedTempFile,
}

impl Other {
    /// Starts it, and waits until it has the lock.
    async fn start(place: &str, workspace: &str) -> Self {
        let diary = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["lock_processes::other_process", "--exact", "--ignored"]);
        command.env(PLACE, place).env(WORKSPACE, workspace).env(DIARY, diary.path());
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let other = Self { child, diary };
        soon("the lock of the other process", || other.diary().first().cloned()).await;
        other
    }

    fn diary(&self) -> Vec<String> {
        fs::read_to_string(self.diary.path()).unwrap().lines().map(str::to_owned).collect()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_holders_lock_is_free_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    for place in [aws().await.endpoint(), folder.path().to_string_lossy().into_owned()] {
        let workspace = name();
        let lock = lock(&place, &workspace);
        let other = Other::start(&place, &workspace).await;
        let error = fails(lock.acquire(&holder("this"), 0).await, Class::Locked);
        assert!(error.message().contains("other@host"), "{error}");
        drop(other);
        let lease = lock.acquire(&holder("this"), 0).await.unwrap();
        assert_eq!(lease.epoch(), 2);
        lease.release().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_holder_finds_its_lease_lost_when_it_wakes() {
    let (place, workspace) = (aws().await.endpoint(), name());
    let other = Other::start(&place, &workspace).await;
    other.signal(Signal::STOP);
    let lease = lock(&place, &workspace).acquire(&holder("this"), 0).await.unwrap();
    let before = other.diary();
    assert!(before.iter().all(|line| line == "holds"));
    other.signal(Signal::CONT);
    let after = soon("another check", || Some(other.diary()).filter(|diary| diary.len() > before.len() + 20)).await;
    // It may have been stopped between a check and writing the result.
    assert!(after[before.len() + 1..].iter().all(|line| line == "lost"), "{after:?}");
    lease.check().unwrap();
    lease.release().await.unwrap();
}
