//! An internet gateway, which connects a VPC to the internet.

use std::time::Duration;

use aws_sdk_ec2::types::{self as sdk, AttachmentStatus, ResourceType};
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Vpc, by_id, filter, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// An internet gateway. It is created detached; `update` attaches it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InternetGateway {
    /// The VPC that it is attached to; an empty id if it is detached.
    pub vpc: Ref<Id<Vpc>>,
    /// The tags.
    pub tags: Tags,
}

impl Resource for InternetGateway {
    type Cx = Cx;
    const KIND: &'static str = "ec2.internet-gateway";
    const REPLACE: Fields = fields!(Self:);
    const KEY: Fields = fields!(Self: vpc);
    const HOLDS: Fields = fields!(Self: vpc);
    // Detaching fails until the last public address is unmapped, which AWS does with a delay (AWS-FACTS §1.1).
    const TIMEOUT: Duration = Duration::from_mins(20);
    const EXPECTED: Expected = Expected::millis(1_000, 2_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ec2().create_internet_gateway();
        let call = call.tag_specifications(tags::spec(ResourceType::InternetGateway, &self.tags));
        let gateway = call.send().await.explain()?.internet_gateway.need("InternetGateway")?;
        Ok(Id::new(gateway.internet_gateway_id.need("InternetGatewayId")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.ec2().describe_internet_gateways().set_filters(Some(tags::owned_by(owner)));
        let found = call.send().await.explain()?;
        let mut ids = found.internet_gateways().iter().filter_map(|gateway| gateway.internet_gateway_id());
        Ok(ids.find(|id| !cx.is_known(id)).map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let call = cx.ec2().describe_internet_gateways().filters(by_id("internet-gateway-id", ids));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        found.into_iter().map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let (vpc, old) = (self.vpc.known()?, live.args.vpc.known()?);
        if vpc != old {
            detach(cx, &live.id, old).await?;
            let call = cx.ec2().attach_internet_gateway().internet_gateway_id(&live.id).vpc_id(vpc);
            if let Err(error) = call.send().await.explain() {
                attached(cx, &live.id, vpc, error).await?;
            }
        }
        tags::sync(cx, &live.id, &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        detach(cx, &live.id, live.args.vpc.known()?).await?;
        let call = cx.ec2().delete_internet_gateway().internet_gateway_id(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }

    absent!(describe_internet_gateways, internet_gateway_ids, internet_gateways);
}

/// If it is already detached, `Gateway.NotAttached` has the class `NotFound`.
async fn detach(cx: &Cx, id: &Id<InternetGateway>, vpc: &Id<Vpc>) -> Result<()> {
    if vpc.as_str().is_empty() {
        return Ok(());
    }
    let call = cx.ec2().detach_internet_gateway().internet_gateway_id(id).vpc_id(vpc);
    call.send().await.explain().unless(Class::NotFound).map(drop)
}

/// AWS returns the same error whether the VPC has another gateway or, after a retry, already this one.
async fn attached(cx: &Cx, id: &Id<InternetGateway>, vpc: &Id<Vpc>, error: Error) -> Result<()> {
    if error.get_code() != Some("Resource.AlreadyAssociated") {
        return Err(error);
    }
    let call = cx.ec2().describe_internet_gateways().filters(filter("attachment.vpc-id", vpc));
    let found = call.send().await.explain()?;
    let ours = found.internet_gateways().iter().any(|gateway| gateway.internet_gateway_id() == Some(id.as_str()));
    if ours { Ok(()) } else { Err(error) }
}

fn live(gateway: sdk::InternetGateway) -> Result<Live<InternetGateway>> {
    // An existing attachment is `available`, which the SDK does not have as a state.
    let attachment =
        gateway.attachments.unwrap_or_default().into_iter().find(|attachment| {
            !matches!(attachment.state, Some(AttachmentStatus::Detaching | AttachmentStatus::Detached))
        });
    let moving = attachment.as_ref().is_some_and(|attachment| attachment.state == Some(AttachmentStatus::Attaching));
    Ok(Live {
        id: Id::new(gateway.internet_gateway_id.need("InternetGatewayId")?),
        status: if moving { Status::Pending } else { Status::Ready },
        args: InternetGateway {
            vpc: Ref::Known(Id::new(attachment.and_then(|attachment| attachment.vpc_id).unwrap_or_default())),
            tags: tags::from(gateway.tags),
        },
        outputs: (),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_as_attached_while_it_is_or_will_be() -> Result<()> {
        for (state, vpc, status) in [
            ("attaching", "vpc-1", Status::Pending),
            ("available", "vpc-1", Status::Ready),
            ("attached", "vpc-1", Status::Ready),
            ("detaching", "", Status::Ready),
            ("detached", "", Status::Ready),
        ] {
            let attachment = sdk::InternetGatewayAttachment::builder().state(state.into()).vpc_id("vpc-1").build();
            let gateway = sdk::InternetGateway::builder().internet_gateway_id("igw-1").attachments(attachment);
            let live = live(gateway.build())?;
            assert_eq!((live.args.vpc.known()?.as_str(), live.status), (vpc, status), "{state}");
        }
        Ok(())
    }
}
