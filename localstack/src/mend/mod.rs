//! What emulators get wrong and the gateway puts right. `GAPS.md` lists each with AWS's documentation.

pub(crate) mod clock;
pub(crate) mod owner;
pub(crate) mod tagging;
pub(crate) mod token;
