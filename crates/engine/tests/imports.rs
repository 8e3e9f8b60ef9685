//! No two files import each other, however indirectly. A module and its own descendants may.
//!
//! The sources are parsed, so that nested `use` trees, renames and re-exports are followed to the file that defines the
//! item, and comments and strings do not count. Code for tests does not count either.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use petgraph::algo::{astar, kosaraju_scc};
use petgraph::graphmap::DiGraphMap;
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, Macro, UseTree};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;
/// A module's path within its crate.
type Module = Vec<String>;
/// Reads a source file; `None` if there is none.
type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

#[derive(Default)]
struct Contents {
    file: PathBuf,
    children: BTreeSet<String>,
    /// Imported names, with the imported paths.
    names: BTreeMap<String, Vec<String>>,
    /// Modules imported with `*`.
    globs: Vec<Vec<String>>,
    /// Names of items defined here.
    items: BTreeSet<String>,
    /// All paths used here.
    paths: BTreeSet<Vec<String>>,
}

#[derive(Default)]
struct Sources(BTreeMap<Module, Contents>);

impl Sources {
    /// The modules of the crate with the root file `root`.
    fn read(root: &Path, read: Read<'_>) -> Outcome<Self> {
        let mut sources = Self::default();
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        sources.file(Vec::new(), root, &folder, read)?;
        Ok(sources)
    }

    fn file(&mut self, module: Module, file: &Path, folder: &Path, read: Read<'_>) -> Outcome {
        let text = read(file).ok_or_else(|| format!("{}: cannot be read", file.display()))?;
        let parsed = syn::parse_file(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        self.items(module, file, folder, &parsed.items, read)
    }

    fn items(&mut self, module: Module, file: &Path, folder: &Path, items: &[Item], read: Read<'_>) -> Outcome {
        let mut contents = Contents { file: file.to_owned(), ..Contents::default() };
        for item in items {
            match item {
                Item::Mod(item) if is_test(&item.attrs) => {}
                Item::Mod(item) => {
                    let name = item.ident.to_string();
                    let (module, inner) = ([&module[..], std::slice::from_ref(&name)].concat(), folder.join(&name));
                    if let Some((_, items)) = &item.content {
                        self.items(module, file, &inner, items, read)?;
                    } else {
                        let mut files = [folder.join(format!("{name}.rs")), inner.join("mod.rs")].into_iter();
                        let file = files.find(|file| read(file).is_some());
                        let file = file.ok_or_else(|| format!("{}: no file for `{name}`", folder.display()))?;
                        self.file(module, &file, &inner, read)?;
                    }
                    contents.children.insert(name);
                }
                item => contents.visit_item(item),
            }
        }
        self.0.insert(module, contents);
        Ok(())
    }

    /// The module that defines what `path`, used in `module`, leads to; `None` if it is in another crate.
    fn definition(&self, module: &[String], path: &[String], depth: usize) -> Option<Module> {
        // Imports that refer to each other would never end.
        let depth = depth.checked_sub(1)?;
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.to_vec(),
            "super" => module.split_last()?.1.to_vec(),
            _ => {
                rest = path;
                module.to_vec()
            }
        };
        while let Some((name, after)) = rest.split_first() {
            let contents = self.0.get(&at)?;
            if name == "super" {
                at.pop()?;
            } else if contents.children.contains(name) {
                at.push(name.clone());
            } else if contents.items.contains(name) {
                return Some(at);
            } else if let Some(import) = contents.names.get(name) {
                if import.first() == Some(name) && import.len() == 1 {
                    return None;
                }
                return self.definition(&at, &[import, after].concat(), depth);
            } else {
                let mut found = contents.globs.iter().map(|glob| self.definition(&at, &[glob, rest].concat(), depth));
                return found.find_map(|found| found);
            }
            rest = after;
        }
        Some(at)
    }

    /// The last module in a path within this crate. Its item may be made by a macro.
    fn longest(&self, module: &[String], path: &[String]) -> Option<Module> {
        let own = path.first().is_some_and(|first| ["crate", "self", "super"].contains(&first.as_str()));
        let prefixes = (1..path.len()).rev().map(|count| &path[..count]);
        prefixes.filter(|_| own).find_map(|prefix| self.definition(module, prefix, 16))
    }

    /// The import circles between files.
    fn circles(&self) -> Vec<String> {
        let mut edges = DiGraphMap::<&Path, ()>::new();
        for (module, contents) in &self.0 {
            for path in &contents.paths {
                let Some(on) = self.definition(module, path, 16).or_else(|| self.longest(module, path)) else {
                    continue;
                };
                if !module.starts_with(&on) && !on.starts_with(module) {
                    edges.add_edge(&contents.file, &self.0[&on].file, ());
                }
            }
        }
        let mut circles = Vec::new();
        for group in kosaraju_scc(&edges).into_iter().filter(|group| group.len() > 1) {
            let first = group.iter().min().copied().unwrap_or(Path::new(""));
            let back = |file: &Path| edges.contains_edge(file, first);
            let way = astar(&edges, first, |file| file != first && back(file), |_| 1, |_| 0).map(|(_, way)| way);
            let names = way.into_iter().flatten().chain([first]).map(|file| file.display().to_string());
            circles.push(names.collect::<Vec<_>>().join(" → "));
        }
        circles.sort();
        circles
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    };
    attributes.iter().any(is_test)
}

