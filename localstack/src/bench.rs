//! A program with a stack on an emulated AWS, for tests.

#![expect(clippy::panic, clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;

use crate::emulator::{Emulator, isolate};

/// The maximum number of lines of output in a failure.
const LINES: usize = 60;

/// A private emulated AWS with a bucket for states, a program with stacks, and a folder with its configuration.
///
/// ```no_run
/// # use payinfra_localstack::Bench;
/// let bench = Bench::new("target/debug/hello", "stack = \"hello\"\n…");
/// bench.run(&["apply", "--yes"]).ok();
/// bench.run(&["plan", "--exit-code"]).ok();
/// ```
#[derive(Debug)]
pub struct Bench {
    /// The emulated AWS.
    pub aws: Emulator,
    lease: Option<Duration>,
    program: PathBuf,
    folder: tempfile::TempDir,
}

/// The result of a command.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

impl Bench {
    /// Starts an emulated AWS for `program` and the text of its configuration, and bootstraps it. For tests without a
    /// runtime; others start the emulated AWS themselves, and pass it to [`around`](Self::around).
    pub fn new(program: impl AsRef<Path>, configuration: &str) -> Self {
        Self::around(Emulator::builder().start_blocking().unwrap(), program, configuration)
    }

    /// The same with an emulated AWS that runs already.
    pub fn around(aws: Emulator, program: impl AsRef<Path>, configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bench = Self { aws, lease: None, program: program.as_ref().to_owned(), folder };
        bench.configure(configuration);
        bench.run(&["bootstrap"]).ok();
        bench.aws.clear_calls();
        bench
    }

    /// With another lease of the lock in DynamoDB than the default of 30 s.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// Writes another configuration.
    pub fn configure(&self, configuration: &str) {
        fs::write(self.file("payinfra.toml"), configuration).unwrap();
    }

    /// The text of the configuration.
    #[must_use]
    pub fn configuration(&self) -> String {
        fs::read_to_string(self.file("payinfra.toml")).unwrap()
    }

    /// The path of a file in the folder in which commands run.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command line with these arguments.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_remove("PAYINFRA_WORKSPACE").env_remove("PAYINFRA_CONFIG");
        isolate(&mut command, &self.aws.endpoint());
        if let Some(lease) = self.lease {
            command.env("PAYINFRA_LEASE_MILLIS", lease.as_millis().to_string());
        }
        command
    }

    /// These arguments, with the options that confirm the command's prompts.
    #[must_use]
    pub fn consenting<'a>(&self, args: &[&'a str]) -> Vec<&'a str> {
        static ASKED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
        let words = if args.first() == Some(&"state") { 2 } else { 1 };
        let command = &args[..words];
        let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
        let help =
            asked.entry(command.join(" ")).or_insert_with(|| self.run(&[command, &["--help"]].concat()).ok().stdout);
        let answers = ["--yes", "--accept-loss"].into_iter().filter(|answer| help.contains(answer));
        args.iter().copied().chain(answers).collect()
    }

    /// Runs the command line, and waits until it ends.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Outcome {
        self.command(args).output().unwrap().into()
    }

    /// Starts the command line without waiting.
    #[must_use]
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The outputs of a workspace.
    #[must_use]
    pub fn outputs(&self, workspace: &str) -> Value {
        let outcome = self.run(&["output", "--json", "--workspace", workspace]);
        serde_json::from_str(&outcome.ok().stdout).unwrap()
    }

    /// The state of a workspace.
    #[must_use]
    pub fn state(&self, workspace: &str) -> Value {
        let outcome = self.run(&["state", "pull", "--workspace", workspace]);
        serde_json::from_str(&outcome.ok().stdout).unwrap()
    }

    /// The addresses of the resources in the state of a workspace.
    #[must_use]
    pub fn addresses(&self, workspace: &str) -> Vec<String> {
        self.state(workspace)["resources"].as_object().unwrap().keys().cloned().collect()
    }

    /// The id of the resource at `address`, from the state.
    #[must_use]
    pub fn id(&self, workspace: &str, address: &str) -> String {
        let state = self.state(workspace);
        state["resources"][address]["id"].as_str().unwrap_or_else(|| panic!("{address} is not in the state")).to_owned()
    }
}

impl Outcome {
    /// Checks that it ended with this code.
    #[track_caller]
    #[expect(clippy::must_use_candidate, clippy::return_self_not_must_use, reason = "called for the assertion")]
    pub fn expect(self, code: i32) -> Self {
        let lines: Vec<_> = self.stdout.lines().collect();
        let last = lines[lines.len().saturating_sub(LINES)..].join("\n");
        assert_eq!(self.code, Some(code), "stderr:\n{}\nthe end of stdout:\n{last}", self.stderr);
        self
    }

    /// Checks that it ended with 0.
    #[track_caller]
    #[expect(clippy::must_use_candidate, clippy::return_self_not_must_use, reason = "called for the assertion")]
    pub fn ok(self) -> Self {
        self.expect(0)
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
