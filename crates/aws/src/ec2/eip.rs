//! An Elastic IP address.

use aws_sdk_ec2::types::{self as sdk, DomainType, ResourceType};
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{by_id, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// An Elastic IP address; its id is the allocation id. Resources that use it refer to it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Eip {
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EipOutputs {
    /// The public IP address.
    pub public_ip: Ref<String>,
}

impl Resource for Eip {
    type Cx = Cx;
    const KIND: &'static str = "ec2.eip";
    const REPLACE: Fields = fields!(Self:);
    const EXPECTED: Expected = Expected::millis(500, 500);
    type Outputs = EipOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ec2().allocate_address().domain(DomainType::Vpc);
        let call = call.tag_specifications(tags::spec(ResourceType::ElasticIp, &self.tags));
        Ok(Id::new(call.send().await.explain()?.allocation_id.need("AllocationId")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let found = cx.ec2().describe_addresses().set_filters(Some(tags::owned_by(owner))).send().await.explain()?;
        let mut ids = found.addresses().iter().filter_map(|address| address.allocation_id());
        Ok(ids.find(|id| !cx.is_known(id)).map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = cx.ec2().describe_addresses().filters(by_id("allocation-id", ids)).send().await.explain()?;
        found.addresses.unwrap_or_default().into_iter().map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        tags::sync(cx, &live.id, &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let released = cx.ec2().release_address().allocation_id(&live.id).send().await.explain();
        // AWS returns this for an address on the interface of a NAT gateway that is being deleted (AWS-FACTS §1.1).
        let released = released.map_err(|error| match error.get_code() {
            Some("AuthFailure") => error.into_class(Class::Conflict),
            _ => error,
        });
        released.unless(Class::NotFound).map(drop)
    }

    absent!(describe_addresses, allocation_ids, addresses);
}

fn live(address: sdk::Address) -> Result<Live<Eip>> {
    Ok(Live {
        id: Id::new(address.allocation_id.need("AllocationId")?),
        status: Status::Ready,
        args: Eip { tags: tags::from(address.tags) },
        outputs: EipOutputs { public_ip: Ref::Known(address.public_ip.need("PublicIp")?) },
    })
}
