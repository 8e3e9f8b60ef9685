//! payinfra.
