//! No bucket can be made public, and the account owns all objects in it.

use payinfra_aws::s3::Bucket;
use payinfra_engine::{Graph, Result};

use payinfra_stack::{Names, Rule, Violation};

use super::all;

pub(super) const RULE: Rule =
    Rule { name: "private-buckets", about: "no bucket is public or accepts objects owned by other accounts", check };

fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let mut broken = Vec::new();
    for (address, bucket) in all::<Bucket>(graph)? {
        if !bucket.public_access_blocked {
            broken.push(Violation::new(&address, "does not block public access"));
        }
        if !bucket.ownership_enforced {
            broken.push(Violation::new(&address, "allows objects owned by other accounts"));
        }
    }
    Ok(broken)
}
