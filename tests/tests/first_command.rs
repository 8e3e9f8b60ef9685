//! Repeats the README's first command from nothing while every core is busy.
//!
//! A run does what `cargo local payinfra apply --workspace migration` does after its build: it starts an emulated AWS,
//! creates the state's bucket and lock table, and applies. Then a plan must find no changes, and `cargo local down` ends
//! the emulated AWS. The command is [`COMMAND`]; it takes about half an hour.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints what it found")]

use std::fs;
use std::hint::spin_loop;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use payinfra_localstack::{Profile, Status, cache_folder, install, isolate};
use payinfra_tests::{binary, built};
use tempfile::TempDir;

/// The command that writes the results. The build comes first because `cargo test` builds no binaries of other packages.
const COMMAND: &str = "cargo build --workspace --bins --test first_command && cargo test --workspace --test first_command -- --ignored --nocapture";

/// The number of runs, unless `PAYINFRA_RUNS` is set.
const RUNS: usize = 20;

/// How many of the last lines of a failed command are shown.
const LINES: usize = 40;

/// One thread per core that keeps it busy until this is dropped.
struct Load {
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    fn new() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let busy = |ended: Arc<AtomicBool>| {
            move || {
                while !ended.load(Ordering::Relaxed) {
                    spin_loop()
                }
            }
        };
        let cores = thread::available_parallelism().unwrap().get();
        Self { threads: (0..cores).map(|_| thread::spawn(busy(Arc::clone(&ended)))).collect(), ended }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// A cache folder that holds only the installed emulators, and a working folder that holds only the configuration.
struct Fresh {
    cache: TempDir,
    folder: TempDir,
}

impl Fresh {
    fn new() -> Self {
        let fresh = Self { cache: tempfile::tempdir().unwrap(), folder: tempfile::tempdir().unwrap() };
        let own = fresh.cache.path().join("payinfra");
        fs::create_dir(&own).unwrap();
        for entry in fs::read_dir(cache_folder().unwrap()).unwrap().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().starts_with("python-") {
                symlink(entry.path(), own.join(entry.file_name())).unwrap();
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../payinfra.toml");
        fs::copy(root, fresh.folder.path().join("payinfra.toml")).unwrap();
        fresh
    }

    /// Runs `cargo local` with these arguments.
    fn local(&self, args: &[&str]) -> Result<Output, String> {
        let mut command = Command::new(built("payinfra-localstack"));
        run(command.args(args).env("XDG_CACHE_HOME", self.cache.path()))
    }

    /// Runs the README's first command, and then a plan. Returns how long the command took.
    fn first_command(&self) -> Result<Duration, String> {
        let begun = Instant::now();
        self.local(&["up"])?;
        let status: Status = serde_json::from_slice(&self.local(&["status", "--json"])?.stdout).unwrap();
        let payinfra = |args: &[&str]| {
            let mut command = Command::new(binary());
            isolate(command.args(args).current_dir(self.folder.path()), &status.endpoint);
            run(command.env_remove("PAYINFRA_WORKSPACE").env_remove("PAYINFRA_CONFIG"))
        };
        payinfra(&["bootstrap"])?;
        payinfra(&["apply", "--workspace", "migration", "--yes"])?;
        let took = begun.elapsed();
        // Exits with 2 if there are changes.
        payinfra(&["plan", "--workspace", "migration", "--exit-code"])?;
        Ok(took)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Err(failed) = self.local(&["down"]) {
            println!("{failed}");
        }
    }
}

/// Runs a command, which must succeed.
fn run(command: &mut Command) -> Result<Output, String> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    if output.status.success() {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
    Err(format!("{command:?} ended with {:?}:\n{last}", output.status.code()))
}

/// Writes `results/first-command.md`.
#[test]
#[ignore = "applies the whole stack twenty times"]
fn the_first_command_never_fails() {
    let runs = std::env::var("PAYINFRA_RUNS").map_or(RUNS, |text| text.parse().unwrap());
    install(Profile::Default).unwrap();
    let load = Load::new();
    let (mut took, mut failed) = (Vec::new(), Vec::new());
    for number in 1..=runs {
        match Fresh::new().first_command() {
            Ok(time) => {
                println!("{number} of {runs}: {:.1} s", time.as_secs_f64());
                took.push(time);
            }
            Err(reason) => {
                println!("{number} of {runs}: {reason}");
                failed.push(reason);
            }
        }
    }
    let cores = load.threads.len();
    drop(load);
    took.sort_unstable();
    let report = report(&took, runs, cores);
    println!("{report}");
    fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/results/first-command.md"), report).unwrap();
    assert!(failed.is_empty(), "{} of {runs} failed: {failed:#?}", failed.len());
}

/// The results as Markdown; `took` is sorted.
fn report(took: &[Duration], runs: usize, busy: usize) -> String {
    let second =
        |time: Option<&Duration>| time.map_or_else(|| "-".to_owned(), |time| format!("{:.1}", time.as_secs_f64()));
    let (least, median, most) = (second(took.first()), second(took.get(took.len() / 2)), second(took.last()));
    let part = if runs == RUNS { String::new() } else { format!("export PAYINFRA_RUNS={runs}; ") };
    format!(
        "# The first command, {runs} times from nothing

`{part}{COMMAND}`

Each run starts a new emulated AWS, creates the state's bucket and lock table, runs `payinfra apply --workspace migration
--yes`, and then `payinfra plan --exit-code`, which must find no changes. Meanwhile {busy} threads keep {busy} cores busy.
The times are those of the command without its build and without the plan.

| date | machine | succeeded | least | median | most |
|---|---|---:|---:|---:|---:|
| {} | {} | {} of {runs} | {least} s | {median} s | {most} s |
",
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        machine(),
        took.len(),
    )
}

/// The processor, its cores and the memory.
fn machine() -> String {
    let value = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        line.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let memory = value("/proc/meminfo", "MemTotal");
    let gibibytes =
        memory.split(' ').next().and_then(|kibibytes| kibibytes.parse::<u64>().ok()).unwrap_or_default() >> 20;
    let cores = thread::available_parallelism().unwrap();
    format!("{}, {cores} cores, {gibibytes} GiB", value("/proc/cpuinfo", "model name"))
}
