//! payinfra-aws.
