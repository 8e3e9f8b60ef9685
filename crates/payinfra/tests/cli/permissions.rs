//! `payinfra permissions`.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use serde_json::{Deserializer, Value};

use crate::support::{Ended, Folder};

/// IAM's limit for a managed policy.
const LIMIT: usize = 6_144;

/// The policies on stdout.
fn policies(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code, Some(0), "{}", ended.transcript);
    Deserializer::from_str(&ended.stdout).into_iter().collect::<Result<_, _>>().unwrap()
}

/// The actions that they allow.
fn actions(policies: &[Value]) -> BTreeSet<String> {
    let statements = policies.iter().flat_map(|policy| policy["Statement"].as_array().unwrap());
    let actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

fn of(arguments: &[&str]) -> BTreeSet<String> {
    actions(&policies(&Folder::empty().run(&[&["permissions"], arguments].concat())))
}

#[test]
fn policies_of_all_kinds_are_valid_and_small_enough() {
    let ended = Folder::empty().run(&["permissions"]);
    let all = policies(&ended);
    assert!(all.len() > 1, "{}", ended.transcript);
    let mut sids = BTreeSet::new();
    for policy in &all {
        assert_eq!(policy["Version"], "2012-10-17");
        // Compact JSON of policies has no white space.
        assert!(policy.to_string().len() <= LIMIT);
        for statement in policy["Statement"].as_array().unwrap() {
            let sid = statement["Sid"].as_str().unwrap();
            assert!(sid.bytes().all(|letter| letter.is_ascii_alphanumeric()) && sids.insert(sid.to_owned()), "{sid}");
            assert!(statement["Effect"] == "Allow" && !statement["Resource"].is_null(), "{statement}");
        }
    }
    let note = format!("{} policies of whole statements", all.len());
    assert!(ended.stderr.starts_with(&note), "{}", ended.stderr);
    let actions = actions(&all);
    assert!(actions.iter().all(|action| !action.contains('*')), "{actions:?}");
    for action in
        ["ec2:CreateVpc", "iam:PassRole", "iam:CreateServiceLinkedRole", "s3:PutObject", "sts:GetCallerIdentity"]
    {
        assert!(actions.contains(action), "{action}");
    }
}

#[test]
fn parts_are_the_policies_one_by_one() {
    let folder = Folder::empty();
    let all = policies(&folder.run(&["permissions"]));
    for (policy, number) in all.iter().zip(1..) {
        let ended = folder.run(&["permissions", "--part", &i32::to_string(&number)]);
        assert_eq!(policies(&ended), std::slice::from_ref(policy));
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn a_part_that_does_not_exist() {
    assert_snapshot!(
        Folder::empty().run(&["permissions", "--stack", "trading", "--read-only", "--part", "9"]).transcript
    );
}

#[test]
fn a_stack_needs_less_than_all_and_reading_less_than_changing() {
    let all = of(&[]);
    for stack in ["global-payments", "migration", "peered-payments", "trading"] {
        let needed = of(&["--stack", stack]);
        assert!(needed.is_subset(&all) && needed.len() < all.len(), "{stack}");
        let reading = of(&["--stack", stack, "--read-only"]);
        assert!(reading.is_subset(&needed), "{stack}");
        let changes = ["Create", "Delete", "Put", "Update", "Modify", "Attach", "PassRole", "POST", "PATCH"];
        let changes: Vec<_> = reading
            .iter()
            .filter(|it| changes.iter().any(|verb| it.split(':').nth(1).unwrap().starts_with(verb)))
            .collect();
        assert!(changes.is_empty(), "{stack}: {changes:?}");
    }
}

/// The first phase has kinds that the last has not, and the other way round.
#[test]
fn all_phases_of_a_stack_are_covered() {
    let folder = Folder::new();
    let all = actions(&policies(&folder.run(&["permissions", "--stack", "migration"])));
    for action in ["ec2:CreateNatGateway", "rds:CreateGlobalCluster"] {
        assert!(all.contains(action), "{action}");
    }
}

#[test]
fn the_configuration_says_where_the_state_is() {
    let configuration = |state: &str| {
        let text = crate::support::SOUND.replacen("[state]\npath = \"kept\"\n", state, 1);
        Folder::with(&text).run(&["permissions", "--read-only"]).stdout
    };
    let state = "[aws]\naccount_ids = [\"123456789012\"]\n[state]\nregion = \"eu-west-1\"\ntable = \"ours\"\n";
    let text = configuration(state);
    assert!(text.contains("\"arn:aws:s3:::payinfra-state-123456789012/*\""), "{text}");
    assert!(text.contains("\"arn:aws:dynamodb:eu-west-1:123456789012:table/ours\""), "{text}");
    assert!(text.contains("\"dynamodb.eu-west-1.amazonaws.com\""), "{text}");
    let text = configuration("[state]\nbucket = \"our-states\"\n");
    assert!(text.contains("\"arn:aws:s3:::our-states/*\""), "{text}");
    assert!(!configuration("[state]\npath = \"kept\"\n").contains("StateBucket"));
}

#[test]
fn the_policies_of_a_stack() {
    assert_snapshot!(Folder::empty().run(&["permissions", "--stack", "peered-payments"]).transcript);
}

#[test]
fn unknown_stack() {
    assert_snapshot!(Folder::empty().run(&["permissions", "--stack", "tradings"]).transcript);
}

#[test]
fn an_invalid_configuration() {
    assert_snapshot!(Folder::with("stack = \"trading\"\nregions = 3\n").run(&["permissions"]).transcript);
}
