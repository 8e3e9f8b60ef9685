//! EC2: networks.

mod subnet;
mod tags;
mod vpc;

use aws_sdk_ec2::types::Filter;
use payinfra_engine::{Id, Kind, kind};

pub use subnet::Subnet;
pub use vpc::Vpc;

use crate::Cx;

/// The kinds of this service, sorted by name.
pub const KINDS: &[&dyn Kind<Cx>] = &[kind::<Subnet>(), kind::<Vpc>()];

/// Those with one of `ids`: a filter, because an id list fails as a whole when one of them is gone.
fn by_id<R>(name: &str, ids: &[Id<R>]) -> Filter {
    Filter::builder().name(name).set_values(Some(ids.iter().map(String::from).collect())).build()
}

/// A filter for one value.
fn filter(name: &str, value: impl Into<String>) -> Filter {
    Filter::builder().name(name).values(value).build()
}
