//! What can reach what: the rules of security groups, one by one.

use std::collections::BTreeSet;

use anstyle::Style;
use payinfra_engine::{Action, Address, Step, Wanted};
use serde_json::Value;

use crate::screen::{CREATE, DELETE};
use crate::table::Row;
use crate::value_view::{holed, text};

/// The kind with rules.
const GROUP: &str = "ec2.security-group";

/// Traffic between two peers.
type Reach = (String, String, String);

/// The rows for the changes of `step`.
pub(super) fn rows(address: &Address, step: &Step) -> Vec<Row> {
    if &*address.kind != GROUP {
        return Vec::new();
    }
    if step.action == Action::Delete {
        let cells = vec![vec!["all peers".to_owned()], vec![address.to_string()], vec!["all of its rules".to_owned()]];
        return vec![Row { sign: "-", style: DELETE, cells }];
    }
    let (mut old, mut new) = (BTreeSet::new(), BTreeSet::new());
    for change in &step.changes {
        rules(&holed(&change.old), &change.path, address, &mut old);
        if let (Wanted::Value(value), _) | (Wanted::Unknown, Some(value)) = (&change.new, &change.partial) {
            rules(&holed(value), &change.path, address, &mut new);
        }
    }
    let row = |(from, to, traffic): &Reach, sign, style: Style| {
        let cells = [from, to, traffic].map(|cell| vec![cell.clone()]).to_vec();
        Row { sign, style, cells }
    };
    let removed = old.difference(&new).map(|reach| row(reach, "-", DELETE));
    removed.chain(new.difference(&old).map(|reach| row(reach, "+", CREATE))).collect()
}

fn rules(value: &Value, path: &str, address: &Address, found: &mut BTreeSet<Reach>) {
    let is_inbound = path == "ingress";
    if !is_inbound && path != "egress" {
        return;
    }
    let group = address.to_string();
    for rule in value.as_array().into_iter().flatten() {
        let part = |name: &str| rule.get(name).unwrap_or(&Value::Null);
        let (peer, traffic) = (peer(part("peer"), &group), traffic(part("protocol")));
        found.insert(if is_inbound { (peer, group.clone(), traffic) } else { (group.clone(), peer, traffic) });
    }
}

fn peer(peer: &Value, group: &str) -> String {
    if peer == "itself" {
        return group.to_owned();
    }
    let value = peer.as_object().and_then(|kinds| kinds.values().next()).unwrap_or(peer);
    let value = value.as_str().map_or_else(|| text(value), str::to_owned);
    if matches!(&*value, "0.0.0.0/0" | "::/0") { format!("{value} (anyone)") } else { value }
}

fn traffic(protocol: &Value) -> String {
    let Some((name, ports)) = protocol.as_object().and_then(|kinds| kinds.iter().next()) else {
        return if protocol == "all" {
            "all traffic".to_owned()
        } else {
            protocol.as_str().unwrap_or_default().to_owned()
        };
    };
    match ports.as_array().map(Vec::as_slice) {
        Some([first, last]) if first == last => format!("{name} {first}"),
        Some([first, last]) => format!("{name} {first}–{last}"),
        Some([protocol, first, last]) => format!("{} {first}–{last}", protocol.as_str().unwrap_or_default()),
        _ => text(protocol),
    }
}
