//! EC2: networks.

/// Absence by an explicit id, which EC2 reports as `Invalid….NotFound`: an empty result of a filter proves nothing.
/// Terminated resources that are still listed are absent as well.
macro_rules! absent {
    ($describe:ident, $ids:ident, $items:ident) => {
        absent!($describe, $ids, $items, |_| false);
    };
    ($describe:ident, $ids:ident, $items:ident, $ended:expr) => {
        async fn absent(cx: &Cx, id: &Id<Self>) -> Result<bool> {
            let found = cx.ec2().$describe().$ids(id).send().await.explain().unless(Class::NotFound)?;
            Ok(found.is_none_or(|found| found.$items().iter().all($ended)))
        }
    };
}

mod eip;
mod flow_log;
mod image;
mod interfaces;
mod internet_gateway;
mod nat_gateway;
mod prefix_list;
mod route;
mod route_table;
mod route_table_association;
mod security_group;
mod security_groups;
mod subnet;
mod subnets;
mod tags;
mod transit_gateway;
mod transit_gateway_peering;
mod transit_gateway_peering_accepter;
mod transit_gateway_route;
mod transit_gateway_vpc_attachment;
mod vpc;
mod vpc_endpoint;
mod vpc_peering;
mod vpc_peering_accepter;
mod vpc_peering_dns;
mod zones;

use aws_sdk_ec2::types::{Filter, UnsuccessfulItem};
use payinfra_engine::{Id, Kind, Result, kind, lookup};

pub use eip::{Eip, EipOutputs};
pub use flow_log::FlowLog;
pub use image::{Image, ImageOutputs};
pub use internet_gateway::InternetGateway;
pub use nat_gateway::NatGateway;
pub use prefix_list::{PrefixList, PrefixListOutputs};
pub use route::{Route, RouteTarget};
pub use route_table::RouteTable;
pub use route_table_association::RouteTableAssociation;
pub use security_group::{Peer, Protocol, Rule, SecurityGroup};
pub use security_groups::{ExistingSecurityGroup, ExistingSecurityGroupOutputs};
pub use subnet::Subnet;
pub use subnets::{Subnets, SubnetsOutputs};
pub use transit_gateway::{TransitGateway, TransitGatewayOutputs};
pub use transit_gateway_peering::TransitGatewayPeering;
pub use transit_gateway_peering_accepter::TransitGatewayPeeringAccepter;
pub use transit_gateway_route::TransitGatewayRoute;
pub use transit_gateway_vpc_attachment::TransitGatewayVpcAttachment;
pub use vpc::Vpc;
pub use vpc_endpoint::{EndpointType, VpcEndpoint};
pub use vpc_peering::VpcPeering;
pub use vpc_peering_accepter::VpcPeeringAccepter;
pub use vpc_peering_dns::VpcPeeringDns;
pub use zones::{Zones, ZonesOutputs};

use crate::{Cx, error};

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[
    kind::<Eip>(),
    lookup::<ExistingSecurityGroup>(),
    kind::<FlowLog>(),
    lookup::<Image>(),
    kind::<InternetGateway>(),
    kind::<NatGateway>(),
    lookup::<PrefixList>(),
    kind::<Route>(),
    kind::<RouteTable>(),
    kind::<RouteTableAssociation>(),
    kind::<SecurityGroup>(),
    kind::<Subnet>(),
    lookup::<Subnets>(),
    kind::<TransitGateway>(),
    kind::<TransitGatewayPeering>(),
    kind::<TransitGatewayPeeringAccepter>(),
    kind::<TransitGatewayRoute>(),
    kind::<TransitGatewayVpcAttachment>(),
    kind::<Vpc>(),
    kind::<VpcEndpoint>(),
    kind::<VpcPeering>(),
    kind::<VpcPeeringAccepter>(),
    kind::<VpcPeeringDns>(),
    lookup::<Zones>(),
];

/// The resources with one of `ids`: by a filter, because a list of ids fails as a whole if one of them is gone.
fn by_id<R>(name: &str, ids: &[Id<R>]) -> Filter {
    Filter::builder().name(name).set_values(Some(ids.iter().map(String::from).collect())).build()
}

/// A filter with one value.
fn filter(name: &str, value: impl Into<String>) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// The failures in a successful response.
fn unsuccessful(call: &str, items: &[UnsuccessfulItem]) -> Result<()> {
    match items.iter().find_map(UnsuccessfulItem::error) {
        Some(error) => Err(error::partial(call, error.code(), error.message())),
        None => Ok(()),
    }
}
