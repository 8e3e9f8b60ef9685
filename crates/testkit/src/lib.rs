//! payinfra-testkit.
