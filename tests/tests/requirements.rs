//! Which test shows which requirement: `tests/README.md` says it, and this keeps it true.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

const HEAD: &str = r#"# Tests

`cargo test --workspace` runs everything that CI runs. The end-to-end tests in this folder start their own emulated AWS
(`../localstack`); `PAYINFRA_TEST_PROFILE=localstack` runs them on another profile of emulators.

| what | where | how to run it alone |
| --- | --- | --- |
| the engine against a made-up cloud in virtual time | `crates/engine/tests` | `cargo test -p payinfra-engine` |
| every kind of resource against the emulated AWS | `crates/aws/tests` | `cargo test --workspace --test contract` |
| the stacks' graphs and rules | `crates/stacks` | `cargo test --workspace --test migration` |
| the stores and locks | `state/tests` | see `state/README.md` |
| the command line | `crates/cli/tests` | `cargo test --workspace --test plan` |
| whole lives of the stacks | `tests/tests` | `cargo test --workspace --test life` |

The long ones are left out of CI; each prints what it found:

| what | how to run it |
| --- | --- |
| SIGKILL before and after every changing call of every scenario, on S3 and in a folder; writes `tests/results/crash-matrix.md` | `cargo test --workspace --test crash -- --ignored --nocapture full_matrix` |
| the README's first command, 20 times from nothing with every core busy; writes `tests/results/first-command.md` | `cargo build --workspace --bins --test first_command && cargo test --workspace --test first_command -- --ignored --nocapture` |
| 100 seeds of mixed faults on the emulated AWS, an account throttled to a tenth | `cargo test --workspace --test random -- --ignored --nocapture` |
| 5,000 payments with clients that hang up, an AWS that fails and a service that is killed ten times; writes `tests/results/payments.md` | `cargo build --workspace && cargo test --workspace --test whole -- --ignored five_thousand` |
| the payment service's own time for a payment and for its start; writes `tests/results/overhead.md` | `cargo --config lambda/image.toml test --release -p payment-service --test overhead -- --ignored` |
| the payment service's image, built and started | `cargo test -p payment-image --test start -- --ignored --nocapture` |
| a million broken requests for a payment | `PROPTEST_CASES=1000000 cargo test --release -p payment-core --test requests nothing_that_comes` |
| how often other numbers are taken for card numbers | `cargo run --release -p payment-core --example false_alarms` |
| apply and destroy with AWS's latencies, against the longest chain of waits | `cargo build --release --workspace && cargo test --release --workspace --test makespan -- --ignored --nocapture` |

`PAYINFRA_CRASH_EVERY=25` takes every 25th kill point only, `PAYINFRA_CRASH="import;sweep --delete"` only these scenarios,
`PAYINFRA_CRASH_BACKEND=S3` (or `folder`) only this backend; `PAYINFRA_SEED=17` runs one seed; `PAYINFRA_RUNS=2`
runs the first command twice; `PAYINFRA_SCALE=20` takes AWS's latencies divided by 20 instead of 60.

The crash tests shorten the lease of the lock with `PAYINFRA_LEASE_MILLIS`, which counts only where the endpoint is set.
They compare with an undisturbed run (`tests/src/content.rs`): the services' own lists, every field of every resource that the
state knows or that carries owner tags, the state, and the outputs. `legacy` stands for the scenarios that need no second
region.

## Which test shows which requirement

Written by `UPDATE_README=1 cargo test --workspace --test requirements`; do not edit below this line.

"#;

/// Every requirement is shown by a test, and the list is up to date. `UPDATE_README=1` writes it.
#[test]
fn every_requirement_is_shown_and_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = root.join("tests/README.md");
    let (text, missing) = render(&root).unwrap();
    assert!(missing.is_empty(), "no test shows {missing:?}: put the ids into a test's name or doc comment");
    if env::var_os("UPDATE_README").is_some() {
        fs::write(&readme, &text).unwrap();
    }
    let current = fs::read_to_string(&readme).unwrap_or_default();
    assert!(current == text, "out of date: run `UPDATE_README=1 cargo test --workspace --test requirements`");
}

/// The file's text, and the ids that no test shows.
fn render(root: &Path) -> io::Result<(String, Vec<String>)> {
    let mut shown = BTreeMap::<String, BTreeSet<String>>::new();
    let mut files = Vec::new();
    for folder in ["crates", "lambda", "localstack", "state", "tests"] {
        sources(&root.join(folder), &mut files)?;
    }
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        for (test, ids) in tests(&fs::read_to_string(&file)?) {
            for id in ids {
                shown.entry(id).or_default().insert(format!("`{name}`: `{test}`"));
            }
        }
    }
    let mut text = HEAD.to_owned();
    text.push_str("| id | what it says | tests |\n| --- | --- | --- |\n");
    let mut missing = Vec::new();
    for line in fs::read_to_string(root.join("tests/requirements.txt"))?.lines() {
        let Some((id, says)) = line.split_once(' ').filter(|_| !line.starts_with('#')) else { continue };
        match shown.get(id) {
            Some(tests) => {
                let tests: Vec<_> = tests.iter().map(String::as_str).collect();
                text.extend(["| ", id, " | ", says, " | ", &tests.join("<br>"), " |\n"]);
            }
            None => missing.push(id.to_owned()),
        }
    }
    Ok((text, missing))
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The tests in a source file with the ids in their names and doc comments.
fn tests(source: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let (mut docs, mut is_test) = (String::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push_str(doc);
            docs.push('\n');
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if !line.starts_with("#[") {
            let name = line.split("fn ").nth(1).and_then(|rest| rest.split(['(', '<']).next());
            if let (true, Some(name)) = (is_test, name) {
                let mut ids = in_docs(&docs);
                ids.extend(in_name(name));
                found.push((name.to_owned(), ids));
            }
            docs.clear();
            is_test = false;
        }
    }
    found
}

/// `M-07` and the like.
fn in_docs(docs: &str) -> BTreeSet<String> {
    let words = docs.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| is_id(word)).map(str::to_owned).collect()
}

/// `m07_…_x08_…` and the like.
fn in_name(name: &str) -> BTreeSet<String> {
    let parts = name.split('_').filter(|part| part.len() == 3 && part.is_ascii());
    parts.map(|part| format!("{}-{}", part[..1].to_uppercase(), &part[1..])).filter(|id| is_id(id)).collect()
}

fn is_id(word: &str) -> bool {
    matches!(word.as_bytes(), [b'X' | b'M' | b'G' | b'T' | b'P', b'-', tens, ones]
        if tens.is_ascii_digit() && ones.is_ascii_digit())
}

#[test]
fn finds_ids_in_names_and_docs() {
    let source = "/// M-01: each apart.\n#[test]\nfn m02_x06_lives() {}\n/// X-09\nfn no_test() {}\n";
    let found = tests(source);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1.iter().map(String::as_str).collect::<Vec<_>>(), ["M-01", "M-02", "X-06"]);
}
