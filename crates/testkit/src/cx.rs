//! The context of calls of the simulated kinds.

use std::sync::Arc;

use payinfra_engine::{Address, Error, Expected, Known, Region, Result, Site};

use crate::world::World;

/// The context of calls of the simulated kinds.
pub struct Cx {
    pub(crate) world: Arc<World>,
    pub(crate) region: Region,
    pub(crate) site: Option<Site>,
}

impl Cx {
    pub(crate) fn token(&self) -> Result<&str> {
        self.site.as_ref().map(|site| &site.token[..]).ok_or_else(|| Error::failed("no token outside a site"))
    }

    /// The address of the call.
    pub(crate) fn address(&self) -> Option<&Address> {
        self.site.as_ref().map(|site| &site.address)
    }

    /// How long operations take that usually take `usual`.
    pub(crate) fn lasts(&self, usual: Expected) -> Expected {
        match (self.world.climate(), self.address()) {
            (Some(climate), Some(address)) => climate.lasts(address, usual),
            _ => usual,
        }
    }

    pub(crate) fn known(&self) -> Known {
        self.site.as_ref().map(|site| site.known.clone()).unwrap_or_default()
    }
}