impl Contents {
    fn import(&mut self, mut path: Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.import(path, &tree.tree);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(path.clone(), tree)),
            UseTree::Glob(_) => {
                self.paths.insert(path.clone());
                self.globs.push(path);
            }
            UseTree::Name(name) => self.name(path, &name.ident.to_string(), None),
            UseTree::Rename(rename) => self.name(path, &rename.ident.to_string(), Some(rename.rename.to_string())),
        }
    }

    fn name(&mut self, mut path: Vec<String>, name: &str, alias: Option<String>) {
        // `use a::{self}` imports `a`.
        if name != "self" {
            path.push(name.to_owned());
        }
        self.paths.insert(path.clone());
        if let Some(name) = alias.or_else(|| path.last().cloned()) {
            self.names.insert(name, path);
        }
    }

    /// Paths in the arguments of a macro, which are only tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) if colons == 2 && !path.is_empty() => path.push(name.to_string()),
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => {
                    colons = if colons == 2 { 1 } else { colons + 1 };
                    continue;
                }
                other => {
                    self.used(std::mem::take(&mut path));
                    match other {
                        TokenTree::Ident(name) => path.push(name.to_string()),
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        _ => {}
                    }
                }
            }
            colons = 0;
        }
        self.used(path);
    }

    fn used(&mut self, path: Vec<String>) {
        if path.len() > 1 {
            self.paths.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Contents {
    fn visit_item(&mut self, item: &'ast Item) {
        let (name, attributes) = match item {
            Item::Const(item) => (Some(&item.ident), &item.attrs),
            Item::Enum(item) => (Some(&item.ident), &item.attrs),
            Item::Fn(item) => (Some(&item.sig.ident), &item.attrs),
            Item::Impl(item) => (None, &item.attrs),
            Item::Macro(item) => (item.ident.as_ref(), &item.attrs),
            Item::Static(item) => (Some(&item.ident), &item.attrs),
            Item::Struct(item) => (Some(&item.ident), &item.attrs),
            Item::Trait(item) => (Some(&item.ident), &item.attrs),
            Item::Type(item) => (Some(&item.ident), &item.attrs),
            Item::Use(item) => (None, &item.attrs),
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            self.items.extend(name.map(ToString::to_string));
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.used(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.visit_path(&item.path);
        self.tokens(item.tokens.clone());
    }
}

fn circles(root: &str, files: &[(&str, &str)]) -> Outcome<Vec<String>> {
    let read = |file: &Path| files.iter().find(|(name, _)| Path::new(name) == file).map(|(_, text)| (*text).to_owned());
    Ok(Sources::read(Path::new(root), &read)?.circles())
}

#[test]
fn finds_circles() -> Outcome {
    let root = ("lib.rs", "mod a; mod b; mod c; pub use c::d::D; pub use self::b::Start;");
    let c = ("c.rs", "pub mod d; pub(crate) use d::E; pub struct Own;");
    let d = ("c/d.rs", "use super::Own; pub struct D; pub struct E;");
    for (name, a, b, expected) in [
        ("none", "use crate::b::B;", "pub struct B;", None),
        ("an import", "use crate::{b::{self}}; pub fn f() {}", "use super::a::f as g;", Some("a.rs → b.rs → a.rs")),
        ("a path", "pub struct A(crate::b::B);", "pub struct B(Box<super::a::A>);", Some("a.rs → b.rs → a.rs")),
        (
            "a macro's tokens",
            "pub struct A; fn a() { m!(x, [crate::b::B]) }",
            "pub struct B(super::a::A);",
            Some("a.rs → b.rs → a.rs"),
        ),
        (
            "a re-export by the root",
            "use crate::Start; pub struct A;",
            "use crate::a::A; pub struct Start;",
            Some("a.rs → b.rs → a.rs"),
        ),
        ("an item made by a macro", "m!(A);", "use crate::a::A; type A = super::a::A;", None),
        ("items made by macros", "m!(B, crate::b::B);", "use crate::a::A; m!(A);", Some("a.rs → b.rs → a.rs")),
        ("a glob", "use crate::b::*; pub struct A;", "use crate::a::*; pub struct B;", Some("a.rs → b.rs → a.rs")),
        ("a comment", "use crate::b::B; // crate::a", "pub struct B; const B: &str = \"crate::a::A\";", None),
        ("a test", "use crate::b::B; pub struct A;", "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }", None),
        ("a module and its child", "use crate::D; use crate::c::Own;", "", None),
    ] {
        let found = circles("lib.rs", &[root, ("a.rs", a), ("b.rs", b), c, d])?;
        assert_eq!(found.first().map(String::as_str), expected, "{name}");
    }
    let nested = [
        ("lib.rs", "mod a; mod c;"),
        ("a.rs", "pub use crate::c::E; pub struct A;"),
        ("c/mod.rs", "mod d; mod e; pub use d::E;"),
        ("c/d.rs", "use super::e::F; pub struct E;"),
        ("c/e.rs", "use crate::a::A; pub struct F;"),
    ];
    assert_eq!(circles("lib.rs", &nested)?, ["a.rs → c/d.rs → c/e.rs → a.rs"]);
    assert!(circles("lib.rs", &[("lib.rs", "mod gone;")]).is_err());
    Ok(())
}

#[test]
fn no_files_import_each_other() -> Outcome {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let mut packages = vec![top.join("state")];
    for package in fs::read_dir(top.join("crates"))? {
        packages.push(package?.path());
    }
    packages.sort();
    let mut found = Vec::new();
    let mut files = 0;
    for package in packages {
        for root in ["src/lib.rs", "src/main.rs"].map(|root| package.join(root)) {
            if root.is_file() {
                let sources = Sources::read(&root, &|file| fs::read_to_string(file).ok())?;
                files += sources.0.len();
                found.extend(sources.circles());
            }
        }
    }
    let top = format!("{}/", top.display());
    let found: Vec<_> = found.iter().map(|circle| circle.replace(&top, "")).collect();
    assert!(files > 200, "only {files} modules found");
    assert!(found.is_empty(), "files import each other: move what they share into a file of its own: {found:#?}");
    Ok(())
}
