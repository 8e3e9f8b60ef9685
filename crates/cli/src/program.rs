//! The name of the running program. A program with its own stacks is a command line of its own, so help, completions and
//! hints show the name that its users enter.

use std::borrow::Cow;
use std::env::consts::EXE_SUFFIX;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;

/// The name of the program that payinfra ships, which hints in all crates use.
const SHIPPED: &str = "payinfra";

/// The name of this process's program.
static NAME: OnceLock<String> = OnceLock::new();

/// Sets the name from the first argument of the process. Only the first call has an effect.
pub(crate) fn set(first: Option<&OsStr>) {
    if let Some(name) = first.and_then(stem) {
        NAME.get_or_init(|| name.to_owned());
    }
}

/// The name of this program.
pub(crate) fn name() -> &'static str {
    NAME.get().map_or(SHIPPED, String::as_str)
}

/// The version: payinfra's, because the command line does not know the version of a program that uses it.
pub(crate) fn version() -> &'static str {
    if name() == SHIPPED { env!("CARGO_PKG_VERSION") } else { concat!("(payinfra ", env!("CARGO_PKG_VERSION"), ")") }
}

/// `text` for people, with the name of this program in the commands that it shows: `` `payinfra apply` `` becomes
/// `` `website apply` ``. Tags, files, variables and the name of payinfra itself stay.
pub(crate) fn named(text: &str) -> Cow<'_, str> {
    renamed(text, name())
}

/// The file name in a path to a program, without the suffix of executables.
fn stem(path: &OsStr) -> Option<&str> {
    let file = Path::new(path).file_name()?.to_str()?;
    Some(file.strip_suffix(EXE_SUFFIX).unwrap_or(file)).filter(|name| !name.is_empty())
}

fn renamed<'a>(text: &'a str, name: &str) -> Cow<'a, str> {
    const COMMAND: &str = "`payinfra ";
    if name == SHIPPED || !text.contains(COMMAND) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(COMMAND);
    let mut renamed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_command = part.starts_with(|letter: char| letter.is_ascii_lowercase());
        renamed.push('`');
        renamed.push_str(if is_command { name } else { SHIPPED });
        renamed.push(' ');
        renamed.push_str(part);
    }
    Cow::Owned(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_the_executable() {
        for (path, expected) in [
            ("website", Some("website")),
            (&*format!("target/debug/website{EXE_SUFFIX}"), Some("website")),
            ("/opt/stacks.v2", Some("stacks.v2")),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(stem(OsStr::new(path)), expected);
        }
        assert_eq!(name(), "payinfra", "nothing has set it");
    }

    #[test]
    fn only_commands_are_renamed() {
        for (text, expected) in [
            ("`payinfra apply`", "`website apply`"),
            (
                "run `payinfra state rm a` or `payinfra plan --out FILE`.",
                "run `website state rm a` or `website plan --out FILE`.",
            ),
            ("another version of payinfra supports it", "another version of payinfra supports it"),
            ("the tag `payinfra:lineage` in `payinfra.toml`", "the tag `payinfra:lineage` in `payinfra.toml`"),
            (
                "pass one to `payinfra::main`, or set `PAYINFRA_LOG`",
                "pass one to `payinfra::main`, or set `PAYINFRA_LOG`",
            ),
            ("the table `payinfra-locks`, or `payinfra 0.1`", "the table `payinfra-locks`, or `payinfra 0.1`"),
            ("`payinfra`", "`payinfra`"),
            ("nothing", "nothing"),
            ("", ""),
        ] {
            assert_eq!(renamed(text, "website"), expected);
            assert_eq!(renamed(text, "payinfra"), text);
        }
    }
}
