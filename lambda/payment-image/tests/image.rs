//! The image of any program: the content of the archive, and that it depends only on the program.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::process::Command;

use flate2::read::GzDecoder;
use oci_spec::image::{Arch, ImageConfiguration, ImageIndex, ImageManifest, MediaType, OciLayout, Os};
use payment_image::{BOOTSTRAP, ImageError, NAME, PROGRAM, USER, image, package};
use sha2::{Digest, Sha256};
use tar::{Archive, EntryType};

/// The header of a program for a machine, with one segment of a type.
fn program(machine: u16, segment: u32) -> Vec<u8> {
    let mut program =
        [&b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"[..], &2_u16.to_le_bytes(), &machine.to_le_bytes()].concat();
    program.extend([&1_u32.to_le_bytes()[..], &0_u64.to_le_bytes(), &64_u64.to_le_bytes(), &[0; 12]].concat());
    program.extend([64_u16, 56, 1, 64, 0, 0].into_iter().flat_map(u16::to_le_bytes));
    program.extend(segment.to_le_bytes());
    program.extend([0; 52]);
    program
}

/// A program that needs a version of a library, with the sections that show it.
fn dynamic(library: &str, version: &str) -> Vec<u8> {
    let names = format!("\0{library}\0{version}\0");
    let version_at = u32::try_from(library.len() + 2).unwrap();
    // Entries of the dynamic section: the library is needed, and the end.
    let needed: Vec<u8> = [1_u64, 1, 0, 0].into_iter().flat_map(u64::to_le_bytes).collect();
    // One library, whose name is at 1, with one version.
    let mut versions = [1_u16, 1].into_iter().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    versions.extend([1_u32, 16, 0, 0, 2 << 16, version_at, 0].into_iter().flat_map(u32::to_le_bytes));

    let mut program = program(X86_64, INTERPRETER);
    let mut sections = vec![0; 64];
    for (kind, content, info, size) in
        [(STRINGS, names.as_bytes(), 0, 0_u64), (DYNAMIC, &needed, 0, 16), (VERSIONS, &versions, 1, 0)]
    {
        let (offset, length) = (program.len() as u64, content.len() as u64);
        sections.extend([0, kind].into_iter().flat_map(u32::to_le_bytes));
        sections.extend([0, 0, offset, length].into_iter().flat_map(u64::to_le_bytes));
        sections.extend([1, info].into_iter().flat_map(u32::to_le_bytes));
        sections.extend([1, size].into_iter().flat_map(u64::to_le_bytes));
        program.extend(content);
    }
    let at = (program.len() as u64).to_le_bytes();
    program.splice(40..48, at);
    program.splice(60..62, 4_u16.to_le_bytes());
    program.extend(sections);
    program
}

/// The types of sections: names, dynamic linking, and versions of symbols.
const STRINGS: u32 = 3;
const DYNAMIC: u32 = 6;
const VERSIONS: u32 = 0x6fff_fffe;

const X86_64: u16 = 62;
const AARCH64: u16 = 183;
/// A segment with code.
const LOAD: u32 = 1;
/// The segment with the path of the dynamic loader.
const INTERPRETER: u32 = 3;

/// An entry of an archive.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    kind: EntryType,
    mode: u32,
    /// Its user, its group and its time.
    rest: (u64, u64, u64),
    bytes: Vec<u8>,
}

/// The entries, in order.
fn unpack(archive: &[u8]) -> Vec<(String, Entry)> {
    let mut archive = Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let header = entry.header();
        let rest = (header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap());
        let (kind, mode) = (header.entry_type(), header.mode().unwrap());
        (entry.path().unwrap().to_str().unwrap().to_owned(), Entry { kind, mode, rest, bytes })
    });
    entries.collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// M-15: the archive is an OCI image layout with correct digests and sizes, and its program runs as the user nobody.
