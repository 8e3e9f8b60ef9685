//! What an image and Lambda require of a program.

use elf::abi::{DT_NEEDED, EM_AARCH64, EM_X86_64, PT_INTERP, SHT_GNU_VERNEED};
use elf::endian::AnyEndian;
use elf::gnu_symver::VerNeedIterator;
use elf::{ElfBytes, ParseError};
use oci_spec::image::Arch;

use crate::ImageError;

/// The version of glibc in Amazon Linux 2023, the base of the runtime `provided.al2023`.
pub const GLIBC: (u32, u32) = (2, 34);

/// The libraries of glibc, without the versions in their names.
const LIBRARIES: [&str; 7] = ["ld-linux-aarch64", "ld-linux-x86-64", "libc", "libdl", "libm", "libpthread", "librt"];

type Elf<'a> = ElfBytes<'a, AnyEndian>;

/// The architecture of a program for an empty image, which has to be linked statically.
pub(crate) fn in_an_empty_image(program: &[u8]) -> Result<Arch, ImageError> {
    let file = Elf::minimal_parse(program)?;
    if is_dynamic(&file) { Err(ImageError::Dynamic) } else { architecture(&file) }
}

/// Checks that a program runs on Amazon Linux 2023: it is linked statically, or it only needs glibc, in a version that
/// is there.
pub(crate) fn on_amazon_linux(program: &[u8]) -> Result<(), ImageError> {
    let file = Elf::minimal_parse(program)?;
    architecture(&file)?;
    if is_dynamic(&file) { glibc(&file) } else { Ok(()) }
}

fn architecture(file: &Elf<'_>) -> Result<Arch, ImageError> {
    match file.ehdr.e_machine {
        EM_X86_64 => Ok(Arch::Amd64),
        EM_AARCH64 => Ok(Arch::ARM64),
        machine => Err(ImageError::Machine(machine)),
    }
}

fn is_dynamic(file: &Elf<'_>) -> bool {
    file.segments().is_some_and(|segments| segments.iter().any(|segment| segment.p_type == PT_INTERP))
}

/// Checks the libraries that the program needs, and the versions of their symbols.
fn glibc(file: &Elf<'_>) -> Result<(), ImageError> {
    let sections = file.section_headers().ok_or(ImageError::Unversioned)?;
    let needs = sections.iter().find(|section| section.sh_type == SHT_GNU_VERNEED).ok_or(ImageError::Unversioned)?;
    let names = file.section_data_as_strtab(&sections.get(link(needs.sh_link)?)?)?;
    for entry in file.dynamic()?.into_iter().flat_map(|table| table.iter()) {
        if entry.d_tag == DT_NEEDED {
            let library = names.get(usize::try_from(entry.d_val()).map_err(ParseError::from)?)?;
            let stem = library.split_once(".so").map(|(stem, _)| stem);
            if !stem.is_some_and(|stem| LIBRARIES.contains(&stem)) {
                return Err(ImageError::Library(library.to_owned()));
            }
        }
    }
    let (data, _) = file.section_data(&needs)?;
    let count = needs.sh_info.into();
    for (_, versions) in VerNeedIterator::new(file.ehdr.endianness, file.ehdr.class, count, 0, data) {
        for version in versions {
            let version = names.get(link(version.vna_name)?)?;
            if !is_there(version) {
                return Err(ImageError::Glibc(version.to_owned()));
            }
        }
    }
    Ok(())
}

fn link(index: u32) -> Result<usize, ParseError> {
    Ok(usize::try_from(index)?)
}

/// Whether Amazon Linux 2023 has the version `GLIBC_2.17`. Those that are not numbers, such as `GLIBC_ABI_DT_RELR` and
/// `GLIBC_PRIVATE`, are of later or particular releases.
fn is_there(version: &str) -> bool {
    let mut numbers = version.strip_prefix("GLIBC_").into_iter().flat_map(|version| version.split('.'));
    let mut number = || numbers.next()?.parse().ok();
    matches!((number(), number()), (Some(major), Some(minor)) if (major, minor) <= GLIBC)
}
