//! Files that are there as a whole or not at all, and those that are believed. A state in a folder is written by the
//! same code.

pub(crate) use payinfra_state::disk::*;
