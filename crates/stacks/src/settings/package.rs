//! The package of a function.

use std::io::Read;

use flate2::read::DeflateDecoder;
use payinfra_aws::CodeSha256;
use payinfra_engine::{Error, Result};
use payinfra_stack::{Section, Workspace};

use super::Architecture;

/// The program that Lambda starts.
const PROGRAM: &str = "bootstrap";
/// The length of an ELF header up to the machine, in bytes.
const HEADER: usize = 20;

/// The digest of the function's package.
///
/// # Errors
/// If the workspace names none.
pub(crate) fn code<V>(workspace: &Workspace<V>) -> Result<CodeSha256> {
    let package = workspace.file("package").ok_or_else(|| Error::failed("the package of the function was not read"))?;
    Ok(CodeSha256::of(package))
}

/// Checks that the program in the package that the variable `file` names is for `architecture`, as far as the package shows it.
/// `function` is the section of the function's variables.
pub(crate) fn architecture<V>(
    workspace: &Workspace<V>,
    (file, function): (&str, &str),
    architecture: Architecture,
    section: &mut Section<'_>,
) {
    let wanted = match architecture {
        Architecture::Arm64 => ("AArch64", "arm64"),
        Architecture::X86_64 => ("x86-64", "x86_64"),
    };
    let Some(is) = workspace.file(file).and_then(program).as_deref().and_then(machine) else { return };
    if is != wanted.0 {
        let message = format!("its program is for {is}, but `{function}.architecture` is \"{}\"", wanted.1);
        let hint = format!("build the package for that architecture, or change `{function}.architecture`");
        section.wrong("package", message, hint);
    }
}

/// The machine of an ELF file by its first bytes; `None` for a script, and for what Lambda does not start anyway.
fn machine(header: &[u8]) -> Option<String> {
    let number = |at: usize| Some([*header.get(at)?, *header.get(at + 1)?]);
    if !header.starts_with(b"\x7fELF") {
        return None;
    }
    // The byte order is the file's own.
    let order = if header.get(5) == Some(&2) { u16::from_be_bytes } else { u16::from_le_bytes };
    Some(match order(number(18)?) {
        62 => "x86-64".to_owned(),
        183 => "AArch64".to_owned(),
        other => format!("the ELF machine {other}"),
    })
}

/// The first bytes of the program in a zip file.
fn program(zip: &[u8]) -> Option<Vec<u8>> {
    let short = |at: usize| Some(usize::from(u16::from_le_bytes(zip.get(at..at + 2)?.try_into().ok()?)));
    let long = |at: usize| usize::try_from(u32::from_le_bytes(zip.get(at..at + 4)?.try_into().ok()?)).ok();
    let end = zip.windows(4).rposition(|window| window == b"PK\x05\x06")?;
    let mut entry = long(end + 16)?;
    for _ in 0..short(end + 10)? {
        if zip.get(entry..entry + 4)? != b"PK\x01\x02" {
            return None;
        }
        let (name, extra, comment) = (short(entry + 28)?, short(entry + 30)?, short(entry + 32)?);
        if zip.get(entry + 46..entry + 46 + name)? == PROGRAM.as_bytes() {
            let local = long(entry + 42)?;
            let start = local + 30 + short(local + 26)? + short(local + 28)?;
            let content = zip.get(start..start + long(entry + 20)?)?;
            return match short(entry + 10)? {
                0 => content.get(..HEADER).map(<[u8]>::to_vec),
                8 => {
                    let mut header = vec![0; HEADER];
                    DeflateDecoder::new(content).read_exact(&mut header).ok().map(|()| header)
                }
                _ => None,
            };
        }
        entry += 46 + name + extra + comment;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    /// A zip file with these programs, each with its name and content; packed, or only stored.
    fn zip(files: &[(&str, &[u8])], packed: bool) -> std::io::Result<Vec<u8>> {
        let (mut archive, mut directory) = (Vec::new(), Vec::new());
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or_default().to_le_bytes();
        for (name, content) in files {
            let mut data = content.to_vec();
            if packed {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(content)?;
                data = encoder.finish()?;
            }
            let at = size(&archive);
            let method = [if packed { 8 } else { 0 }, 0];
            let sizes = [[0; 4], size(&data), size(content)].concat();
            let length = &size(name.as_bytes())[..2];
            let common = [&[20, 0, 0, 0], &method[..], &[0; 4], &sizes, length, &[0, 0]].concat();
            archive.extend([b"PK\x03\x04", &common[..], name.as_bytes(), &data].concat());
            directory.extend([b"PK\x01\x02", &[20, 0][..], &common, &[0; 10], &at, name.as_bytes()].concat());
        }
        let count = [u8::try_from(files.len()).unwrap_or_default(), 0];
        let start = size(&archive);
        archive.extend([&directory[..], b"PK\x05\x06", &[0; 4], &count, &count].concat());
        archive.extend([&size(&directory)[..], &start, &[0; 2]].concat());
        Ok(archive)
    }

    fn elf(order: u8, machine: [u8; 2]) -> Vec<u8> {
        [b"\x7fELF\x02", &[order, 1][..], &[0; 9], &[2, 0], &machine, &[7; 100]].concat()
    }

    #[test]
    fn g03_the_machine_of_a_program_is_found() -> std::io::Result<()> {
        for packed in [false, true] {
            for (content, expected) in [
                (elf(1, [62, 0]), Some("x86-64")),
                (elf(1, [183, 0]), Some("AArch64")),
                (elf(2, [0, 183]), Some("AArch64")),
                (elf(1, [243, 0]), Some("the ELF machine 243")),
                (b"#!/bin/sh\nexec ./program --with-options\n".to_vec(), None),
                (b"\x7fELF".to_vec(), None),
            ] {
                let zip = zip(&[("other", b"a file"), (PROGRAM, &content)], packed)?;
                let found = program(&zip).as_deref().and_then(machine);
                assert_eq!(found.as_deref(), expected, "{content:?}");
                // No length of a broken file is a panic.
                for length in 0..zip.len() {
                    program(&zip[..length]);
                }
            }
        }
        assert_eq!(program(&zip(&[("main", &elf(1, [62, 0]))], true)?), None);
        assert_eq!(program(b"no zip file"), None);
        Ok(())
    }
}
