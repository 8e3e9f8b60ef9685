//! The recorded calls of the examples against the permissions of their kinds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use payinfra_aws::permissions;
use payinfra_localstack::{Call, iam_action};

use crate::examples;

/// Actions that no example calls, and the reasons.
const UNSEEN: &[(&str, &str)] = &[];

/// The actions of the examples of each kind, and the number of examples.
static SEEN: Mutex<(usize, BTreeMap<&str, BTreeSet<String>>)> = Mutex::new((0, BTreeMap::new()));

/// the calls of an example of `kind`, by the access keys of its clients, need no other actions than the kind lists. Once
/// all examples have run in this process, each listed action was needed.
pub(crate) fn check(kind: &'static str, calls: &[Call], reads: &str, changes: &str) {
    let actions = |access_key: &str| -> BTreeSet<String> {
        let calls = calls.iter().filter(|call| call.access_key == access_key && call.service != "sts");
        calls.map(|call| iam_action(&call.service, &call.action)).collect()
    };
    let listed = permissions().iter().find(|it| it.kind == kind).expect("every kind has permissions");
    let may_read: BTreeSet<_> = listed.read.iter().chain(listed.look).map(ToString::to_string).collect();
    let may_change: BTreeSet<_> = listed.change.iter().map(ToString::to_string).chain(may_read.clone()).collect();
    let (reads, changes) = (actions(reads), actions(changes));
    let missing: Vec<_> = reads.difference(&may_read).chain(changes.difference(&may_change)).collect();
    assert!(missing.is_empty(), "add them to {kind} in permissions/table.rs: {missing:?}");
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.0 += 1;
    seen.1.entry(kind).or_default().extend(reads.into_iter().chain(changes));
    if seen.0 == examples().map_or(0, |all| all.len()) {
        let vain: Vec<_> = vain(&seen.1).collect();
        assert!(
            vain.is_empty(),
            "no example needs {vain:#?}: remove them from permissions/table.rs, or add them to UNSEEN"
        );
    }
}

/// The actions that no example of their kind has needed.
fn vain(seen: &BTreeMap<&str, BTreeSet<String>>) -> impl Iterator<Item = String> {
    permissions().iter().flat_map(|listed| {
        let all = listed.read.iter().chain(listed.look).chain(listed.change);
        let unseen = all.map(|action| (action, format!("{} {action}", listed.kind)));
        let unseen = unseen.filter(|(action, _)| !seen.get(listed.kind).is_some_and(|seen| seen.contains(**action)));
        unseen.map(|(_, text)| text).filter(|text| UNSEEN.iter().all(|(known, _)| known != text))
    })
}
