//! `payinfra new`: creates a crate with a stack of one's own, from the files of `examples/hello`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use payinfra_engine::{Error, Region, Result};
use payinfra_stack::{AccountId, NameForm, Names, Suffix};
use toml_edit::{InlineTable, Value};
use uuid::Uuid;

use super::Execute;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::screen;

#[derive(Args)]
pub(super) struct New {
    /// Name of the crate, of its folder, and of its stack: lower-case letters, digits and inner hyphens
    name: String,
    /// Checkout of the library to depend on; by default, the crate depends on this version in the library's repository
    #[arg(long)]
    path: Option<PathBuf>,
}

impl Execute for New {
    const NAME: &'static str = "new";
    const ABOUT: &'static str = "Create a crate with your own stack, its tests and a CI workflow";

    async fn execute(self, _: &Context) -> Outcome {
        let name = &self.name;
        is_valid(name)?;
        let source = match &self.path {
            None => Source::Release,
            Some(path) => Source::checkout(path)?,
        };
        let folder = Path::new(name);
        is_free(folder)?;
        create(folder, &files(name, &source))?;
        screen::print(&format!(
            "Created {name}: a network, an encrypted bucket, and a role that may read it. Next:\n\
             \n  cd {name}\
             \n  cargo test                # the first build compiles the AWS SDK, which takes 15 to 30 minutes\
             \n  cargo run -- bootstrap    # once per account: the bucket for states, and the lock table\
             \n  cargo run -- apply        # shows the plan, asks, and creates the resources\n\
             \nThe stack is in {name}/src/main.rs, and its variables are in {name}/payinfra.toml.\n"
        ));
        Ok(Exit::Done)
    }
}

/// The name of the crate that the files are written for, and of its stack.
const EXAMPLE: &str = "hello";

/// The files of the crate besides its manifest, as `examples/hello` has them.
const FILES: [(&str, &str); 6] = [
    (".github/workflows/ci.yml", include_str!("../../../../examples/hello/.github/workflows/ci.yml")),
    (".gitignore", "/target\n"),
    ("payinfra.toml", include_str!("../../../../examples/hello/payinfra.toml")),
    ("src/main.rs", include_str!("../../../../examples/hello/src/main.rs")),
    ("src/tests.rs", include_str!("../../../../examples/hello/src/tests.rs")),
    ("tests/emulated.rs", include_str!("../../../../examples/hello/tests/emulated.rs")),
];

/// The crates of payinfra that it depends on, in dependencies and in those of its tests, with their folders.
const CRATES: [(&str, &str); 1] = [("payinfra", "crates/cli")];
const TEST_CRATES: [(&str, &str); 2] = [("payinfra-localstack", "localstack"), ("payinfra-testkit", "crates/testkit")];

/// Names that Cargo or the compiler rejects for a crate, or that the crate could not have besides its dependencies.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "payinfra",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "schemars",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "yield",
];

/// What the names of payinfra's own crates begin with. Cargo rejects a crate that has the name of one in a checkout.
const OWN: &str = "payinfra-";

/// Where the crate gets payinfra from.
enum Source {
    /// This version in the repository.
    Release,
    /// A checkout.
    Checkout(String),
}

impl Source {
    fn checkout(path: &Path) -> Result<Self> {
        let refused = |why: String| {
            let message = format!("{} is not a checkout of payinfra: {why}", path.display());
            Error::invalid(message).hint(format!("pass the folder of a clone of {}", env!("CARGO_PKG_REPOSITORY")))
        };
        let whole = fs::canonicalize(path).map_err(|error| refused(error.to_string()))?;
        for (_, folder) in CRATES.iter().chain(&TEST_CRATES) {
            let manifest = Path::new(folder).join("Cargo.toml");
            if !whole.join(&manifest).is_file() {
                return Err(refused(format!("it has no {}", manifest.display())));
            }
        }
        let whole = whole.into_os_string().into_string();
        whole.map(Self::Checkout).map_err(|_| refused("its path is not valid UTF-8".to_owned()))
    }

    /// The lines of a manifest for dependencies on `crates`.
    fn dependencies(&self, crates: &[(&str, &str)]) -> String {
        let line = |(name, folder): &(&str, &str)| {
            let mut place = InlineTable::new();
            match self {
                Self::Release => {
                    place.insert("git", env!("CARGO_PKG_REPOSITORY").into());
                    place.insert("tag", concat!("v", env!("CARGO_PKG_VERSION")).into());
                }
                Self::Checkout(path) => drop(place.insert("path", format!("{path}/{folder}").into())),
            }
            format!("{name} = {}\n", Value::InlineTable(place))
        };
        crates.iter().map(line).collect()
    }
}

