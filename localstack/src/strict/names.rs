//! Names that AWS reserves, and zones that the parent delegates.
//!
//! AWS-FACTS, Supplement: Route 53 and ACM; ACM user guide: DNS validation.

use crate::{
    action::Request,
    answer::{self, Answer},
    xml::Element,
};

/// The names for which, and below which, Route 53 makes no public zones.
const RESERVED: &[&str] = &["example.com"];

/// Refuses a public zone with a reserved name. The second value is the message.
pub(super) fn refuse(request: &Request) -> Option<(Answer, String)> {
    if (request.scope.service.as_str(), request.action.as_str()) != ("route53", "CreateHostedZone") {
        return None;
    }
    let asked = Element::parse(&String::from_utf8_lossy(&request.body))?;
    let name = plain(&asked.value("Name")?);
    if asked.child("VPC").is_some() || !RESERVED.iter().any(|reserved| is_within(&name, reserved)) {
        return None;
    }
    let message = format!("{name} is reserved by AWS!");
    Some((answer::error(request, 400, "InvalidDomainName", &message), message))
}

/// A name without its dot at the end, in lower case.
pub(crate) fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether a name is `parent` or below it.
pub(crate) fn is_within(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}
