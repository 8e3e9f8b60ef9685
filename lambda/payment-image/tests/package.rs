//! The package that `cargo function` builds.
//!
//! `cargo test -p payment-image --test package -- --ignored --nocapture` builds the function twice for each
//! architecture, which takes an hour, and needs zig: see `lambda/zig/requirements.txt`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::process::Command;

use sha2::{Digest, Sha256};

/// The maximum size of a package in bytes.
const LARGEST: usize = 5 << 20;

/// G-03: the same source gives the same package, wherever it is built, which is smaller than 5 MiB.
#[test]
#[ignore = "builds the function four times; see the command at the top of this file"]
fn g03_the_same_source_gives_the_same_package() {
    for architecture in ["x86_64", "arm64"] {
        let [first, second] = [(); 2].map(|()| {
            let folder = tempfile::tempdir().unwrap();
            let archive = folder.path().join("function.zip");
            let mut command = Command::new(env!("CARGO_BIN_EXE_payment-package"));
            command.arg(&archive).args(["--architecture", architecture]);
            assert!(command.env("CARGO_TARGET_DIR", folder.path().join("target")).status().unwrap().success());
            fs::read(&archive).unwrap()
        });
        let hash = Sha256::digest(&first).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        println!("{architecture}: {} KiB, sha256:{hash}", first.len() >> 10);
        assert!(first.len() < LARGEST, "{}", first.len());
        assert!(first == second, "{architecture}: two builds differ");
    }
}