/// Checks that a crate and a stack can have this name, and that the names of its resources are not too long.
fn is_valid(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) || !name.bytes().all(fits) || name.ends_with('-') {
        return Err(Error::invalid(format!("`{name}` is not a valid name of a crate and a stack"))
            .hint("begin with a letter, and use lower-case letters, digits and inner hyphens"));
    }
    if name.starts_with(OWN) {
        return Err(Error::invalid(format!("`{name}` is reserved: payinfra's own crates have such names"))
            .hint(format!("choose a name that does not begin with `{OWN}`")));
    }
    if RESERVED.contains(&name) {
        return Err(
            Error::invalid(format!("`{name}` is reserved: a crate cannot have this name")).hint("choose another name")
        );
    }
    // As the example names its bucket.
    let form = NameForm::new(&format!("{name}-{{type}}-{{workspace}}-{{suffix}}"));
    let names = Names::new(&form, "demo", &Suffix::parse("h1")?, &AccountId::any())?;
    names.bucket("files", &Region::new("us-east-1")).map_err(|error| error.hint("choose a shorter name"))?;
    Ok(())
}

/// Checks that nothing would be overwritten.
fn is_free(folder: &Path) -> Result<()> {
    let is_empty = |folder: &Path| fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(about) if about.is_dir() && is_empty(folder) => Ok(()),
        Ok(_) => {
            Err(Error::invalid(format!("{} exists already", folder.display()))
                .hint("choose another name, or move it away"))
        }
        Err(error) => Err(Error::failed(format!("{} cannot be read: {error}", folder.display())).source(error)),
    }
}

/// The files of the crate `name`, by path.
fn files(name: &str, source: &Source) -> Vec<(&'static str, String)> {
    let manifest = format!(
        "[package]\n\
         name = \"{name}\"\n\
         version = \"0.1.0\"\n\
         edition = \"2024\"\n\
         \n\
         [dependencies]\n\
         {}\
         schemars = \"1.2\"\n\
         serde = {{ version = \"1.0\", features = [\"derive\"] }}\n\
         \n\
         [dev-dependencies]\n\
         {}\
         \n\
         [profile.dev.package.\"*\"]\n\
         debug = false # the AWS SDK has gigabytes of debug information\n",
        source.dependencies(&CRATES),
        source.dependencies(&TEST_CRATES),
    );
    let named = FILES.iter().map(|(path, text)| (*path, text.replace(EXAMPLE, name)));
    std::iter::once(("Cargo.toml", manifest)).chain(named).collect()
}

/// Creates `folder` with `files`, as a whole or not at all: in a folder beside it, which is then renamed.
fn create(folder: &Path, files: &[(&str, String)]) -> Result<()> {
    let beside = PathBuf::from(format!(".{}.{}.new", folder.display(), Uuid::new_v4()));
    let created = || -> io::Result<()> {
        for (path, text) in files {
            let path = beside.join(path);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, text)?;
        }
        fs::rename(&beside, folder)
    };
    created().map_err(|error| {
        // It may not exist.
        let _ = fs::remove_dir_all(&beside);
        Error::failed(format!("{} cannot be created: {error}", folder.display())).source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_are_sorted_and_refused() {
        assert!(RESERVED.is_sorted());
        assert!(RESERVED.iter().all(|name| is_valid(name).is_err()));
    }

    #[test]
    fn a_name_is_valid_for_cargo_and_for_aws() -> Result<()> {
        for name in ["shop", "my-stack", "s3", "a--b", "a-name-of-thirty-characters-ok"] {
            is_valid(name)?;
        }
        for name in ["", "Shop", "my_stack", "3s", "-a", "a-", "a b", "../a", "a/b", "ä", "payinfra-stack"] {
            assert!(is_valid(name).is_err(), "{name}");
        }
        let long = is_valid("a-name-of-thirty-one-characters").err();
        assert!(long.is_some_and(|error| error.message().contains("AWS accepts at most 63")));
        Ok(())
    }

    #[test]
    fn a_manifest_quotes_the_path() {
        let source = Source::Checkout("/tmp/a \"b\"".to_owned());
        let lines = source.dependencies(&CRATES);
        let read: toml_edit::DocumentMut = lines.parse().unwrap_or_default();
        assert_eq!(read["payinfra"]["path"].as_str(), Some("/tmp/a \"b\"/crates/cli"), "{lines}");
    }
}
