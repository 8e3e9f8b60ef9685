//! The contract of every kind, shown on an emulated AWS: DESIGN §9.2.
//!
//! A kind is tested by adding an example of it to the file of its service.

mod acm;
mod application_autoscaling;
mod cloudtrail;
mod cloudwatch;
mod dynamodb;
mod ec2;
mod ec2_access;
mod ec2_transit;
mod ecs;
mod elbv2;
mod eventbridge;
mod example;
mod iam;
mod kms;
mod life;
mod logs;
mod payinfra;
mod rds;
mod route53;
mod s3;
mod secretsmanager;
mod sns;
mod ssm;
mod wafv2;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use example::Example;
use payinfra_aws::KINDS;
use payinfra_engine::{Error, Identity, Result, Spec};

/// The examples of all services.
fn examples() -> Result<Vec<Example>> {
    Ok([
        acm::examples()?,
        application_autoscaling::examples()?,
        cloudtrail::examples()?,
        cloudwatch::examples()?,
        dynamodb::examples()?,
        ec2::examples()?,
        ec2_access::examples()?,
        ec2_transit::examples()?,
        ecs::examples()?,
        elbv2::examples()?,
        eventbridge::examples()?,
        iam::examples()?,
        kms::examples()?,
        logs::examples()?,
        payinfra::examples()?,
        rds::examples()?,
        route53::examples()?,
        s3::examples()?,
        secretsmanager::examples()?,
        sns::examples()?,
        ssm::examples()?,
        wafv2::examples()?,
    ]
    .into_iter()
    .flatten()
    .collect())
}

fn specs() -> BTreeMap<&'static str, Spec> {
    KINDS.iter().copied().flatten().map(|kind| kind.spec()).map(|spec| (spec.kind, spec)).collect()
}

#[test]
fn every_kind_has_an_example() -> Result<()> {
    let examples = examples()?;
    let shown: BTreeSet<_> = examples.iter().map(Example::kind).collect();
    let missing: Vec<_> = specs().into_keys().filter(|kind| !shown.contains(kind)).collect();
    assert!(missing.is_empty(), "no example in tests/contract shows {missing:?}");
    Ok(())
}

/// A kind without tags says how else it is known to be ours.
#[test]
fn every_kind_says_how_it_is_known_to_be_ours() -> Result<()> {
    let specs = specs();
    for example in examples()? {
        let Some(spec) = specs.get(example.kind()).filter(|spec| !spec.lookup) else { continue };
        let tagged = example.args().get("tags").is_some();
        assert!(tagged || spec.identity != Identity::Tags, "{} has no tags", spec.kind);
        if let Identity::Part(field) = spec.identity {
            assert!(example.args().get(field).is_some(), "{} has no field {field}", spec.kind);
        }
        if let Some(field) = spec.shield {
            assert!(example.args().get(field).is_some(), "{} has no field {field}", spec.kind);
        }
    }
    Ok(())
}

#[test]
fn every_field_that_can_change_in_place_is_changed_by_an_example() -> Result<()> {
    let specs = specs();
    let mut missing = BTreeMap::<_, BTreeSet<String>>::new();
    for example in examples()? {
        let replace = specs.get(example.kind()).map(|spec| spec.replace).unwrap_or_default();
        missing
            .entry(example.kind())
            .or_default()
            .extend(example.fields().filter(|field| !replace.contains(&&**field)));
    }
    for example in examples()? {
        let changed = example.changed();
        missing.entry(example.kind()).or_default().retain(|field| !changed.contains(field));
    }
    missing.retain(|_, fields| !fields.is_empty());
    assert!(missing.is_empty(), "no example in tests/contract changes {missing:?}");
    Ok(())
}

#[test]
fn kinds_are_sorted_and_none_is_forgotten() -> Result<()> {
    for service in KINDS {
        let names: Vec<_> = service.iter().map(|kind| kind.spec().kind).collect();
        assert!(names.is_sorted(), "{names:?}");
    }
    let specs = specs();
    let mut forgotten = Vec::new();
    for (path, text) in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))? {
        let kinds = text.split("const KIND: &'static str = \"").skip(1).filter_map(|rest| rest.split('"').next());
        forgotten.extend(kinds.filter(|kind| !specs.contains_key(kind)).map(|kind| (kind.to_owned(), path.clone())));
    }
    assert!(forgotten.is_empty(), "not in KINDS, or their file has no `mod`: {forgotten:?}");
    Ok(())
}

/// The files below `folder`, with their text.
fn sources(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let failed = |error: std::io::Error| Error::failed(error.to_string());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else {
            let text = fs::read_to_string(&path).map_err(failed)?;
            found.push((path, text));
        }
    }
    Ok(found)
}

/// A difference here is a change of the state's format: it needs a new version of it (STYLE 30).
#[test]
fn state_form() -> Result<()> {
    for example in examples()? {
        insta::assert_json_snapshot!(example.name(), example.args());
    }
    Ok(())
}
