//! Calls that share a rate limit.

use std::num::NonZeroUsize;

use crate::address::Region;

/// Calls that share a rate limit, such as those of a service in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// A name, different for each limit.
    pub name: String,
    /// How many of the calls that change resources are in flight at most. More would only wait for the limit, where the
    /// one on the longest path no longer comes first.
    pub width: NonZeroUsize,
}

/// The least [`Lane::width`].
pub const WIDTH: NonZeroUsize = NonZeroUsize::new(10).unwrap();

impl Lane {
    /// The lane of all kinds of a service in a region: `kind` begins with the name of the service.
    #[must_use]
    pub fn of_service(region: &Region, kind: &str) -> Self {
        let service = kind.split_once('.').map_or(kind, |(service, _)| service);
        Self { name: format!("{region}/{service}"), width: WIDTH }
    }
}
