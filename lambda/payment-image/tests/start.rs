//! Starts the image that `cargo image` creates, on its own root file system.
//!
//! `cargo test -p payment-image --test start -- --ignored --nocapture` builds the service, which takes minutes, and
//! needs
//! root for `chroot`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use payment_image::{PROGRAM, USER};
use tar::Archive;

const STARTS: usize = 21;
/// The maximum startup time.
const MOST: Duration = Duration::from_millis(50);

/// All files and folders under a folder.
fn paths(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { &paths(&path) | &BTreeSet::from([path]) } else { [path].into() })
        .collect()
}

/// M-15: the image is built by one command without a registry, runs as nobody, starts in less than 50 ms, and writes no
/// files.
#[test]
#[ignore = "builds the release binary; see the command at the top of this file"]
fn m15_the_image_starts_at_once_as_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("payment-service.tar");
    assert!(Command::new(env!("CARGO_BIN_EXE_payment-image")).arg(&archive).status().unwrap().success());
    let layout = folder.path().join("layout");
    Archive::new(File::open(&archive).unwrap()).unpack(&layout).unwrap();
    let blob = |descriptor: &Descriptor| layout.join("blobs/sha256").join(descriptor.digest().digest());
    let index = ImageIndex::from_file(layout.join("index.json")).unwrap();
    let manifest = ImageManifest::from_file(blob(&index.manifests()[0])).unwrap();
    let root = folder.path().join("root");
    Archive::new(GzDecoder::new(File::open(blob(&manifest.layers()[0])).unwrap())).unpack(&root).unwrap();
    let before = paths(&root);

    let mut times: Vec<_> = (0..STARTS)
        .map(|_| {
            let mut command = Command::new("chroot");
            command.arg(format!("--userspec={USER}")).arg(&root).arg(PROGRAM);
            command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs([
                ("AUDIT_BUCKET", "b"),
                ("AUTH", "none"),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("BIND_ADDRESS", "127.0.0.1"),
                ("PAYMENTS_TABLE", "t"),
                ("PHASE", "legacy"),
                ("PORT", "0"),
            ]);
            let begun = Instant::now();
            let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
            let listening = lines.any(|line| line.contains(r#""message":"listening""#));
            let time = begun.elapsed();
            // `chroot` has been replaced by the service.
            let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
            process.kill().unwrap();
            process.wait().unwrap();
            assert!(listening, "it did not start");
            assert!(status.contains("Uid:\t65532\t65532\t65532\t65532"), "{status}");
            time
        })
        .collect();
    times.sort_unstable();
    assert_eq!(paths(&root), before);
    let half = times[STARTS / 2];
    println!("the image starts in {:.1} ms (median of {STARTS})", half.as_secs_f64() * 1_000.0);
    assert!(half < MOST, "{times:?}");
}
