//! The contract of every kind, verified on an emulated AWS: DESIGN §9.2.
//!
//! To test a kind, add an example of it to the file of its service.

mod acm;
mod apigateway;
mod apigatewayv2;
mod application_autoscaling;
mod cloudtrail;
mod cloudwatch;
mod dynamodb;
mod ec2;
mod ec2_access;
mod ec2_peering;
mod ec2_transit;
mod ecs;
mod elbv2;
mod eventbridge;
mod example;
mod iam;
mod kms;
mod lambda;
mod life;
mod logs;
mod losses;
mod payinfra;
mod permissions;
mod rds;
mod route53;
mod s3;
mod schemas;
mod secretsmanager;
mod simulated;
mod sns;
mod ssm;
mod wafv2;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use example::Example;
use payinfra_aws::KINDS;
use payinfra_engine::{Error, Identity, Result, Spec};
use serde_json::Value;

/// The examples of all services.
fn examples() -> Result<Vec<Example>> {
    Ok([
        acm::examples()?,
        apigateway::examples()?,
        apigatewayv2::examples()?,
        application_autoscaling::examples()?,
        cloudtrail::examples()?,
        cloudwatch::examples()?,
        dynamodb::examples()?,
        ec2::examples()?,
        ec2_access::examples()?,
        ec2_peering::examples()?,
        ec2_transit::examples()?,
        ecs::examples()?,
        elbv2::examples()?,
        eventbridge::examples()?,
        iam::examples()?,
        kms::examples()?,
        lambda::examples()?,
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

/// A kind without tags declares how it is identified as ours.
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

/// The kinds without owner tags that have no key, and why AWS can have several.
const KEYLESS: &[(&str, &str)] = &[
    ("apigateway.account", "there is one in a region, and it has no field that identifies it"),
    ("apigateway.deployment", "each create makes another one"),
    ("apigatewayv2.integration", "an API can have several with equal arguments"),
    ("lambda.version", "AWS numbers them"),
];

/// A kind without owner tags is found by its key.
#[test]
fn every_kind_without_owner_tags_has_a_key() {
    let keyless: BTreeMap<_, _> = KEYLESS.iter().copied().collect();
    for spec in specs().into_values().filter(|spec| !spec.lookup) {
        let listed = keyless.contains_key(spec.kind);
        if matches!(spec.identity, Identity::Part(_) | Identity::Record) && spec.key.is_empty() {
            assert!(listed, "{} has no key", spec.kind);
        }
        assert!(!listed || spec.key.is_empty(), "{} has a key", spec.kind);
    }
}

/// How each kind proves that a resource does not exist after a read has not returned it: with another read, or with its
/// own method (`Resource::absent`).
const ABSENCE: &[(&str, Proof)] = &[
    ("acm.certificate", Proof::Own("by ARN, without the tags")),
    ("apigateway.account", Proof::Read("one call for the account")),
    ("apigateway.api-key", Proof::Read("one call by id; missing tags hide nothing")),
    ("apigateway.base-path-mapping", Proof::Read("one call by domain name and path")),
    ("apigateway.deployment", Proof::Read("one call by id")),
    ("apigateway.domain-name", Proof::Read("one call by name; missing tags hide nothing")),
    ("apigateway.gateway-response", Proof::Read("one call by type")),
    ("apigateway.method", Proof::Read("one call by resource and method")),
    ("apigateway.model", Proof::Read("one call by name")),
    ("apigateway.request-validator", Proof::Read("one call by id")),
    ("apigateway.resource", Proof::Read("one call by id")),
    ("apigateway.rest-api", Proof::Read("one call by id; missing tags hide nothing")),
    ("apigateway.stage", Proof::Read("one call by API and name; missing tags hide nothing")),
    ("apigateway.usage-plan", Proof::Read("one call by id; missing tags hide nothing")),
    ("apigateway.usage-plan-key", Proof::Read("one call by plan and key")),
    ("apigatewayv2.api", Proof::Read("one call by id; missing tags hide nothing")),
    ("apigatewayv2.api-mapping", Proof::Read("one call by domain name and id")),
    ("apigatewayv2.integration", Proof::Read("one call by id")),
    ("apigatewayv2.route", Proof::Read("one call by id")),
    ("apigatewayv2.stage", Proof::Read("one call by API and name; missing tags hide nothing")),
    ("application-autoscaling.policy", Proof::Own("among all policies of its target")),
    ("application-autoscaling.target", Proof::Own("among all targets of its service")),
    ("cloudtrail.trail", Proof::Own("by name")),
    ("cloudwatch.alarm", Proof::Own("by name")),
    ("cloudwatch.composite-alarm", Proof::Own("by name")),
    ("cloudwatch.dashboard", Proof::Read("one call by name")),
    ("dynamodb.table", Proof::Own("by name, without the settings and tags")),
    ("ec2.eip", Proof::Own("by id")),
    ("ec2.flow-log", Proof::Own("by id")),
    ("ec2.internet-gateway", Proof::Own("by id")),
    ("ec2.nat-gateway", Proof::Own("by id")),
    ("ec2.route", Proof::Own("by the id of its table")),
    ("ec2.route-table", Proof::Own("by id")),
    ("ec2.route-table-association", Proof::Own("by the id of its table")),
    ("ec2.security-group", Proof::Own("by id")),
    ("ec2.subnet", Proof::Own("by id")),
    ("ec2.transit-gateway", Proof::Own("by id")),
    ("ec2.transit-gateway-peering", Proof::Own("by id")),
    ("ec2.transit-gateway-peering-accepter", Proof::Own("by id")),
    ("ec2.transit-gateway-route", Proof::Own("among all routes of its table")),
    ("ec2.transit-gateway-vpc-attachment", Proof::Own("by id")),
    ("ec2.vpc", Proof::Own("by id")),
    ("ec2.vpc-endpoint", Proof::Own("by id")),
    ("ec2.vpc-peering", Proof::Own("by id")),
    ("ec2.vpc-peering-accepter", Proof::Own("by id")),
    ("ec2.vpc-peering-dns", Proof::Own("of a peering that is gone, or for which it is off")),
    ("ecs.cluster", Proof::Read("one call by ARN, which also shows inactive ones")),
    ("ecs.service", Proof::Read("one call by cluster and ARN; an inactive one cannot be restored")),
    ("ecs.task-definition", Proof::Read("one call by ARN; AWS keeps deleted ones")),
    ("elbv2.listener", Proof::Read("one call by ARN; missing tags hide nothing")),
    ("elbv2.listener-rule", Proof::Read("one call by ARN; missing tags hide nothing")),
    ("elbv2.load-balancer", Proof::Own("by ARN, without the attributes and tags")),
    ("elbv2.target-group", Proof::Own("by ARN, without the attributes and tags")),
    ("eventbridge.rule", Proof::Own("by name")),
    ("eventbridge.target", Proof::Read("the whole list of its rule")),
    ("iam.role", Proof::Own("by name, without the policies")),
    ("kms.alias", Proof::Own("by the key that has the name")),
    ("kms.key", Proof::Own("by id, without the policy, rotation and tags")),
    ("lambda.alias", Proof::Read("one call by function and name")),
    ("lambda.event-invoke-config", Proof::Read("one call by function and qualifier")),
    ("lambda.event-source-mapping", Proof::Own("by id, without the tags")),
    ("lambda.function", Proof::Read("one call by name; missing tags hide nothing")),
    ("lambda.permission", Proof::Read("the whole policy of its function")),
    ("lambda.version", Proof::Read("one call by function and number")),
    ("logs.log-group", Proof::Own("by name")),
    ("logs.metric-filter", Proof::Read("the whole list of its group")),
    ("rds.cluster", Proof::Own("by name, without a filter")),
    ("rds.cluster-instance", Proof::Own("by name, without a filter")),
    ("rds.cluster-parameter-group", Proof::Own("by name, without the parameters and tags")),
    ("rds.global-cluster", Proof::Own("by name, without the list of all")),
    ("rds.instance", Proof::Own("by name, without a filter")),
    ("rds.parameter-group", Proof::Own("by name, without the parameters and tags")),
    ("rds.subnet-group", Proof::Own("by name, without the tags")),
    ("route53.delegation", Proof::Read("the list of its zone, which is strongly consistent")),
    ("route53.health-check", Proof::Read("one call by id; missing tags hide nothing")),
    ("route53.hosted-zone", Proof::Read("one call by id; missing tags hide nothing")),
    ("route53.record-set", Proof::Read("the list of its zone, which is strongly consistent")),
    ("s3.bucket", Proof::Own("by name, without the settings")),
    ("s3.bucket-notification", Proof::Read("one call by bucket, which returns all of them")),
    ("secretsmanager.password", Proof::Read("one call by ARN, which also shows those in their recovery window")),
    ("sns.subscription", Proof::Read("one call by ARN")),
    ("sns.topic", Proof::Own("by ARN, without the tags")),
    ("ssm.api-key-parameter", Proof::Own("by name, without a filter, the tags and the value")),
    ("ssm.parameter", Proof::Own("by name, without a filter and the tags")),
    ("wafv2.web-acl", Proof::Own("by id, without the tags")),
    ("wafv2.web-acl-association", Proof::Read("one call by the resource")),
];

/// How absence is proven, and why that is a proof.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// The kind has its own `absent`.
    Own(&'static str),
    /// Another read: it has no filter and is not a list that may lag.
    Read(&'static str),
}

#[test]
fn every_kind_proves_absence_as_the_table_says() -> Result<()> {
    let mut found = BTreeMap::new();
    for (_, text) in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))? {
        let Some(kind) = text.split("const KIND: &'static str = \"").nth(1).and_then(|rest| rest.split('"').next())
        else {
            continue;
        };
        if text.contains("impl Resource for ") {
            found.insert(kind.to_owned(), text.contains("async fn absent(") || text.contains("    absent!("));
        }
    }
    let table = ABSENCE.iter().map(|(kind, proof)| ((*kind).to_owned(), matches!(proof, Proof::Own(_))));
    assert_eq!(table.collect::<BTreeMap<_, _>>(), found);
    assert!(ABSENCE.is_sorted_by_key(|(kind, _)| kind));
    let reasons = ABSENCE.iter().map(|(_, Proof::Own(reason) | Proof::Read(reason))| reason);
    assert!(reasons.into_iter().all(|reason| !reason.is_empty()));
    Ok(())
}

/// The kinds that refer to another region, and why they leave no orphans there.
const ELSEWHERE: &[(&str, &str)] = &[
    ("dynamodb.table", "its replicas have its tags, by which the census of their own region finds them"),
    ("ec2.transit-gateway-peering", "the attachment is one resource, and is deleted in both regions at once"),
    ("ec2.vpc-peering", "the peering is one resource, and is deleted in both regions at once"),
    ("route53.record-set", "a record is not in a region: it only names the one that it is for"),
];

/// Resources in another region than their own could be left there, so each kind that names another region gives the
/// reason why not.
#[test]
fn every_kind_that_names_another_region_is_known() -> Result<()> {
    let regions = ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1"];
    let mut found = BTreeSet::new();
    for example in examples()? {
        let states = [example.args()].into_iter().chain(&example.changes);
        let named = |value: &Value| {
            let text = without_references(value).to_string();
            regions
                .iter()
                .any(|region| *region != example.address.region.as_str() && text.contains(&format!("\"{region}\"")))
        };
        if states.into_iter().any(named) {
            found.insert(example.kind());
        }
    }
    assert_eq!(found, ELSEWHERE.iter().map(|(kind, _)| *kind).collect());
    Ok(())
}

/// `value` without its references, which contain the regions of other resources.
fn without_references(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(without_references).collect(),
        Value::Object(members) if members.contains_key("$ref") || members.contains_key("$text") => Value::Null,
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), without_references(value))).collect(),
        other => other.clone(),
    }
}

