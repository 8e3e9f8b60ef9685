//! The container image of the payments service, and the deployment package ([`package`]) of the payments function.
//!
//! The image has the binary and the trusted root certificates, on an empty base.
//!
//! The image is an [OCI image layout](https://github.com/opencontainers/image-spec/blob/main/image-layout.md) in one
//! tar archive, which also has the `manifest.json` for older versions of `docker load`. Builds are reproducible: the
//! image depends only on the binary.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::str::FromStr;

use flate2::{Compression, GzBuilder};
use oci_spec::OciSpecError;
use oci_spec::image::{
    ConfigBuilder, Descriptor, DescriptorBuilder, ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder,
    MediaType, OciLayoutBuilder, Os, RootFsBuilder, SCHEMA_VERSION, Sha256Digest,
};
use pem::{EncodeConfig, LineEnding, Pem};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};
use thiserror::Error;

mod build;
mod program;
mod zip;

pub use build::{Architecture, build, build_function};
pub use program::GLIBC;
pub use zip::{BOOTSTRAP, archive, package};

use program::in_an_empty_image;

/// The name and tag of the image.
pub const NAME: &str = concat!("payment-service:", env!("CARGO_PKG_VERSION"));
/// The path of the program in the image.
pub const PROGRAM: &str = "/payment-service";
/// The user that runs it, the same as in the task definition.
pub const USER: &str = "65532:65532";

/// User names, for programs that look up their own.
const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin\nnobody:x:65532:65532:nobody:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnobody:x:65532:\n";
/// Entries in `/etc/hosts` take precedence over DNS.
const NSSWITCH: &str = "hosts: files dns\n";

/// An error of building the image or the package.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The binary is not an ELF file.
    #[error("the binary is not an ELF file: {0}")]
    Elf(#[from] elf::ParseError),
    /// The image contains no libraries to link with.
    #[error("the binary is linked dynamically, but its libraries are not included: link it statically")]
    Dynamic,
    /// The package contains no libraries, and Lambda's runtime has only glibc.
    #[error(
        "the binary needs the library {0}, which Lambda's runtime does not have: build it with `cargo function`, or link \
         it statically"
    )]
    Library(String),
    /// Lambda's runtime has an older glibc ([`GLIBC`]).
    #[error(
        "the binary needs {0}, but Amazon Linux 2023 has glibc {major}.{minor}: build it with `cargo function`, or link it \
         statically",
        major = GLIBC.0, minor = GLIBC.1
    )]
    Glibc(String),
    /// The binary does not show which glibc it needs.
    #[error(
        "the binary is linked dynamically, without the versions of the symbols that it needs: build it with \
         `cargo function`, or link it statically"
    )]
    Unversioned,
    /// Fargate and Lambda support two architectures.
    #[error("the binary is for ELF machine {0}; only x86-64 and AArch64 are supported")]
    Machine(u16),
    /// Describing a part of the image failed.
    #[error(transparent)]
    Spec(#[from] OciSpecError),
    /// Writing a part of the image failed.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// An image as an archive.
#[derive(Debug)]
pub struct Image {
    /// The tar archive.
    pub archive: Vec<u8>,
    /// The digest of its manifest, which identifies the image in a registry: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// Builds the image of a statically linked program.
///
/// # Errors
/// If the program cannot run on an empty base.
pub fn image(program: &[u8]) -> Result<Image, ImageError> {
    let architecture = in_an_empty_image(program)?;
    let layer = layer(program)?;
    // No name and no time, for reproducible builds.
    let mut packed = GzBuilder::new().write(Vec::new(), Compression::best());
    packed.write_all(&layer)?;
    let packed = packed.finish()?;

    let rootfs = RootFsBuilder::default().typ("layers").diff_ids([format!("sha256:{}", hex(&layer))]).build()?;
    let config = ConfigBuilder::default()
        .entrypoint([PROGRAM.to_owned()])
        .exposed_ports(["8080/tcp".to_owned()])
        .stop_signal("SIGTERM")
        .user(USER)
        .working_dir("/")
        .build()?;
    let config = ImageConfigurationBuilder::default()
        .architecture(architecture)
        .os(Os::Linux)
        .config(config)
        .rootfs(rootfs)
        .build()?
        .to_string()?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(MediaType::ImageConfig, config.as_bytes())?)
        .layers([descriptor(MediaType::ImageLayerGzip, &packed)?])
        .build()?
        .to_string()?;
    let mut named = descriptor(MediaType::ImageManifest, manifest.as_bytes())?;
    let digest = named.digest().to_string();
    let name = ("io.containerd.image.name".to_owned(), format!("docker.io/library/{NAME}"));
    named.set_annotations(Some(HashMap::from([name])));
    let index = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests([named])
        .build()?
        .to_string()?;
    let layout = OciLayoutBuilder::default().image_layout_version("1.0.0").build()?.to_string()?;
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", hex(bytes));
    let docker =
        json!([{ "Config": blob(config.as_bytes()), "Layers": [blob(&packed)], "RepoTags": [NAME] }]).to_string();

    let mut archive = Archive::default();
    for bytes in [config.as_bytes(), manifest.as_bytes(), &packed] {
        archive.file(&blob(bytes), 0o444, bytes);
    }
    archive.file("index.json", 0o444, index.as_bytes());
    archive.file("manifest.json", 0o444, docker.as_bytes());
    archive.file("oci-layout", 0o444, layout.as_bytes());
    Ok(Image { archive: archive.pack()?, digest })
}

/// The root file system. Nothing in it is writable.
fn layer(program: &[u8]) -> io::Result<Vec<u8>> {
    let certificates: Vec<_> = webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .map(|certificate| Pem::new("CERTIFICATE", certificate.as_ref()))
        .collect();
    let certificates = pem::encode_many_config(&certificates, EncodeConfig::new().set_line_ending(LineEnding::LF));
    let mut root = Archive::default();
    root.file(&PROGRAM[1..], 0o555, program);
    root.file("etc/group", 0o444, GROUP.as_bytes());
    root.file("etc/nsswitch.conf", 0o444, NSSWITCH.as_bytes());
    root.file("etc/passwd", 0o444, PASSWD.as_bytes());
    root.file("etc/ssl/certs/ca-certificates.crt", 0o444, certificates.as_bytes());
    root.pack()
}

fn descriptor(kind: MediaType, bytes: &[u8]) -> Result<Descriptor, OciSpecError> {
    let digest = Sha256Digest::from_str(&hex(bytes))?;
    DescriptorBuilder::default().media_type(kind).size(bytes.len() as u64).digest(digest).build()
}

/// The SHA-256 in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A tar archive whose bytes depend only on its content.
#[derive(Default)]
struct Archive<'a> {
    files: BTreeMap<String, (u32, &'a [u8])>,
}

impl<'a> Archive<'a> {
    fn file(&mut self, path: &str, mode: u32, bytes: &'a [u8]) {
        self.files.insert(path.to_owned(), (mode, bytes));
    }

    fn pack(&self) -> io::Result<Vec<u8>> {
        let mut entries = BTreeMap::new();
        for (path, (mode, bytes)) in &self.files {
            let parents = path.match_indices('/').map(|(end, _)| &path[..=end]);
            entries.extend(parents.map(|parent| (parent, (EntryType::Directory, 0o555, &[][..]))));
            entries.insert(path, (EntryType::Regular, *mode, *bytes));
        }
        let mut archive = Builder::new(Vec::new());
        for (path, (kind, mode, bytes)) in entries {
            let mut header = Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, path, bytes)?;
        }
        archive.into_inner()
    }
}
