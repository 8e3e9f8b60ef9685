//! The recorded calls of the examples against the permissions of their kinds.

use std::collections::BTreeSet;

use payinfra_aws::permissions;
use payinfra_localstack::{Call, iam_action};

/// the calls of an example of `kind`, by the access keys of its clients, need no other actions than the kind lists.
pub(crate) fn check(kind: &'static str, calls: &[Call], reads: &str, changes: &str) {
    let actions = |access_key: &str| -> BTreeSet<String> {
        let calls = calls.iter().filter(|call| call.access_key == access_key && call.service != "sts");
        calls.map(|call| iam_action(&call.service, &call.action)).collect()
    };
    let listed: Vec<_> = permissions().iter().filter(|it| it.kind == kind).collect();
    let may_read: BTreeSet<_> =
        listed.iter().flat_map(|it| it.read.iter().chain(it.look)).map(ToString::to_string).collect();
    let may_change = listed.iter().flat_map(|it| it.change).map(ToString::to_string);
    let may_change: BTreeSet<_> = may_change.chain(may_read.clone()).collect();
    let (reads, changes) = (actions(reads), actions(changes));
    assert!(!reads.is_empty(), "the calls of {kind} were not recorded");
    let missing: Vec<_> = reads.difference(&may_read).chain(changes.difference(&may_change)).collect();
    assert!(missing.is_empty(), "add them to {kind} in permissions/table.rs: {missing:?}");
}
