//! The choice of backend.

use std::path::PathBuf;

use payinfra_engine::Class;
use payinfra_state::{Backend, open};

use crate::bench::fails;

#[test]
fn the_bucket_has_a_default_name() {
    let backend = |bucket| Backend::S3 { bucket, region: "us-east-1".to_owned(), table: "t".to_owned() };
    assert_eq!(backend(None).bucket("123456789012").unwrap(), "payinfra-state-123456789012");
    assert_eq!(backend(Some("b".to_owned())).bucket("123456789012").unwrap(), "b");
}

#[test]
fn names_are_parts_of_a_path() {
    let config = aws_config::SdkConfig::builder().build();
    let backend = Backend::File { path: PathBuf::from("nowhere") };
    for (stack, workspace) in [("", "one"), ("stack", "../one"), ("a/b", "one"), ("stack", ".")] {
        fails(open(&backend, &config, "123456789012", stack, workspace), Class::Invalid);
    }
    assert!(open(&backend, &config, "123456789012", "stack", "one").is_ok());
}