/// Fields that refer to a network without being in [`Spec::network`], and the reasons.
const NO_NETWORK: &[(&str, &str, &str)] = &[
    ("ec2.transit-gateway-route", "attachment", "can be updated to another attachment in place"),
    ("ecs.service", "load_balancers", "its subnets determine the network; target groups are updated in place"),
    ("rds.cluster", "source", "replication does not use the network"),
];

/// Fields that refer to a network, or to resources in one, are declared: when the network is replaced, so is the
/// resource.
#[test]
fn every_field_that_refers_to_a_network_says_so() -> Result<()> {
    let specs = specs();
    let is_in_network = |kind: &str| kind == "ec2.vpc" || specs.get(kind).is_some_and(|spec| !spec.network.is_empty());
    let mut found = BTreeSet::new();
    for example in examples()? {
        let Some(spec) = specs.get(example.kind()).filter(|spec| !spec.lookup) else { continue };
        for args in [example.args()].into_iter().chain(&example.changes) {
            for (field, value) in args.as_object().into_iter().flatten() {
                let refers = references(value).into_iter().any(|kind| is_in_network(&kind));
                // A resource is replaced if it cannot change in place, or if it blocks the deletion of a resource that
                // it refers to.
                let says = [spec.network, spec.replace, spec.holds].iter().any(|fields| fields.contains(&&**field));
                if refers && !says {
                    found.insert((spec.kind, field.clone()));
                }
            }
        }
    }
    let listed: BTreeSet<_> = NO_NETWORK.iter().map(|(kind, field, _)| (*kind, (*field).to_owned())).collect();
    assert_eq!(found, listed);
    Ok(())
}