#[test]
fn m15_the_archive_is_an_image_that_nobody_runs() {
    let program = program(X86_64, LOAD);
    let image = image(&program).unwrap();
    let entries: BTreeMap<_, _> = unpack(&image.archive).into_iter().collect();
    let file = |path: &str| entries[path].bytes.as_slice();
    assert_eq!(OciLayout::from_reader(file("oci-layout")).unwrap().image_layout_version(), "1.0.0");
    for (path, entry) in &entries {
        if let Some(name) = path.strip_prefix("blobs/sha256/").filter(|name| !name.is_empty()) {
            assert_eq!(sha256(&entry.bytes), *name);
        }
    }

    let blob = |descriptor: &oci_spec::image::Descriptor| {
        let bytes = file(&format!("blobs/sha256/{}", descriptor.digest().digest()));
        assert_eq!(descriptor.size(), bytes.len() as u64);
        bytes
    };
    let index = ImageIndex::from_reader(file("index.json")).unwrap();
    let [manifest] = index.manifests().as_slice() else { panic!("{index:?}") };
    assert_eq!((manifest.media_type(), manifest.digest().to_string()), (&MediaType::ImageManifest, image.digest));
    let manifest = ImageManifest::from_reader(blob(manifest)).unwrap();
    let config = ImageConfiguration::from_reader(blob(manifest.config())).unwrap();
    assert_eq!((config.architecture(), config.os(), config.created()), (&Arch::Amd64, &Os::Linux, &None));
    let runs = config.config().as_ref().unwrap();
    assert_eq!((runs.user().as_deref(), USER), (Some(USER), "65532:65532"));
    assert_eq!((runs.entrypoint().as_deref(), runs.cmd()), (Some(&[PROGRAM.to_owned()][..]), &None));
    assert_eq!(runs.stop_signal().as_deref(), Some("SIGTERM"));

    let [layer] = manifest.layers().as_slice() else { panic!("{manifest:?}") };
    let packed = blob(layer);
    let mut layer = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut layer).unwrap();
    assert_eq!(config.rootfs().diff_ids(), &[format!("sha256:{}", sha256(&layer))]);

    // Docker before version 25 reads this instead.
    let docker: serde_json::Value = serde_json::from_slice(file("manifest.json")).unwrap();
    let path = |bytes: &[u8]| format!("blobs/sha256/{}", sha256(bytes));
    let expected = serde_json::json!([{
        "Config": path(blob(manifest.config())), "Layers": [path(packed)], "RepoTags": [NAME],
    }]);
    assert_eq!(docker, expected);
}

/// M-15: nothing in the image is writable.
#[test]
fn m15_the_root_has_the_program_and_certificates_and_is_for_nobody_to_write() {
    let program = program(AARCH64, LOAD);
    let image = image(&program).unwrap();
    let outer = unpack(&image.archive);
    let layer = outer.iter().find(|(_, entry)| entry.bytes.starts_with(b"\x1f\x8b")).unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(layer.1.bytes.as_slice()).read_to_end(&mut bytes).unwrap();
    let root = unpack(&bytes);
    let paths: Vec<_> = root.iter().map(|(path, entry)| (path.as_str(), entry.mode)).collect();
    let expected = [
        ("etc/", 0o555),
        ("etc/group", 0o444),
        ("etc/nsswitch.conf", 0o444),
        ("etc/passwd", 0o444),
        ("etc/ssl/", 0o555),
        ("etc/ssl/certs/", 0o555),
        ("etc/ssl/certs/ca-certificates.crt", 0o444),
        ("payment-service", 0o555),
    ];
    assert_eq!(paths, expected);
    assert!(root.iter().chain(&outer).all(|(_, entry)| entry.rest == (0, 0, 0) && entry.mode & 0o222 == 0));
    let root: BTreeMap<_, _> = root.into_iter().collect();
    assert_eq!(root["payment-service"].bytes, program);
    let certificates = pem::parse_many(&root["etc/ssl/certs/ca-certificates.crt"].bytes).unwrap();
    assert!(certificates.len() > 100, "{}", certificates.len());
    assert!(certificates.iter().all(|certificate| certificate.tag() == "CERTIFICATE"));
}

