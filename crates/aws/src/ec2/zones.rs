//! A lookup of the availability zones of a region.

use aws_sdk_ec2::types::AvailabilityZone;
use payinfra_engine::{Error, Lookup, Ref, Result, counted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::filter;
use crate::{Cx, Explain};

/// The first zones of the region by name that need no opt-in, in whatever state they are: subnets stay in a zone that is
/// impaired for a while.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zones {
    /// The number of zones.
    pub count: usize,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ZonesOutputs {
    /// The requested number of names, sorted.
    pub names: Ref<Vec<String>>,
}

impl Lookup for Zones {
    type Cx = Cx;
    const KIND: &'static str = "ec2.zones";
    type Outputs = ZonesOutputs;

    async fn find(&self, cx: &Cx) -> Result<ZonesOutputs> {
        let call = cx.ec2().describe_availability_zones();
        let call = call.filters(filter("opt-in-status", "opt-in-not-required"));
        let call = call.filters(filter("zone-type", "availability-zone"));
        let found = call.send().await.explain()?;
        let mut names: Vec<_> = found.availability_zones().iter().filter_map(AvailabilityZone::zone_name).collect();
        names.sort_unstable();
        if names.len() < self.count {
            let got = counted(names.len(), "availability zone", "availability zones");
            let needed = counted(self.count, "is needed", "are needed");
            return Err(Error::invalid(format!("{} has {got}, but {needed}", cx.region()))
                .hint("use fewer zones, or another region"));
        }
        Ok(ZonesOutputs { names: Ref::Known(names.into_iter().take(self.count).map(str::to_owned).collect()) })
    }
}
