//! Final snapshots of databases.

use payinfra_engine::{Error, Result};

/// The maximum number of final snapshots of a database: one for each delete that took one and then failed.
const SNAPSHOTS: u32 = 10;

/// Deletes the database `name` with a final snapshot. `delete` gets the snapshot's name, and returns whether the name was
/// free.
///
/// An existing snapshot with this name is from an earlier delete that failed afterwards. It lacks later writes, so
/// another one is taken.
pub(super) async fn delete_with_snapshot<F: Future<Output = Result<bool>>>(
    name: &str,
    resource: &str,
    delete: impl Fn(String) -> F,
) -> Result<()> {
    for number in 1..=SNAPSHOTS {
        if delete(snapshot(name, resource, number)).await? {
            return Ok(());
        }
    }
    let message = format!("{name} has {SNAPSHOTS} final snapshots, but no delete of it has succeeded");
    Err(Error::failed(message).hint("delete the snapshots that are not needed, then run the command again"))
}

/// The name of a final snapshot. It contains the resource id, which distinguishes successive databases with the same
/// name.
fn snapshot(name: &str, resource: &str, number: u32) -> String {
    let resource = resource.trim_start_matches("cluster-").trim_start_matches("db-").to_ascii_lowercase();
    let number = if number == 1 { String::new() } else { format!("-{number}") };
    format!("{name}-final-{resource}{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_snapshots_have_names_that_rds_takes() {
        for resource in ["cluster-ABCD1234", "db-ABCD1234"] {
            let name = snapshot("payments-dev", resource, 1);
            assert_eq!(name, "payments-dev-final-abcd1234");
            assert_eq!(snapshot("payments-dev", resource, 2), format!("{name}-2"));
            assert_ne!(name, snapshot("payments-dev", "cluster-EFGH5678", 1), "another life of the name");
        }
    }
}
