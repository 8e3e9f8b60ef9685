//! The quotas of the account, checked before anything is changed.

use std::collections::BTreeMap;

use payinfra_aws::{Access, Shortage, shortages};
use payinfra_engine::{Action, Class, Error, Plan, Region, Result};

/// Checks that the account's quotas allow what `planned` adds.
///
/// # Errors
/// With each quota that it would exceed, or if AWS cannot be asked.
pub(crate) async fn check(access: &Access, planned: &Plan) -> Result<()> {
    let adds = adds(planned);
    if adds.is_empty() {
        return Ok(());
    }
    let short = shortages(access, &adds).await?;
    if short.is_empty() { Ok(()) } else { Err(exceeded(&short)) }
}

/// How many resources of each kind the plan adds to a region. What it deletes there makes room, because a run that exceeds a
/// quota for a while can be repeated.
fn adds(planned: &Plan) -> BTreeMap<(Region, String), usize> {
    let mut counts = BTreeMap::<_, (usize, usize)>::new();
    for (address, step) in &planned.steps {
        let (more, less) = counts.entry((address.region.clone(), address.kind.to_string())).or_default();
        match step.action {
            Action::Create => *more += 1,
            Action::Delete => *less += 1,
            _ => {}
        }
    }
    let net = counts.into_iter().map(|(place, (more, less))| (place, more.saturating_sub(less)));
    net.filter(|(_, adds)| *adds > 0).collect()
}

/// The error that names these quotas.
fn exceeded(short: &[Shortage]) -> Error {
    let lines = short.iter().map(|Shortage { quota, region, value, used, adds }| {
        let code = quota.code.map_or_else(String::new, |code| format!(" ({code})"));
        let name = quota.name;
        format!("{region}: {name}{code}: {used} in use and {adds} more, but the quota is {value}")
    });
    let message = format!("the plan exceeds quotas of the account:\n{}", lines.collect::<Vec<_>>().join("\n"));
    let requests = short.iter().map(|Shortage { quota, region, used, adds, .. }| {
        let more = quota.request(region, used + adds);
        more.unwrap_or_else(|| format!("AWS does not raise {} in {region}: delete one that is not needed", quota.name))
    });
    let hint = requests.collect::<Vec<_>>().join("\n");
    Error::new(Class::Quota, message).hint(format!("request more, or delete what is not needed:\n{hint}"))
}
