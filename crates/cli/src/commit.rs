//! The commit that the configuration was checked out from.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

/// A commit of the git repository that contains the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commit {
    /// Its id.
    pub(crate) id: String,
    /// Whether the configuration file differed from the one in the commit, or was not in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) modified: bool,
}

impl Commit {
    /// The commit that `file` was checked out from; `None` without a repository, without a commit, or without git.
    pub(crate) fn of(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let status = ["status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--ignored", "--", name];
        Self::parse(&String::from_utf8_lossy(&git(folder, &status)?))
    }

    /// The contents of `file`, relative to `folder` in the repository, in this commit; `None` if it is not in it, or the
    /// repository does not have the commit.
    pub(crate) fn read(&self, folder: &Path, file: &Path) -> Option<Vec<u8>> {
        let object = format!("{}:./{}", self.id, file.to_str()?);
        git(folder, &["cat-file", "blob", &object])
    }

    /// From the output of `git status` for the file: headers, and a line if it differs.
    fn parse(status: &str) -> Option<Self> {
        let id = status.lines().find_map(|line| line.strip_prefix("# branch.oid "))?;
        // Before the first commit, it is `(initial)`.
        let is_id = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let modified = status.lines().any(|line| !line.starts_with("# "));
        is_id.then(|| Self { id: id.to_owned(), modified })
    }
}

/// The output of git in `folder`; `None` if it fails, or is not installed.
fn git(folder: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    // It writes nothing, takes paths literally, and looks for the repository from the folder.
    git.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_LITERAL_PATHSPECS", "1");
    git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
    git.output().ok().filter(|output| output.status.success()).map(|output| output.stdout)
}

/// Its short id, with `+` if the configuration file was modified.
impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.modified { "+" } else { "" };
        write!(f, "{:.12}{mark}", self.id)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn run(folder: &Path, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.arg("-C").arg(folder).args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(arguments);
        assert!(git.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap().status.success(), "{arguments:?}");
    }

    #[test]
    fn the_commit_of_the_configuration_is_found_in_repositories_and_worktrees() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("payinfra.toml");
        std::fs::write(&file, "stack = \"a\"").unwrap();
        assert_eq!(Commit::of(&file), None, "no repository");
        run(folder.path(), &["init", "--quiet"]);
        assert_eq!(Commit::of(&file), None, "no commit");
        std::fs::write(folder.path().join("other"), "").unwrap();
        run(folder.path(), &["add", "other"]);
        run(folder.path(), &["commit", "--quiet", "--message", "one"]);
        assert!(Commit::of(&file).unwrap().modified, "it is not in the commit");
        run(folder.path(), &["add", "payinfra.toml"]);
        run(folder.path(), &["commit", "--quiet", "--message", "two"]);
        let commit = Commit::of(&file).unwrap();
        assert!(!commit.modified && commit.id.len() == 40, "{commit:?}");
        assert_eq!(commit.to_string(), commit.id[..12]);
        run(folder.path(), &["pack-refs", "--all"]);
        let worktree = folder.path().join("worktree");
        run(folder.path(), &["worktree", "add", "--quiet", "--detach", worktree.to_str().unwrap()]);
        let there = worktree.join("payinfra.toml");
        assert_eq!(Commit::of(&there).as_ref(), Some(&commit));
        std::fs::write(&there, "stack = \"b\"").unwrap();
        assert_eq!(Commit::of(&there).unwrap().to_string(), format!("{commit}+"));
        let read = |name: &str| commit.read(&worktree, Path::new(name));
        assert_eq!(read("payinfra.toml").unwrap(), b"stack = \"a\"", "as it was committed");
        assert_eq!(read("missing"), None);
        let unknown = Commit { id: "0".repeat(40), modified: false };
        assert_eq!(unknown.read(&worktree, Path::new("payinfra.toml")), None);
    }
}
