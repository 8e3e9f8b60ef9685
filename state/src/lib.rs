//! payinfra-state.
