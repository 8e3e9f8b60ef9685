//! Runs the built binary in its own folder, without access to AWS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A valid configuration; its state is in a folder.
pub(crate) const SOUND: &str = r#"stack = "migration"

[state]
path = "kept"

[defaults]
project = "payments"
suffix = "demo1"
cutover = 2026-03-01T02:00:00Z
service.auth = "none"
domain.zone = "payments.test"

[workspaces.legacy]
environment = "legacy"

[workspaces.migration]
environment = "migration"
"#;

/// A folder with a configuration.
pub(crate) struct Folder(tempfile::TempDir);

/// The result of a command.
pub(crate) struct Ended {
    /// The exit code.
    pub(crate) code: Option<i32>,
    /// Its stdout.
    pub(crate) stdout: String,
    /// Its stderr.
    pub(crate) stderr: String,
    /// All three, for a snapshot.
    pub(crate) transcript: String,
}

impl Folder {
    /// With a valid configuration.
    pub(crate) fn new() -> Self {
        Self::with(SOUND)
    }

    /// Without a configuration.
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With this configuration.
    pub(crate) fn with(configuration: &str) -> Self {
        let folder = Self::empty();
        folder.write("payinfra.toml", configuration);
        folder
    }

    /// With a valid configuration in which `old` is replaced by `new`.
    pub(crate) fn changed(old: &str, new: &str) -> Self {
        assert!(SOUND.contains(old), "{old}");
        Self::with(&SOUND.replacen(old, new, 1))
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Stores a state with two resources and two outputs.
    pub(crate) fn write_state(&self) {
        let record = |id: &str, depends: &[&str]| serde_json::json!({ "generation": 1, "id": id, "args": { "a": 1 }, "outputs": null, "depends": depends });
        let state = serde_json::json!({
            "format": 3,
            "lineage": "c0ffee",
            "stack": "migration",
            "workspace": "migration",
            "account": "123456789012",
            "serial": 4,
            "revision": 9,
            "epoch": 0,
            "resources": {
                "us-east-1/ec2.subnet/private-1": record("subnet-1", &["us-east-1/ec2.vpc/main"]),
                "us-east-1/ec2.vpc/main": record("vpc-1", &[]),
            },
            "outputs": { "phase": "migration", "vpc_id": "vpc-1" },
        });
        self.write("kept/migration/migration/state.json", &format!("{state:#}"));
    }

    /// The state.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("kept/migration/migration/state.json")).unwrap()).unwrap()
    }

    /// The command line, with invalid credentials and an AWS that does not respond.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_payinfra"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("AWS_") || text.starts_with("PAYINFRA_") || text == "NO_COLOR" {
                command.env_remove(&name);
            }
        }
        command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null());
        command.envs([
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        command
    }

    /// Runs a command, and waits until it ends.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&mut self.command(arguments), self.0.path())
    }
}

impl Ended {
    /// The result of `command`, without values that differ between runs.
    pub(crate) fn of(command: &mut Command, folder: &Path) -> Self {
        let output = command.output().unwrap();
        let folder = folder.display().to_string();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&folder, "[FOLDER]");
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let code = output.status.code();
        let transcript = format!("exit {}\n--- stdout\n{stdout}--- stderr\n{stderr}", code.unwrap_or(-1));
        Self { code, stdout, stderr, transcript }
    }
}