/// M-15: the same program always gives the same image, another program a different one.
#[test]
fn m15_an_image_depends_on_its_program_only() {
    let [first, second] = [(); 2].map(|()| image(&program(X86_64, LOAD)).unwrap());
    assert_eq!(first.digest, second.digest);
    assert_eq!(first.archive, second.archive);
    let other = image(&[program(X86_64, LOAD), vec![0]].concat()).unwrap();
    assert_ne!(first.digest, other.digest);
}

#[test]
fn a_program_that_would_not_run_there_is_refused() {
    assert!(matches!(image(b"#!/bin/sh\n"), Err(ImageError::Elf(_))));
    assert!(matches!(image(&program(X86_64, INTERPRETER)), Err(ImageError::Dynamic)));
    // The test binary itself is linked dynamically.
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(matches!(image(&own), Err(ImageError::Dynamic)));
    assert!(matches!(image(&program(3, LOAD)), Err(ImageError::Machine(3))));
}

/// G-03: Python's zip library, an independent reader, finds one program that everyone may run, and no times.
#[test]
fn g03_a_package_has_the_program_that_lambda_runs() {
    for machine in [X86_64, AARCH64] {
        let program = [program(machine, LOAD), vec![7; 100_000]].concat();
        let folder = tempfile::tempdir().unwrap();
        let (archive, inside) = (folder.path().join("package.zip"), folder.path().join("program"));
        fs::write(&archive, package(&program).unwrap()).unwrap();
        let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
                      open(sys.argv[2], 'wb').write(z.read('bootstrap'))\n\
                      print([(i.filename, oct(i.external_attr >> 16), i.date_time) for i in z.infolist()])";
        let output = Command::new("python3").args(["-c", script]).args([&archive, &inside]).output().unwrap();
        let listed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(listed.trim(), format!("[('{BOOTSTRAP}', '0o100755', (1980, 1, 1, 0, 0, 0))]"));
        assert_eq!(fs::read(&inside).unwrap(), program);
    }
}

/// G-03: a package depends on its program only, so an unchanged function is never a change in a plan.
#[test]
fn g03_a_package_depends_on_its_program_only() {
    let (one, other) = (program(X86_64, LOAD), program(AARCH64, LOAD));
    assert_eq!(package(&one).unwrap(), package(&one).unwrap());
    assert_ne!(package(&one).unwrap(), package(&other).unwrap());
    assert!(matches!(package(&program(8, LOAD)), Err(ImageError::Machine(8))));
    assert!(matches!(package(b"#!/bin/sh"), Err(ImageError::Elf(_))));
}

/// G-03: Lambda's runtime has glibc 2.34 and no other libraries.
#[test]
fn g03_a_package_needs_no_more_than_the_runtime_has() {
    for (library, version) in
        [("libc.so.6", "GLIBC_2.2.5"), ("libm.so.6", "GLIBC_2.34"), ("ld-linux-aarch64.so.1", "GLIBC_2.17")]
    {
        assert!(package(&dynamic(library, version)).is_ok(), "{library} {version}");
    }
    let refused = |program: &[u8]| package(program).unwrap_err().to_string();
    for version in ["GLIBC_2.35", "GLIBC_3.0", "GLIBC_ABI_DT_RELR", "GLIBC_PRIVATE", "GCC_3.0", "GLIBC_", "GLIBC_2"] {
        let expected = format!("the binary needs {version}, but Amazon Linux 2023 has glibc 2.34: build it with");
        let message = refused(&dynamic("libc.so.6", version));
        assert!(message.starts_with(&expected), "{message}");
    }
    for library in ["libgcc_s.so.1", "libssl.so.3", "libc.musl-x86_64.so.1", "libcrypt.so.1", "libc"] {
        let message = refused(&dynamic(library, "GLIBC_2.17"));
        assert!(message.starts_with(&format!("the binary needs the library {library}, which")), "{message}");
    }
    assert!(matches!(package(&program(X86_64, INTERPRETER)), Err(ImageError::Unversioned)));
    // The image has no glibc at all.
    assert!(matches!(image(&dynamic("libc.so.6", "GLIBC_2.17")), Err(ImageError::Dynamic)));
}
