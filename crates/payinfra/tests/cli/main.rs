//! The command line: one file per command.

#![expect(clippy::unwrap_used, reason = "tests")]

mod adopt;
mod apply;
mod bootstrap;
mod completions;
mod deploy;
mod destroy;
mod drift;
mod failover;
mod graph;
mod graph_documents;
mod graph_file;
mod history;
mod import;
mod init;
mod new;
mod output;
mod permissions;
mod phase;
mod plan;
mod rollback;
mod schema;
mod stacks;
mod state;
mod stdout;
mod support;
mod sweep;
mod traffic;
mod unlock;
mod validate;
mod workspace;

/// Every command has tests.
#[test]
fn every_command_has_its_file() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    for entry in payinfra::COMMANDS {
        assert!(folder.join(entry.name).with_extension("rs").exists(), "{} has no tests", entry.name);
    }
}
