//! The association of a subnet with a route table.

use aws_sdk_ec2::types::{self as sdk, RouteTableAssociationStateCode};
use payinfra_engine::{
    Class, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RouteTable, Subnet, by_id};
use crate::error::{Unless, vacant};
use crate::{Cx, Explain, Need};

/// The explicit association of a subnet with a route table; without one, the subnet uses the main route table.
///
/// Its id here is the subnet's, because a subnet has at most one association, and AWS's id changes with the table.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteTableAssociation {
    /// The route table.
    pub table: Ref<Id<RouteTable>>,
    /// The subnet.
    pub subnet: Ref<Id<Subnet>>,
}

impl Resource for RouteTableAssociation {
    type Cx = Cx;
    const KIND: &'static str = "ec2.route-table-association";
    const REPLACE: Fields = fields!(Self: subnet);
    const HOLDS: Fields = fields!(Self: table);
    const IDENTITY: Identity = Identity::Part("subnet");
    const KEY: Fields = fields!(Self: subnet);
    const EXPECTED: Expected = Expected::millis(1_000, 750);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    /// AWS returns an existing equal association, whoever created it, so look for one first.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let subnet = self.subnet.known()?;
        vacant(self.found(cx).await?, "association of a route table with")?;
        let call = cx.ec2().associate_route_table().route_table_id(self.table.known()?).subnet_id(subnet);
        call.send().await.explain()?;
        Ok(Id::new(subnet))
    }

    /// By its natural key. A deleted one has the same id, so `is_known` is not useful here.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        self.found(cx).await
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        find(cx, ids).await?.into_iter().map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let table = self.table.known()?;
        if table == live.args.table.known()? {
            return Ok(());
        }
        // In one step, so that the subnet always has a table.
        for found in find(cx, std::slice::from_ref(&live.id)).await? {
            let id = found.route_table_association_id.need("RouteTableAssociationId")?;
            let call = cx.ec2().replace_route_table_association().association_id(id).route_table_id(table);
            call.send().await.explain()?;
        }
        Ok(())
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        for found in find(cx, std::slice::from_ref(&live.id)).await? {
            let id = found.route_table_association_id.need("RouteTableAssociationId")?;
            let call = cx.ec2().disassociate_route_table().association_id(id);
            call.send().await.explain().unless(Class::NotFound)?;
        }
        Ok(())
    }

    /// In all tables, without the filter, which lags.
    async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
        let tables = cx.ec2().describe_route_tables().into_paginator().items().send().try_collect().await.explain()?;
        let mut all = tables.iter().flat_map(sdk::RouteTable::associations);
        Ok(!all.any(|found| {
            found.subnet_id() == Some(id.as_str())
                && state(found) != Some(&RouteTableAssociationStateCode::Disassociated)
        }))
    }
}

impl RouteTableAssociation {
    async fn found(&self, cx: &Cx) -> Result<Option<Id<Self>>> {
        let id = Id::new(self.subnet.known()?);
        Ok(find(cx, &[id]).await?.into_iter().next().and_then(|found| found.subnet_id).map(Id::new))
    }
}

/// The active associations of these subnets.
async fn find(cx: &Cx, ids: &[Id<RouteTableAssociation>]) -> Result<Vec<sdk::RouteTableAssociation>> {
    let call = cx.ec2().describe_route_tables().filters(by_id("association.subnet-id", ids));
    let tables = call.into_paginator().items().send().try_collect().await.explain()?;
    let all = tables.into_iter().flat_map(|table| table.associations.unwrap_or_default());
    // AWS returns a table with all of its associations, including those of other subnets.
    let asked = |subnet: &str| ids.iter().any(|id| id.as_str() == subnet);
    let ours = all.filter(|found| found.subnet_id().is_some_and(asked));
    Ok(ours.filter(|found| state(found) != Some(&RouteTableAssociationStateCode::Disassociated)).collect())
}

fn state(association: &sdk::RouteTableAssociation) -> Option<&RouteTableAssociationStateCode> {
    association.association_state().and_then(|state| state.state())
}

fn live(association: sdk::RouteTableAssociation) -> Result<Live<RouteTableAssociation>> {
    let status = match state(&association) {
        Some(RouteTableAssociationStateCode::Associating) => Status::Pending,
        Some(RouteTableAssociationStateCode::Disassociating) => Status::Deleting,
        Some(RouteTableAssociationStateCode::Failed) => {
            let message = association.association_state().and_then(|state| state.status_message());
            Status::Failed(message.unwrap_or("AWS gave no reason").to_owned())
        }
        _ => Status::Ready,
    };
    let subnet = association.subnet_id.need("SubnetId")?;
    Ok(Live {
        id: Id::new(&subnet),
        status,
        args: RouteTableAssociation {
            table: Ref::Known(Id::new(association.route_table_id.need("RouteTableId")?)),
            subnet: Ref::Known(Id::new(subnet)),
        },
        outputs: (),
    })
}
