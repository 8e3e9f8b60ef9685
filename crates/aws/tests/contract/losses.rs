//! Data loss when a part of a resource that keeps data changes, and changes that AWS refuses.

use std::collections::BTreeSet;

use payinfra_aws::KINDS;
use payinfra_engine::{Error, Result};
use serde_json::{Value, json};

use crate::example::Example;
use crate::{examples, specs};

/// `kind`'s first example, with the members of `parts`.
fn with(kind: &str, parts: &Value) -> Result<Value> {
    let found = examples()?.into_iter().find(|example| example.kind() == kind);
    let mut args = found.as_ref().map(Example::args).cloned().ok_or_else(|| Error::failed(format!("no {kind}")))?;
    for (field, value) in parts.as_object().into_iter().flatten() {
        assert!(args.get(field).is_some(), "{kind} has no {field}");
        args[field] = value.clone();
    }
    Ok(args)
}

/// The losses when the first of `parts` becomes the second.
fn lost(kind: &str, before: &Value, after: &Value) -> Result<Vec<String>> {
    let found = KINDS.iter().copied().flatten().find(|it| it.spec().kind == kind);
    let found = found.ok_or_else(|| Error::failed(format!("no {kind}")))?;
    Ok(found.losses(&with(kind, after)?, &with(kind, before)?))
}

/// A lifecycle rule that expires objects at this age, in days.
fn expires(prefix: &str, objects: i32, versions: i32) -> Value {
    json!({ "all": {
        "prefix": prefix,
        "disabled": false,
        "transitions": [],
        "expiration_days": objects,
        "noncurrent_transitions": [],
        "noncurrent_expiration_days": versions,
        "abort_multipart_days": 0,
    } })
}

fn copies(regions: &[&str]) -> Value {
    let copy =
        json!({ "kms_key": null, "point_in_time_recovery": false, "deletion_protection": null, "other_tags": {} });
    json!({ "replicas": regions.iter().map(|region| ((*region).to_owned(), copy.clone())).collect::<Value>() })
}

/// The kinds with parts that can be lost while the resource is kept. Members of a global database and readers of a
/// region are separate resources; other kinds have no such parts.
const PARTS: [&str; 2] = ["dynamodb.table", "s3.bucket"];

#[test]
fn what_is_lost_with_a_part_is_told() -> Result<()> {
    let rules = |rules: Value| json!({ "versioning": true, "lifecycle": rules });
    let none = Vec::<String>::new();
    for (kind, before, after, loses) in [
        (
            "dynamodb.table",
            copies(&["us-east-2", "us-west-2"]),
            copies(&["us-west-2"]),
            vec!["its replica in us-east-2"],
        ),
        ("dynamodb.table", copies(&["us-east-2"]), copies(&["us-east-2", "us-west-2"]), vec![]),
        ("s3.bucket", rules(json!({})), rules(expires("", 0, 30)), vec!["noncurrent versions older than 30 days"]),
        ("s3.bucket", rules(json!({})), rules(expires("logs/", 7, 0)), vec!["objects older than 7 days under `logs/`"]),
        (
            "s3.bucket",
            rules(expires("", 0, 30)),
            rules(expires("", 0, 7)),
            vec!["noncurrent versions older than 7 days"],
        ),
        ("s3.bucket", rules(expires("", 0, 30)), rules(expires("", 0, 90)), vec![]),
        ("s3.bucket", rules(expires("", 0, 30)), rules(json!({})), vec![]),
        // Existing versions are kept when versioning is suspended.
        ("s3.bucket", rules(json!({})), json!({ "versioning": false, "lifecycle": {} }), vec![]),
    ] {
        assert_eq!(lost(kind, &before, &after)?, loses, "{kind}: {before} to {after}");
        assert_eq!(lost(kind, &before, &before)?, none, "{kind}: nothing changes");
    }
    Ok(())
}

/// In-place changes of examples only cause the losses in [`PARTS`]: no other kind has parts that keep data.
#[test]
fn no_other_kind_loses_a_part() -> Result<()> {
    let specs = specs();
    let mut losing = BTreeSet::new();
    for example in examples()? {
        let Some(kind) = KINDS.iter().copied().flatten().find(|kind| kind.spec().kind == example.kind()) else {
            continue;
        };
        let states: Vec<_> = [example.args()].into_iter().chain(&example.changes).collect();
        for pair in states.windows(2) {
            if !kind.losses(pair[1], pair[0]).is_empty() {
                losing.insert(example.kind());
            }
        }
    }
    assert!(losing.iter().all(|kind| specs[kind].keeps_data));
    assert_eq!(losing, BTreeSet::from(PARTS));
    Ok(())
}

/// The kinds with fields that go only one way, although they can be updated.
const ONE_WAY: [&str; 2] = ["rds.cluster", "rds.global-cluster"];

#[test]
fn a_downgrade_of_a_database_is_refused() -> Result<()> {
    for kind in ONE_WAY {
        let version = |version: &str| with(kind, &json!({ "engine_version": version }));
        let found = KINDS.iter().copied().flatten().find(|it| it.spec().kind == kind);
        let found = found.ok_or_else(|| Error::failed(format!("no {kind}")))?;
        let refused = found.refused(&version("16.4")?, &version("16.6")?);
        assert_eq!(refused, ["`engine_version` cannot go down from 16.6 to 16.4"], "{kind}");
        assert!(found.refused(&version("16.6")?, &version("16.4")?).is_empty(), "{kind}");
    }
    Ok(())
}
