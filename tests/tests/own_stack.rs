//! The page "Write your own stack": a crate of `payinfra new`, outside this repository, builds without compiling the AWS
//! SDK again, passes its tests, and its program does what the page says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_sdk_ec2::types::Tag;
use payinfra_tests::{Bench, binary};
use serde_json::Value;

/// The most lines of a stack's crate, without its tests.
const LINES: usize = 60;
/// The files of the crate that the page shows.
const SHOWN: [&str; 3] = ["Cargo.toml", "payinfra.toml", "src/main.rs"];
/// The name of the crate that is built. It differs from that of the example, whose binary is in the same folder.
const CRATE: &str = "depot";

fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

fn page() -> String {
    fs::read_to_string(root().join("docs/own-stack.md")).unwrap()
}

/// The code blocks of the page, by the file that the line before each block names.
fn blocks(page: &str) -> BTreeMap<String, String> {
    let mut blocks = BTreeMap::new();
    let mut lines = page.lines();
    let mut name = String::new();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.insert(std::mem::take(&mut name), block.join("\n") + "\n");
        } else if let Some(file) = line.strip_prefix('`').and_then(|line| line.strip_suffix("`:")) {
            file.clone_into(&mut name);
        }
    }
    blocks
}

/// Runs `payinfra new NAME` with these options in `folder`.
fn new(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let made = Command::new(binary()).args(["new", name]).args(options).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder.join(name)
}

#[test]
fn the_page_shows_what_payinfra_new_writes() {
    let (folder, page) = (tempfile::tempdir().unwrap(), page());
    assert!(page.contains("\npayinfra new hello\n"));
    let (made, blocks) = (new(folder.path(), "hello", &[]), blocks(&page));
    let mut lines = 0;
    for file in SHOWN {
        let text = fs::read_to_string(made.join(file)).unwrap();
        assert_eq!(blocks.get(file), Some(&text), "docs/own-stack.md shows another {file}");
        lines += text.lines().count();
    }
    assert!(lines <= LINES, "the crate has {lines} lines");
}

/// A crate outside this repository has the default style, whatever its name is.
#[test]
fn the_code_is_formatted_for_any_name() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["s", "a-name-of-thirty-characters-ok"] {
        let made = new(folder.path(), name, &[]);
        let format = Command::new("rustfmt")
            .args(["--check", "--edition", "2024", "src/main.rs", "tests/emulated.rs"])
            .current_dir(made)
            .output()
            .unwrap();
        assert!(format.status.success(), "{}", String::from_utf8_lossy(&format.stdout));
    }
}

/// A cargo command for the crate in `folder`, offline, with the profile and the target folder of this test.
struct Cargo {
    folder: PathBuf,
    target: PathBuf,
    release: bool,
}

impl Cargo {
    fn new(folder: PathBuf) -> Self {
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap();
        Self { folder, target: profile.parent().unwrap().to_owned(), release: profile.ends_with("release") }
    }