/// A policy that loses a statement would take permissions from dependents that are only then deleted.
#[test]
fn every_policy_serves_the_dependents() -> Result<()> {
    let specs = specs();
    let mut found = BTreeSet::new();
    for example in examples()? {
        let Some(spec) = specs.get(example.kind()).filter(|spec| !spec.lookup) else { continue };
        let states = [example.args()].into_iter().chain(&example.changes);
        let fields = states.flat_map(|args| args.as_object().into_iter().flatten());
        for (field, _) in fields.filter(|(_, value)| has_statement(value)) {
            assert!(spec.serves.contains(&&**field), "`{field}` of {} has a policy", spec.kind);
            found.insert((spec.kind, field.clone()));
        }
    }
    assert!(found.len() >= 6, "{found:?}");
    Ok(())
}

/// Whether there is a statement of a policy in `value`.
fn has_statement(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(has_statement),
        Value::Object(members) => {
            ["sid", "effect"].iter().all(|member| members.contains_key(*member)) || members.values().any(has_statement)
        }
        _ => false,
    }
}

/// The kinds that `value` refers to.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(references).collect(),
        Value::Object(members) => match members.get("$ref") {
            Some(Value::String(pointer)) => pointer.split('/').nth(1).map(str::to_owned).into_iter().collect(),
            _ => members.values().flat_map(references).collect(),
        },
        _ => Vec::new(),
    }
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

/// The files in `folder`, with their text.
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

/// A difference here is a change of the state format, which requires a new version of it (STYLE 30).
#[test]
fn state_form() -> Result<()> {
    for example in examples()? {
        insta::assert_json_snapshot!(example.name(), example.args());
    }
    Ok(())
}
