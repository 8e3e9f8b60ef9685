//! Databases have no public address.

use payinfra_aws::rds::Instance;
use payinfra_engine::{Graph, Result};

use payinfra_stack::{Names, Rule, Violation};

use super::all;

pub(super) const RULE: Rule = Rule { name: "private-databases", about: "no database can have a public address", check };

/// The type of instances of clusters has no public address at all.
fn check(graph: &Graph, _: &Names) -> Result<Vec<Violation>> {
    let public = all::<Instance>(graph)?.into_iter().filter(|(_, instance)| instance.publicly_accessible);
    Ok(public.map(|(address, _)| Violation::new(&address, "can have a public address")).collect())
}
