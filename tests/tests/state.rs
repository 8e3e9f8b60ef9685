//! Well-formed states with wrong content, and intents whose code is gone: resources of others are never touched.

#![expect(clippy::unwrap_used, reason = "a test")]

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use payinfra_localstack::{Match, When};
use payinfra_tests::{Bench, caught, example};
use serde_json::{Value, json};

const BUCKET: &str = "payinfra-state-123456789012";
const KEY: &str = "migration/legacy/state.json";
const APPLY: [&str; 4] = ["apply", "--workspace", "legacy", "--yes"];
const PLAN: [&str; 4] = ["plan", "--workspace", "legacy", "--exit-code"];
const DESTROY: [&str; 5] = ["destroy", "--workspace", "legacy", "--yes", "--accept-loss"];
const DRIFT: [&str; 3] = ["drift", "--workspace", "legacy"];
const SWEEP: [&str; 3] = ["sweep", "--workspace", "legacy"];
const VPC: &str = "us-east-1/ec2.vpc/main";

async fn put_state(bench: &Bench, state: &Value) {
    let body = state.to_string().into_bytes();
    bench.s3("us-east-1").put_object().bucket(BUCKET).key(KEY).body(body.into()).send().await.unwrap();
}

async fn stored(bench: &Bench) -> Vec<u8> {
    let object = bench.s3("us-east-1").get_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    object.body.collect().await.unwrap().to_vec()
}

