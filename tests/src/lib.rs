//! payinfra-tests.
