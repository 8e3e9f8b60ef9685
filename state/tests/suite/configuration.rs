//! The section `[state]` of payinfra.toml.

use std::path::PathBuf;

use payinfra_engine::Class;
use payinfra_state::{Backend, open};

use crate::bench::fails;

#[test]
fn reads_and_refuses() {
    assert_eq!(toml::from_str::<Backend>("").unwrap(), Backend::default());
    let backend: Backend = toml::from_str("bucket = 'b'\nregion = 'eu-west-1'\ntable = 't'").unwrap();
    let wanted = Backend::S3 { bucket: Some("b".into()), region: "eu-west-1".into(), table: "t".into() };
    assert_eq!(backend, wanted);
    assert_eq!(toml::from_str::<Backend>(&toml::to_string(&backend).unwrap()).unwrap(), backend);
    let backend: Backend = toml::from_str("path = '.payinfra'").unwrap();
    assert_eq!(backend, Backend::File { path: PathBuf::from(".payinfra") });
    assert_eq!(toml::from_str::<Backend>(&toml::to_string(&backend).unwrap()).unwrap(), backend);
    for (text, part) in [("bukket = 'b'", "unknown field `bukket`"), ("path = 'p'\ntable = 't'", "in a folder")] {
        let error = toml::from_str::<Backend>(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(Backend::default().bucket("123456789012").unwrap(), "payinfra-state-123456789012");
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
