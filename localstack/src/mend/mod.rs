//! Fixes for differences between the emulators and AWS, in the gateway. `GAPS.md` lists them with AWS's documentation.

pub(crate) mod owner;
pub(crate) mod tagging;
pub(crate) mod token;