/// Checks that each command that reads the account ends with 1 and all of `told`, and changes neither account nor
/// state.
async fn refused(bench: &Bench, state: &Value, told: &[&str]) {
    put_state(bench, state).await;
    let (account, kept) = (bench.inventory().await, stored(bench).await);
    bench.aws.clear_calls();
    for args in [&PLAN[..], &APPLY, &DESTROY, &DRIFT] {
        let outcome = bench.run(args).expect(1);
        for told in told {
            assert!(outcome.stderr.contains(told), "{args:?}: `{told}` is not in:\n{}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    }
    assert!(bench.mutations().is_empty(), "{:#?}", bench.mutations());
    assert_eq!(bench.inventory().await, account);
    assert_eq!(stored(bench).await, kept, "the state is unchanged");
}

/// A VPC of somebody else, and its id.
async fn vpc(bench: &Bench, cidr: &str, tags: &[(&str, &str)]) -> String {
    let mut call = bench.ec2("us-east-1").create_vpc().cidr_block(cidr);
    if !tags.is_empty() {
        let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect();
        call = call.tag_specifications(
            TagSpecification::builder().resource_type(ResourceType::Vpc).set_tags(Some(tags)).build(),
        );
    }
    call.send().await.unwrap().vpc.unwrap().vpc_id.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_no_state_is_refused() {
    let bench = Bench::new().await;
    bench.run(&APPLY).expect(0);
    let sound = bench.state("legacy");
    let with = |pointer: &str, value: Value| {
        let mut state = sound.clone();
        *state.pointer_mut(pointer).unwrap() = value;
        state
    };
    let mend = "restore an earlier version of the state object";
    for (state, told) in [
        (with("/resources", json!([])), "the state cannot be read"),
        (with("/resources", json!({ "nonsense": sound["resources"][VPC] })), "`nonsense` is not an address"),
        (with("/resources/us-east-1~1ec2.vpc~1main/generation", json!(-1)), "-1"),
        (with("/resources/us-east-1~1ec2.vpc~1main", json!("vpc-1")), "the state cannot be read"),
        (with("/serial", json!("seven")), "the state cannot be read"),
    ] {
        refused(&bench, &state, &[told, mend]).await;
    }
    put_state(&bench, &sound).await;
    bench.run(&PLAN).expect(0);
}

/// An id of somebody else's resource is an error with the command that removes it; mere drift is repaired.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_belongs_to_somebody_else_is_refused_and_theirs_stays() {
    let bench = Bench::new().await;
    bench.run(&APPLY).expect(0);
    let sound = bench.state("legacy");
    let cidr = "10.0.0.0/16";
    let owner =
        |workspace| [("payinfra:stack", "migration"), ("payinfra:workspace", workspace), ("payinfra:address", VPC)];
    let mend = format!("payinfra state rm {VPC}");
    for (id, told) in [
        (vpc(&bench, "10.77.0.0/16", &[]).await, "it has no owner tags"),
        (vpc(&bench, cidr, &owner("another")).await, "`another`"),
    ] {
        let mut state = sound.clone();
        state["resources"][VPC]["id"] = id.clone().into();
        refused(&bench, &state, &[VPC, &id, told, &mend]).await;
        bench.run(&["state", "rm", VPC, "--workspace", "legacy"]).expect(0);
        bench.run(&PLAN).expect(2);
    }
    put_state(&bench, &sound).await;
    let id = sound["resources"][VPC]["id"].as_str().unwrap();
    let keys = ["payinfra:stack", "payinfra:workspace", "payinfra:address"];
    let tags = keys.iter().map(|key| Tag::builder().key(*key).build()).collect();
    bench.ec2("us-east-1").delete_tags().resources(id).set_tags(Some(tags)).send().await.unwrap();
    bench.run(&PLAN).expect(2);
    bench.run(&APPLY).expect(0);
    bench.run(&PLAN).expect(0);
    assert_eq!(bench.id("legacy", VPC), id, "removed owner tags are restored on the same VPC");
}

/// Started creates that are no longer declared are deleted, whether or not the state has their ids.
#[tokio::test(flavor = "multi_thread")]
async fn an_intent_whose_address_is_in_the_code_no_more_leaves_nothing() {
    let bench = Bench::new().await;
    let before = bench.inventory().await;
    let mut hold = bench.aws.hold(Match::action("ec2", "AllocateAddress"), When::After);
    let mut first = bench.start(&APPLY);
    let mut stopped = Vec::new();
    for _ in 0..2 {
        stopped.push(caught(&mut hold).await);
    }
    first.kill().unwrap();
    first.wait().unwrap();
    drop((stopped, hold));
    let intents = |state: &Value| {
        let resources = state["resources"].as_object().unwrap().clone();
        resources.into_iter().filter(|(address, it)| address.contains("/ec2.eip/") && it["id"].is_null()).count()
    };
    assert!(intents(&bench.state("legacy")) >= 2, "creates were started whose ids are unknown");
    bench.run(&["unlock", "--workspace", "legacy", "--yes"]).expect(0);
    bench.configure(&bench.configuration().replace("nat = \"per-zone\"", "nat = \"single\""));
    bench.run(&APPLY).expect(0);
    bench.run(&PLAN).expect(0);
    bench.run(&SWEEP).expect(0);
    let eips = bench.ec2("us-east-1").describe_addresses().send().await.unwrap();
    assert_eq!(eips.addresses().len(), 1, "{:#?}", eips.addresses());
    bench.run(&DESTROY).expect(0);
    assert_eq!(bench.inventory().await, before);
}

/// A subscription is the same one wherever it is in the list: one that is added before another one neither deletes it nor
/// subscribes it again.
#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_in_another_order_stay() {
    let listed = |names: &[&str]| {
        let one = |name: &&str| format!("{{ protocol = \"email\", endpoint = \"{name}@example.org\" }}");
        let all = names.iter().map(one).collect::<Vec<_>>().join(", ");
        example().replace("[defaults.alarms]\n", &format!("[defaults.alarms]\nsubscriptions = [{all}]\n"))
    };
    let bench = Bench::with(&listed(&["first"])).await;
    bench.run(&APPLY).expect(0);
    let at = |number: usize| format!("us-east-1/sns.subscription/alarms-{number}");
    let first = bench.id("legacy", &at(1));

    bench.configure(&listed(&["before", "first"]));
    bench.aws.clear_calls();
    let plan = bench.run(&PLAN).expect(2).stdout;
    assert!(plan.contains(&format!("→ {}  # recorded as alarms-1", at(2))), "{plan}");
    assert!(plan.contains("1 to create, 0 to update, 0 to replace, 0 to delete, 1 to move in the state."), "{plan}");
    bench.run(&APPLY).expect(0);
    assert_eq!(bench.id("legacy", &at(2)), first);
    let sent = |operation: &str| bench.mutations().iter().filter(|call| call.action == operation).count();
    assert_eq!((sent("Subscribe"), sent("Unsubscribe")), (1, 0));
    bench.run(&PLAN).expect(0);

    // The order alone: nothing changes in AWS.
    bench.configure(&listed(&["first", "before"]));
    bench.aws.clear_calls();
    bench.run(&APPLY).expect(0);
    assert_eq!(bench.id("legacy", &at(1)), first);
    let foreign = |call: &&payinfra_localstack::Call| !["s3", "dynamodb"].contains(&call.service.as_str());
    assert_eq!(bench.mutations().iter().filter(foreign).count(), 0, "{:#?}", bench.mutations());
    bench.run(&DESTROY).expect(0);
}
