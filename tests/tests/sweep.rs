//! `sweep` finds our resources that are not in any state, and touches nothing else.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use aws_sdk_route53::types::{Change, ChangeAction, ChangeBatch, RrType};
use payinfra_tests::Bench;

const SWEEP: [&str; 3] = ["sweep", "--workspace", "legacy"];

/// Resources that are no longer in the state are found and deleted; those in the state, of another workspace or without
/// owner tags are kept.
#[tokio::test(flavor = "multi_thread")]
async fn sweep_removes_what_the_state_forgot_and_nothing_else() {
    let bench = Bench::new().await;
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).expect(0);
    bench.run(&SWEEP).expect(0);
    let applied = bench.inventory().await;

    let ec2 = bench.ec2("us-east-1");
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let spec = |workspace: &str, lineage: Option<&str>| {
        let owner = [
            tag("payinfra:stack", "migration"),
            tag("payinfra:workspace", workspace),
            tag("payinfra:address", "us-east-1/ec2.vpc/main"),
        ];
        let tags = owner.into_iter().chain(lineage.map(|lineage| tag("payinfra:lineage", lineage)));
        TagSpecification::builder().resource_type(ResourceType::Vpc).set_tags(Some(tags.collect())).build()
    };
    let state = bench.state("legacy");
    let lineage = state["lineage"].as_str();
    let ours = spec("legacy", lineage);
    let lost = ec2.create_vpc().cidr_block("10.9.0.0/16").tag_specifications(ours).send().await.unwrap();
    let lost = lost.vpc().unwrap().vpc_id().unwrap().to_owned();
    for theirs in [spec("another", lineage), spec("legacy", Some("another")), spec("legacy", None)] {
        ec2.create_vpc().cidr_block("10.8.0.0/16").tag_specifications(theirs).send().await.unwrap();
    }
    ec2.create_vpc().cidr_block("10.7.0.0/16").send().await.unwrap();
    let crowded = bench.inventory().await;

    let found = bench.run(&[&SWEEP[..], &["--json"]].concat()).expect(2);
    assert!(found.stdout.contains(&lost), "{}", found.stdout);
    assert_eq!(found.stdout.matches("vpc-").count(), 1, "{}", found.stdout);
    assert_eq!(bench.inventory().await, crowded, "without --delete nothing changes");

    bench.run(&[&SWEEP[..], &["--delete", "--yes"]].concat()).expect(0);
    let swept = bench.inventory().await;
    assert!(swept.beyond(&applied).iter().all(|line| !line.contains(&lost)));
    assert_eq!(applied.beyond(&swept), Vec::<&str>::new(), "resources in the state are kept");
    assert_eq!(swept.count("us-east-1 ec2.vpc "), crowded.count("us-east-1 ec2.vpc ") - 1);
    bench.run(&SWEEP).expect(0);
}

/// An empty state leaves a whole stack orphaned; sweep deletes it in the right order. Resources without tags are kept,
/// because their owner is unknown: records with their zone, until they are deleted manually, and the dashboard.
#[tokio::test(flavor = "multi_thread")]
async fn sweep_takes_down_a_whole_stack_that_its_state_forgot() {
    let bench = Bench::new().await;
    let before = bench.inventory().await;
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).expect(0);
    let bucket = "payinfra-state-123456789012";
    let s3 = bench.s3("us-east-1");
    let key = "migration/legacy/state.json";
    let mut state = bench.state("legacy");
    state["resources"] = serde_json::json!({});
    // A lost state has no lineage, so the resources could belong to another deployment.
    s3.delete_object().bucket(bucket).key(key).send().await.unwrap();
    bench.aws.clear_calls();
    bench.run(&[&SWEEP[..], &["--delete", "--yes"]].concat()).expect(0);
    let deleted: Vec<_> = bench.mutations().into_iter().filter(|call| call.action.starts_with("Delete")).collect();
    assert!(deleted.is_empty(), "{deleted:#?}");
    s3.put_object().bucket(bucket).key(key).body(state.to_string().into_bytes().into()).send().await.unwrap();
    bench.run(&SWEEP).expect(2);
    let left = bench.run(&[&SWEEP[..], &["--delete", "--yes", "--accept-loss"]].concat()).expect(1);
    assert!(left.stderr.contains("the zone `payments.test` holds records that are not ours"), "{}", left.stderr);
    remove_records(&bench).await;
    bench.run(&[&SWEEP[..], &["--delete", "--yes", "--accept-loss"]].concat()).expect(0);
    let after = bench.inventory().await;
    assert_eq!(after.beyond(&before), ["global cloudwatch.dashboard payment-dashboard-us-east-1-legacy-demo1"]);
    assert_eq!(before.beyond(&after), Vec::<&str>::new());
}

/// Deletes the records of the only zone, except its own two.
async fn remove_records(bench: &Bench) {
    let dns = aws_sdk_route53::Client::new(&bench.sdk("us-east-1"));
    let zones = dns.list_hosted_zones().send().await.unwrap().hosted_zones;
    let [zone] = &zones[..] else { panic!("{zones:?}") };
    let records = dns.list_resource_record_sets().hosted_zone_id(&zone.id).send().await.unwrap().resource_record_sets;
    let ours = records.into_iter().filter(|record| !matches!(record.r#type, RrType::Ns | RrType::Soa));
    let gone = ours.map(|record| Change::builder().action(ChangeAction::Delete).resource_record_set(record).build());
    let batch = ChangeBatch::builder().set_changes(Some(gone.collect::<Result<_, _>>().unwrap())).build().unwrap();
    dns.change_resource_record_sets().hosted_zone_id(&zone.id).change_batch(batch).send().await.unwrap();
}
