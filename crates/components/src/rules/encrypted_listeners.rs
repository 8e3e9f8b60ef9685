//! Public listeners use TLS 1.2 or later, or redirect to a listener that does.

use payinfra_aws::elbv2::{Action, Listener, ListenerRule, Protocol};
use payinfra_engine::{Address, Graph, ID, Ref, Result};

use payinfra_stack::{Names, Rule, Violation};

use super::all;

pub(super) const RULE: Rule =
    Rule { name: "encrypted-listeners", about: "public listeners use TLS 1.2 or later, or redirect", check };

/// The prefixes of AWS's security policies that allow neither TLS 1.0 nor 1.1.
const TLS: [&str; 4] = [
    "ELBSecurityPolicy-FS-1-2-",
    "ELBSecurityPolicy-TLS-1-2-",
    "ELBSecurityPolicy-TLS13-1-2-",
    "ELBSecurityPolicy-TLS13-1-3-",
];

fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let mut broken = Vec::new();
    let mut plain: Vec<Address> = Vec::new();
    for (address, listener) in all::<Listener>(graph)? {
        if listener.protocol == Protocol::Https {
            let policy = listener.ssl_policy.as_deref().unwrap_or("AWS's default");
            if !TLS.iter().any(|start| policy.starts_with(start)) {
                broken.push(Violation::new(&address, format!("allows TLS before 1.2: its policy is {policy}")));
            }
            if listener.certificate.is_none() {
                broken.push(Violation::new(&address, "has no certificate"));
            }
        } else {
            if !leads_to_https(&listener.default_action) {
                broken.push(Violation::new(&address, "responds without TLS"));
            }
            plain.push(address);
        }
    }
    for (address, rule) in all::<ListenerRule>(graph)? {
        let is_plain = plain.iter().any(|listener| rule.listener == Ref::to(listener, ID));
        if is_plain && !leads_to_https(&rule.action) {
            broken.push(Violation::new(&address, "responds without TLS"));
        }
    }
    Ok(broken)
}

fn leads_to_https(action: &Action) -> bool {
    matches!(action, Action::Redirect(redirect) if redirect.protocol.as_deref() == Some("HTTPS"))
}
