//! Digests that identify definitions.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The first half of the SHA-256 of `text`, in 32 hexadecimal digits.
pub(crate) fn digest(text: &str) -> String {
    Sha256::digest(text)[..16].iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
