//! The page "Write your own stack" shows this example. Its code, compiled outside the repository, applies, shows an empty
//! plan, drifts, and is destroyed.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_sdk_ec2::types::Tag;
use payinfra_tests::Bench;
use serde_json::{Value, json};

/// The most lines of a stack's crate.
const LINES: usize = 60;

/// The code blocks of the page, by the file that the line before each block names.
fn blocks() -> BTreeMap<String, String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/own-stack.md")).unwrap();
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

/// Compiles the page's program in `folder`, as cargo would, against the libraries of this repository that are built
/// already. A build by cargo in a workspace of its own would choose other features and compile the AWS SDK again.
fn compile(folder: &Path) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    // The command that built this test: nothing is compiled, it only names the libraries.
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["test", "--workspace", "--test", "page", "--no-run", "--offline", "--message-format=json"]);
    cargo.args(profile.ends_with("release").then_some("--release"));
    cargo.arg("--target-dir").arg(profile.parent().unwrap());
    let built = cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages: Vec<Value> =
        built.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let library = |name: &str| -> String {
        let is = |message: &&Value| message["target"]["name"] == name && message["target"]["kind"][0] == "lib";
        let files = messages.iter().find(is).unwrap_or_else(|| panic!("{name} is not built"))["filenames"].clone();
        let files: Vec<String> = serde_json::from_value(files).unwrap();
        files.into_iter().find(|file| Path::new(file).extension().is_some_and(|it| it == "rlib")).unwrap()
    };
    let (source, program) = (folder.join("main.rs"), folder.join("hello"));
    fs::write(&source, &blocks()["src/main.rs"]).unwrap();
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024"]).arg(source).arg("-o").arg(&program);
    rustc.arg("-L").arg(format!("dependency={}", profile.join("deps").display()));
    for name in ["payinfra", "schemars", "serde"] {
        rustc.arg("--extern").arg(format!("{name}={}", library(name)));
    }
    let compiled = rustc.current_dir(folder).output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    program
}

#[test]
fn the_page_shows_the_files_of_this_example() {
    let (blocks, folder) = (blocks(), Path::new(env!("CARGO_MANIFEST_DIR")));
    for file in ["src/main.rs", "payinfra.toml"] {
        let own = fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!(blocks.get(file), Some(&own), "docs/own-stack.md has another {file}");
    }
    assert!(blocks["src/main.rs"].lines().count() <= LINES);
    // The manifest outside this repository has the same dependencies.
    let names = |manifest: &str| -> Vec<String> {
        let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
        let lines = lines.take_while(|line| !line.is_empty());
        lines.map(|line| line.split([' ', '.']).next().unwrap().to_owned()).collect()
    };
    let own = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    assert_eq!(names(&blocks["Cargo.toml"]), names(&own));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stack_of_the_page_applies_plans_empty_drifts_and_is_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::of(&compile(folder.path()), &blocks()["payinfra.toml"]).await;
    bench.run(&["apply", "--yes"]).ok();
    bench.run(&["plan", "--exit-code"]).ok();
    bench.run(&["drift"]).ok();
    let tag = Tag::builder().key("Project").value("somebody-elses").build();
    let vpc = bench.id("demo", "us-east-1/ec2.vpc/main");
    bench.ec2("us-east-1").create_tags().resources(vpc).tags(tag).send().await.unwrap();
    let drift = bench.run(&["drift"]).expect(2);
    assert!(drift.stdout.contains("us-east-1/ec2.vpc/main"), "{}", drift.stdout);
    bench.run(&["apply", "--yes"]).ok();
    bench.run(&["drift"]).ok();
    bench.run(&bench.consenting(&["destroy"])).ok();
    assert_eq!(bench.state("demo")["resources"], json!({}));
}
