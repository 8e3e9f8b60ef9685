//! Tags, asked for at each service.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::Filter;
use payinfra_tests::Bench;

use crate::{ACCOUNT, migration};

/// The kinds that AWS has no tags for.
const UNTAGGABLE: [&str; 4] = ["ec2.route", "ec2.route-table-association", "ec2.transit-gateway-route", "kms.alias"];

/// The tags of the resource with this id, by the service's own list.
async fn tags(bench: &Bench, region: &str, kind: &str, id: &str) -> BTreeMap<String, String> {
    let region = if region == "global" { "us-east-1" } else { region };
    let sdk = bench.sdk(region);
    let pair = |key: Option<&str>, value: Option<&str>| (key.unwrap().to_owned(), value.unwrap().to_owned());
    match kind.split_once('.').unwrap().0 {
        "ec2" => {
            let filter = Filter::builder().name("resource-id").values(id).build();
            let answer = bench.ec2(region).describe_tags().filters(filter).send().await.unwrap();
            answer.tags().iter().map(|tag| pair(tag.key(), tag.value())).collect()
        }
        "s3" => {
            let answer = bench.s3(region).get_bucket_tagging().bucket(id).send().await.unwrap();
            answer.tag_set().iter().map(|tag| pair(Some(tag.key()), Some(tag.value()))).collect()
        }
        "kms" => {
            let answer = aws_sdk_kms::Client::new(&sdk).list_resource_tags().key_id(id).send().await.unwrap();
            answer.tags().iter().map(|tag| pair(Some(tag.tag_key()), Some(tag.tag_value()))).collect()
        }
        "iam" => {
            let answer = aws_sdk_iam::Client::new(&sdk).list_role_tags().role_name(id).send().await.unwrap();
            answer.tags().iter().map(|tag| pair(Some(tag.key()), Some(tag.value()))).collect()
        }
        "logs" => {
            let arn = format!("arn:aws:logs:{region}:{ACCOUNT}:log-group:{id}");
            let client = aws_sdk_cloudwatchlogs::Client::new(&sdk);
            let answer = client.list_tags_for_resource().resource_arn(arn).send().await.unwrap();
            answer.tags().cloned().unwrap_or_default().into_iter().collect()
        }
        _ => BTreeMap::new(),
    }
}

/// M-05, X-02, X-01: whatever can have tags has the five of the stack, with the time of the configuration, and the
/// three that say whose it is; its name carries the suffix.
#[tokio::test(flavor = "multi_thread")]
async fn m05_x02_x01_all_that_can_have_tags_has_those_of_the_stack_and_of_its_owner() {
    let bench = migration().await;
    let state = bench.state("migration");
    let mut kinds = BTreeSet::new();
    for (address, record) in state["resources"].as_object().unwrap() {
        let (region, rest) = address.split_once('/').unwrap();
        let kind = rest.split_once('/').unwrap().0;
        if UNTAGGABLE.contains(&kind) {
            continue;
        }
        kinds.insert(kind.to_owned());
        let tags = tags(bench, region, kind, record["id"].as_str().unwrap()).await;
        let get = |key| tags.get(key).map_or("(missing)", String::as_str);
        let expected = [
            ("CutoverTimestamp", "2026-03-01T02:00:00Z"),
            ("Environment", "migration"),
            ("ManagedBy", "payinfra"),
            ("MigrationPhase", "migration"),
            ("Project", "payment-migration"),
            ("payinfra:stack", "migration"),
            ("payinfra:workspace", "migration"),
            ("payinfra:address", address),
        ];
        for (key, value) in expected {
            assert_eq!(get(key), value, "{address}: the tag {key} of {tags:?}");
        }
        assert!(get("Name").ends_with("-migration-demo1"), "{address}: {tags:?}");
    }
    assert!(kinds.len() >= 15, "{kinds:?}");
}
