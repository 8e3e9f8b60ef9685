//! Files that are written atomically and checked before they are read. The crate `payinfra-state` shares the code.

pub(crate) use payinfra_state::disk::*;