    fn command(&self, name: &str) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.arg(name).arg("--offline").current_dir(&self.folder);
        cargo
    }

    /// `cargo test` with these options.
    fn test(&self, options: &[&str]) -> Command {
        let mut cargo = self.command("test");
        cargo.arg("--target-dir").arg(&self.target).args(self.release.then_some("--release")).args(options);
        // Nothing is compiled twice.
        cargo.env("CARGO_INCREMENTAL", "0");
        cargo
    }

    /// The folder of built programs.
    fn profile(&self) -> PathBuf {
        self.target.join(if self.release { "release" } else { "debug" })
    }

    /// The clients of the AWS SDK and all crates below them, with their versions and features, if these kinds of
    /// dependencies are built.
    fn below_the_sdk(&self, edges: &str) -> BTreeSet<String> {
        let lock: toml::Table = fs::read_to_string(self.folder.join("Cargo.lock")).unwrap().parse().unwrap();
        let names = lock["package"].as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap());
        let clients = names.filter(|name| name.starts_with("aws-sdk-")).flat_map(|name| ["--package", name]);
        let mut tree = self.command("tree");
        tree.args(["--edges", edges, "--prefix", "none", "--format", "{p} {f}"]).args(clients);
        let tree = tree.output().unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let lines = String::from_utf8(tree.stdout).unwrap();
        lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).filter(|line| !line.is_empty()).collect()
    }

    /// Builds the crate and its tests, and returns the executables. Stops as soon as a crate of AWS is compiled, which
    /// would take half an hour and 7 GB.
    fn build(&self) -> Vec<PathBuf> {
        let mut build = self.test(&["--no-run", "--message-format=json-render-diagnostics"]);
        // A group of its own, so that the compilers that cargo has started can be stopped with it.
        let mut running = build.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let mut executables = Vec::new();
        for line in BufReader::new(running.stdout.take().unwrap()).lines() {
            let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let name = message["target"]["name"].as_str().unwrap_or_default();
            if name.starts_with("aws_") && message["fresh"] == false {
                let group = format!("-{}", running.id());
                Command::new("kill").args(["--", &group]).status().unwrap();
                panic!("{name} is compiled again: the crate has another profile or other features than this workspace");
            }
            executables.extend(message["executable"].as_str().map(PathBuf::from));
        }
        assert!(running.wait().unwrap().success());
        executables
    }

    /// Removes what was built of the crate itself. Its path differs between runs, so nothing would use it again. `cargo
    /// clean --package` would also remove the tests of other crates that have the same names.
    fn remove(&self, executables: &[PathBuf]) {
        for executable in executables {
            fs::remove_file(executable).unwrap();
        }
        for folder in ["deps", ".fingerprint"] {
            for entry in fs::read_dir(self.profile().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().unwrap().to_string_lossy().starts_with(&format!("{CRATE}-")) {
                    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
                }
            }
        }
    }
}

/// Runs a cargo command, and checks that it succeeds.
fn run(mut cargo: Command) {
    let ended = cargo.output().unwrap();
    let said = [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(ended.status.success(), "{}{}", said[0], said[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_crate_builds_passes_its_tests_and_does_what_the_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let made = new(folder.path(), CRATE, &["--path", root().to_str().unwrap()]);
    // The versions that are built already.
    fs::copy(root().join("Cargo.lock"), made.join("Cargo.lock")).unwrap();
    let (cargo, workspace) = (Cargo::new(made.clone()), Cargo::new(root()));
    run(cargo.command("tree"));
    let built = workspace.below_the_sdk("normal,build,dev");
    assert_eq!(cargo.below_the_sdk("normal,build,dev"), built, "`cargo test` would compile the AWS SDK again");
    assert_eq!(cargo.below_the_sdk("normal,build"), built, "`cargo run` would compile the AWS SDK again");
    let executables = cargo.build();
    run(cargo.test(&[]));

    let configuration = fs::read_to_string(made.join("payinfra.toml")).unwrap();
    let bench = Bench::of(&cargo.profile().join(CRATE), &configuration).await;
    let page = page();
    let commands: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("cargo run -- ")?.split(' ').next()).collect();
    assert_eq!(commands, ["bootstrap", "apply", "plan", "drift", "destroy"]);
    for command in commands {
        bench.run(&bench.consenting(&[command])).ok();
        match command {
            "apply" => assert!(!bench.addresses("demo").is_empty()),
            "plan" => drop(bench.run(&["plan", "--exit-code"]).ok()),
            "drift" => {
                let tag = Tag::builder().key("Project").value("somebody-elses").build();
                let vpc = bench.id("demo", "us-east-1/ec2.vpc/main");
                bench.ec2("us-east-1").create_tags().resources(vpc).tags(tag).send().await.unwrap();
                let drift = bench.run(&["drift"]).expect(2);
                assert!(drift.stdout.contains("us-east-1/ec2.vpc/main"), "{}", drift.stdout);
                bench.run(&["apply", "--yes"]).ok();
                bench.run(&["drift"]).ok();
            }
            _ => {}
        }
    }
    assert!(bench.addresses("demo").is_empty());
    cargo.remove(&executables);
}
