//! A gate that runs a program.

use std::process::Stdio;
use std::time::Duration;

use payinfra_aws::probe::Finding;
use payinfra_engine::{Error, Result};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// The maximum number of bytes of output that are read; the rest is lost, and the program is told so by a closed pipe.
const OUTPUT: u64 = 1 << 20;
/// How long to read on after the program has ended: a process that it left may keep the pipe open.
const REST: Duration = Duration::from_secs(1);

/// Runs `line`, a program and its arguments, for at most `timeout`. The gate holds if it ends with 0; the last line of its
/// output is the reason. A program that does not end in time is killed together with all processes that it has started.
///
/// # Errors
/// If the program cannot be started.
pub(super) async fn run(line: &[String], timeout: Duration) -> Result<Finding> {
    let (program, arguments) = line.split_first().ok_or_else(|| Error::invalid("the command is empty"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    command.process_group(0);
    let child = command.kill_on_drop(true).spawn().map_err(|error| {
        Error::invalid(format!("`{program}` cannot be started: {error}")).hint("check the path of the gate's program")
    })?;
    let mut group = Group(child);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (group.0.stdout.take(), group.0.stderr.take());
    let ended = {
        let reading = async { tokio::join!(read(stdout, &mut out), read(stderr, &mut err)) };
        tokio::pin!(reading);
        let ended = async {
            tokio::select! {
                status = group.0.wait() => {
                    let _ = tokio::time::timeout(REST, &mut reading).await;
                    status
                }
                _ = &mut reading => group.0.wait().await,
            }
        };
        tokio::time::timeout(timeout, ended).await
    };
    // What has not ended is killed here.
    drop(group);
    let status = match ended {
        Err(_) => return Ok(Finding::bad(format!("did not end within {} s and was killed", timeout.as_secs_f64()))),
        Ok(Err(error)) => return Err(Error::failed(format!("`{program}` cannot be waited for: {error}"))),
        Ok(Ok(status)) => status,
    };
    let said = last_line(&out).or_else(|| last_line(&err)).map_or_else(String::new, |line| format!(": {line}"));
    Ok(Finding { good: status.success(), reason: format!("{status}{said}") })
}

/// Reads what the program writes. If that fails, the exit code still decides.
async fn read(from: Option<impl AsyncRead + Unpin>, to: &mut Vec<u8>) {
    if let Some(from) = from {
        let _ = from.take(OUTPUT).read_to_end(to).await;
    }
}

/// The last line that is not empty.
fn last_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|character| !character.is_control()).collect())
}

/// A program in a process group of its own, which is killed with it.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Once the program has been waited for, its id may belong to another process, so there is none any more.
        #[cfg(unix)]
        if let Some(group) = self.0.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Instant;

    use super::*;

    fn script(text: &str) -> Vec<String> {
        ["sh", "-c", text].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn the_exit_code_decides_and_the_last_line_is_the_reason() -> Result<()> {
        let long = Duration::from_mins(1);
        let good = run(&script("echo checking; echo all is well; echo"), long).await?;
        assert_eq!(good, Finding::good("exit status: 0: all is well"));
        let bad = run(&script("echo no space left >&2; exit 3"), long).await?;
        assert_eq!(bad, Finding::bad("exit status: 3: no space left"));
        let missing = run(&["/nowhere/at/all".to_owned()], long).await;
        assert!(missing.is_err_and(|error| error.message().contains("/nowhere/at/all")));
        Ok(())
    }

    /// M-26: a gate command that hangs is killed, with the processes that it has started.
    #[tokio::test]
    async fn m26_a_program_that_hangs_is_killed_with_its_children() -> Result<()> {
        let folder = tempfile::tempdir().map_err(|error| Error::failed(error.to_string()))?;
        let file = folder.path().join("child");
        let begun = Instant::now();
        let text = format!("sleep 600 & echo $! > {}; wait", file.display());
        let killed = run(&script(&text), Duration::from_secs(1)).await?;
        assert_eq!(killed, Finding::bad("did not end within 1 s and was killed"));
        assert!(begun.elapsed() < Duration::from_secs(30));
        let child = std::fs::read_to_string(file).map_err(|error| Error::failed(error.to_string()))?;
        let child = format!("/proc/{}/status", child.trim());
        let is_running = || std::fs::read_to_string(&child).is_ok_and(|status| !status.contains("State:\tZ"));
        let mut left = 100;
        while is_running() && left > 0 {
            left -= 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(!is_running(), "the child is still there");
        Ok(())
    }

    #[tokio::test]
    async fn a_program_whose_child_keeps_the_output_open_has_ended() -> Result<()> {
        let begun = Instant::now();
        let ended = run(&script("sleep 20 & echo started"), Duration::from_secs(15)).await?;
        assert_eq!(ended, Finding::good("exit status: 0: started"));
        assert!(begun.elapsed() < Duration::from_secs(10));
        Ok(())
    }
}
