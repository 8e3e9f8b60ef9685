//! `payinfra new`. That the crate builds and passes is in `tests/tests/own_stack.rs`.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use crate::support::Folder;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The paths of all files and empty folders below `folder`, sorted.
fn tree(folder: &Path) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = open.pop() {
        let entries: Vec<_> = fs::read_dir(&path).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        if entries.is_empty() {
            found.push(path.strip_prefix(folder).unwrap().display().to_string());
        }
        open.extend(entries);
    }
    found.sort();
    found
}

#[test]
fn a_crate_with_another_name() {
    let folder = Folder::new();
    let ended = folder.run(&["new", "my-shop"]);
    assert_eq!(ended.code, Some(0), "{}", ended.transcript);
    assert_snapshot!(ended.transcript);
    let made = tree(&folder.path("my-shop"));
    assert_snapshot!(made.join("\n"));
    assert_snapshot!(fs::read_to_string(folder.path("my-shop/Cargo.toml")).unwrap());
    for file in made {
        let text = fs::read_to_string(folder.path("my-shop").join(&file)).unwrap();
        assert!(!text.contains("hello"), "{file}: {text}");
    }
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 2);
}

#[test]
fn an_empty_folder_is_filled() {
    let folder = Folder::new();
    fs::create_dir(folder.path("shop")).unwrap();
    assert_eq!(folder.run(&["new", "shop"]).code, Some(0));
    assert!(folder.path("shop/src/main.rs").exists());
}

#[test]
fn what_exists_is_not_overwritten() {
    let folder = Folder::new();
    folder.write("shop/notes.txt", "mine");
    let ended = folder.run(&["new", "shop"]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
    assert_eq!(tree(&folder.path("")), ["payinfra.toml", "shop/notes.txt"]);
}

#[test]
fn invalid_names_write_nothing() {
    let folder = Folder::new();
    for (name, says) in [
        ("my_shop", "is not a valid name of a crate and a stack"),
        ("../shop", "is not a valid name of a crate and a stack"),
        ("async", "is reserved"),
        ("serde", "is reserved"),
        ("payinfra-stack", "does not begin with `payinfra-`"),
        ("a-name-of-a-shop-that-is-much-too-long", "choose a shorter name"),
    ] {
        let ended = folder.run(&["new", name]);
        assert_eq!(ended.code, Some(1), "{}", ended.transcript);
        assert!(ended.stderr.contains(says), "{}", ended.transcript);
    }
    assert_eq!(tree(&folder.path("")), ["payinfra.toml"]);
}

#[test]
fn a_checkout_that_is_none() {
    let folder = Folder::new();
    let ended = folder.run(&["new", "shop", "--path", "."]);
    assert_eq!(ended.code, Some(1));
    assert_snapshot!(ended.transcript);
    assert!(folder.run(&["new", "shop", "--path", "nowhere"]).stderr.contains("nowhere is not a checkout"));
    assert_eq!(tree(&folder.path("")), ["payinfra.toml"]);
}

#[test]
fn a_checkout_is_depended_on_by_its_path() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["new", "shop", "--path", ROOT]).code, Some(0));
    let root = fs::canonicalize(ROOT).unwrap();
    let manifest = fs::read_to_string(folder.path("shop/Cargo.toml")).unwrap();
    for place in ["crates/cli", "crates/testkit", "localstack"] {
        let path = format!("{{ path = \"{}\" }}", root.join(place).display());
        assert!(manifest.contains(&path), "{manifest}");
    }
    assert!(!manifest.contains("git ="), "{manifest}");
}
