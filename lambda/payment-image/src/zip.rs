//! The deployment package of the function: a [zip archive](https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT)
//! with one file, whose bytes depend only on the program.

use std::io::{self, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use crate::ImageError;
use crate::program::on_amazon_linux;

/// The name of the program: Lambda's runtimes `provided.*` run it.
pub const BOOTSTRAP: &str = "bootstrap";
/// The first day that the format has, 1 January 1980: its time of no file.
const DATE: u16 = 1 << 5 | 1;
/// Version 2.0 of the format, the first with deflate.
const VERSION: u16 = 20;
/// Created on Unix, so that the attributes are a Unix mode.
const UNIX: u16 = 3 << 8;
/// A regular file that everyone may read and run.
const MODE: u32 = 0o100_755;
/// Compressed with deflate.
const DEFLATE: u16 = 8;

/// Builds the deployment package of a program.
///
/// # Errors
/// If the runtime `provided.al2023` cannot run the program: it is not for Linux on one of Lambda's architectures, or it
/// needs libraries other than glibc, or a later glibc than [`GLIBC`](crate::GLIBC).
pub fn package(program: &[u8]) -> Result<Vec<u8>, ImageError> {
    on_amazon_linux(program)?;
    Ok(archive(program)?)
}

/// Builds the deployment package of a program that is not checked, such as a script.
///
/// # Errors
/// If the program is 4 GiB or larger.
pub fn archive(program: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    packed.write_all(program)?;
    let packed = packed.finish()?;
    let mut sum = Crc::new();
    sum.update(program);

    let size = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| io::Error::other("the program is too large"));
    // The fields that the local header and the central directory have in common.
    let mut common = Vec::new();
    for field in [VERSION, 0, DEFLATE, 0, DATE] {
        common.extend(field.to_le_bytes());
    }
    for field in [sum.sum(), size(&packed)?, size(program)?] {
        common.extend(field.to_le_bytes());
    }
    // The lengths of the name, `bootstrap`, and of the extra field.
    common.extend([9, 0, 0, 0]);

    let mut archive = [b"PK\x03\x04", &common[..], BOOTSTRAP.as_bytes(), &packed].concat();
    let directory = size(&archive)?;
    archive.extend(b"PK\x01\x02");
    archive.extend((UNIX | VERSION).to_le_bytes());
    archive.extend(&common);
    // No comment, the first disk, binary content.
    archive.extend([0; 6]);
    archive.extend((MODE << 16).to_le_bytes());
    archive.extend(0_u32.to_le_bytes());
    archive.extend(BOOTSTRAP.as_bytes());
    let length = size(&archive)? - directory;
    archive.extend(b"PK\x05\x06");
    for field in [0_u16, 0, 1, 1] {
        archive.extend(field.to_le_bytes());
    }
    archive.extend(length.to_le_bytes());
    archive.extend(directory.to_le_bytes());
    archive.extend(0_u16.to_le_bytes());
    Ok(archive)
}
