//! EC2: networks.

mod eip;
mod internet_gateway;
mod nat_gateway;
mod route;
mod route_table;
mod route_table_association;
mod subnet;
mod subnets;
mod tags;
mod vpc;
mod zones;

use aws_sdk_ec2::types::Filter;
use payinfra_engine::{Id, Kind, kind, lookup};

pub use eip::{Eip, EipOutputs};
pub use internet_gateway::InternetGateway;
pub use nat_gateway::NatGateway;
pub use route::{Route, RouteTarget};
pub use route_table::RouteTable;
pub use route_table_association::RouteTableAssociation;
pub use subnet::Subnet;
pub use subnets::{Subnets, SubnetsOutputs};
pub use vpc::Vpc;
pub use zones::{Zones, ZonesOutputs};

use crate::Cx;

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[
    kind::<Eip>(),
    kind::<InternetGateway>(),
    kind::<NatGateway>(),
    kind::<Route>(),
    kind::<RouteTable>(),
    kind::<RouteTableAssociation>(),
    kind::<Subnet>(),
    lookup::<Subnets>(),
    kind::<Vpc>(),
    lookup::<Zones>(),
];

/// Those with one of `ids`: a filter, because an id list fails as a whole when one of them is gone.
fn by_id<R>(name: &str, ids: &[Id<R>]) -> Filter {
    Filter::builder().name(name).set_values(Some(ids.iter().map(String::from).collect())).build()
}

/// A filter for one value.
fn filter(name: &str, value: impl Into<String>) -> Filter {
    Filter::builder().name(name).values(value).build()
}
