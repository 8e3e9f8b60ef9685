//! The consistency of a table between its regions.

use aws_sdk_dynamodb::operation::update_table::builders::UpdateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    self as sdk, CreateGlobalTableWitnessGroupMemberAction, DeleteGlobalTableWitnessGroupMemberAction,
    GlobalTableWitnessGroupUpdate, MultiRegionConsistency,
};
use payinfra_engine::{Error, Region, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Table, change, replicas};
use crate::{Cx, Explain, Need};

/// Multi-region strong consistency (AWS-FACTS §4.1): a write succeeds once another region has it, so reads and conditions
/// of writes hold in all regions. The table must be empty when its replicas are added, all at once; it supports neither
/// time to live nor transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StrongConsistency {
    /// A region that stores writes but serves no requests, in place of a second replica.
    pub witness: Option<Region>,
}

/// The sets of regions, of which a strongly consistent table has three (API reference:
/// `CreateGlobalTableWitnessGroupMemberAction`).
const REGIONS: [&[&str]; 3] = [
    &["us-east-1", "us-east-2", "us-west-2"],
    &["eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3"],
    &["ap-northeast-1", "ap-northeast-2", "ap-northeast-3"],
];

impl StrongConsistency {
    /// Checks the regions of a table: the one that manages it, and those of its replicas.
    ///
    /// # Errors
    /// If `DynamoDB` supports no strongly consistent table in these regions.
    pub fn check<'a>(&'a self, home: &'a Region, replicas: impl Iterator<Item = &'a Region>) -> Result<()> {
        let all = std::iter::once(home).chain(replicas).chain(&self.witness);
        let mut regions: Vec<_> = all.map(Region::as_str).collect();
        let all = regions.join(", ");
        regions.sort_unstable();
        regions.dedup();
        let set = REGIONS.iter().find(|set| set.contains(&home.as_str()));
        if let Some(set) = set
            && regions.len() == 3
            && regions.iter().all(|region| set.contains(region))
        {
            return Ok(());
        }
        let message = format!("a strongly consistent table has three different regions of one set, not {all}");
        let sets: Vec<_> = REGIONS.iter().map(|set| set.join(", ")).collect();
        Err(Error::invalid(message).hint(format!(
            "declare two replicas, or one replica and a witness, in regions of one of these sets: {}",
            sets.join("; ")
        )))
    }

    pub(super) fn of(table: &sdk::TableDescription) -> Option<Self> {
        is_strong(table).then(|| Self { witness: witness(table).map(Region::new) })
    }
}

pub(super) fn is_strong(table: &sdk::TableDescription) -> bool {
    table.multi_region_consistency == Some(MultiRegionConsistency::Strong)
}

fn witness(table: &sdk::TableDescription) -> Option<&str> {
    table.global_table_witnesses().first()?.region_name()
}

impl Table {
    /// Checks what AWS would refuse only after the table has been created.
    pub(super) fn check(&self, home: &Region) -> Result<()> {
        let Some(strong) = &self.strong_consistency else { return Ok(()) };
        if self.time_to_live.is_some() {
            let message = format!("the table `{}` is strongly consistent and has a time to live", self.name);
            return Err(
                Error::invalid(message).hint("remove the time to live, or make the table eventually consistent")
            );
        }
        strong.check(home, self.replicas.keys())
    }

    /// Checks that an update of a table that is `was` is possible.
    pub(super) fn check_change(&self, was: &Self) -> Result<()> {
        if was.replicas.is_empty() || self.replicas.is_empty() {
            return Ok(());
        }
        let refused = |why: &str| {
            let message = format!("{why} of the table `{}` cannot be changed while it has replicas", self.name);
            Err(Error::failed(message).hint(
                "create a table with another name and copy the items, or first remove all replicas; only an empty table \
                 can become strongly consistent",
            ))
        };
        if self.strong_consistency != was.strong_consistency {
            return refused("the consistency");
        }
        let copies = |table: &Self| -> Vec<_> {
            table.replicas.iter().map(|(region, replica)| (region.clone(), replica.kms_key.clone())).collect()
        };
        if was.strong_consistency.is_some() && copies(self) != copies(was) {
            return refused("the list of replicas, and their keys,");
        }
        Ok(())
    }

    /// The call that adds all replicas and the witness of a strongly consistent table.
    pub(super) fn make_strong(
        &self,
        call: UpdateTableFluentBuilder,
        strong: &StrongConsistency,
    ) -> Result<UpdateTableFluentBuilder> {
        let copies =
            self.replicas.iter().map(|(region, replica)| change::new_replica(region, replica.kms_key.as_ref()));
        let call = call.set_replica_updates(Some(copies.collect::<Result<_>>()?));
        let call = call.multi_region_consistency(MultiRegionConsistency::Strong);
        let Some(witness) = &strong.witness else { return Ok(call) };
        let new = CreateGlobalTableWitnessGroupMemberAction::builder().region_name(witness.as_str());
        let new = new.build().explain()?;
        Ok(call.global_table_witness_updates(GlobalTableWitnessGroupUpdate::builder().create(new).build()))
    }
}

/// Removes all replicas and the witness of a strongly consistent table: AWS removes them only together.
pub(super) async fn dissolve(cx: &Cx, name: &str, table: &sdk::TableDescription) -> Result<()> {
    let mut call = cx.dynamodb().update_table().table_name(name);
    for replica in replicas(table) {
        let region = Region::new(replica.region_name().need("RegionName")?);
        change::release(cx, name, &region).await?;
        call = call.replica_updates(change::old_replica(&region)?);
    }
    if let Some(witness) = witness(table) {
        let old = DeleteGlobalTableWitnessGroupMemberAction::builder().region_name(witness).build().explain()?;
        call = call.global_table_witness_updates(GlobalTableWitnessGroupUpdate::builder().delete(old).build());
    }
    call.send().await.explain().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strongly_consistent_table_has_three_regions_of_a_set() {
        let check = |witness: Option<&str>, regions: &[&str]| {
            let regions: Vec<_> = regions.iter().map(|region| Region::new(region)).collect();
            let strong = StrongConsistency { witness: witness.map(Region::new) };
            strong.check(&regions[0], regions[1..].iter()).is_ok()
        };
        assert!(check(Some("us-east-2"), &["us-east-1", "us-west-2"]));
        assert!(check(None, &["eu-west-1", "eu-central-1", "eu-west-3"]));
        for (witness, regions) in [
            (None, &["us-east-1", "us-west-2"][..]),
            (Some("us-west-2"), &["us-east-1", "us-west-2"]),
            (Some("us-east-1"), &["us-east-1", "us-west-2"]),
            (Some("us-east-2"), &["us-east-1"]),
            (Some("us-west-1"), &["us-east-1", "us-west-2"]),
            (Some("eu-west-1"), &["us-east-1", "us-west-2"]),
            (None, &["sa-east-1", "us-east-1", "us-west-2"]),
        ] {
            assert!(!check(witness, regions), "{witness:?} {regions:?}");
        }
    }
}
