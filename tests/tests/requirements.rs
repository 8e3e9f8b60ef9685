//! Verifies that `tests/README.md` lists the changes that others make, and the tests for each requirement.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use payinfra_tests::world::{CHANGES, Change};

/// Everything above this line is written by hand.
const MARK: &str =
    "Written by `UPDATE_README=1 cargo test --workspace --test requirements`; do not edit below this line.\n\n";

/// What follows the list of changes.
const NEXT: &str = "## Which test shows which requirement\n";

/// Every requirement has a test, and the list is up to date. `UPDATE_README=1` writes it.
#[test]
fn every_requirement_is_shown_and_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = root.join("tests/README.md");
    let (text, missing) = render(&root).unwrap();
    assert!(missing.is_empty(), "no test covers {missing:?}: add the ids to the name or doc comment of a test");
    if env::var_os("UPDATE_README").is_some() {
        fs::write(&readme, &text).unwrap();
    }
    let current = fs::read_to_string(&readme).unwrap_or_default();
    assert!(current == text, "out of date: run `UPDATE_README=1 cargo test --workspace --test requirements`");
}

/// The text of the file, and the ids without a test.
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
    let current = fs::read_to_string(root.join("tests/README.md"))?;
    let without = || io::Error::other("tests/README.md does not contain the lines above the lists");
    let (head, rest) = current.split_once(MARK).ok_or_else(without)?;
    let (between, _) = rest.split_once(NEXT).and_then(|(_, rest)| rest.split_once(MARK)).ok_or_else(without)?;
    let mut text = head.to_owned() + MARK;
    text.push_str("| change | expected | function |\n| --- | --- | --- |\n");
    text.extend(CHANGES.iter().map(Change::row));
    text.extend(["\n", NEXT, between, MARK]);
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

/// Ids such as `M-07`.
fn in_docs(docs: &str) -> BTreeSet<String> {
    let words = docs.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| is_id(word)).map(str::to_owned).collect()
}

/// Names such as `m07_…_x08_…`.
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
