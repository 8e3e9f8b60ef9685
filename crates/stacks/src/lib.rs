//! payinfra-stacks.
