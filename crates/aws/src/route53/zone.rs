//! A lookup of an existing hosted zone.

use payinfra_engine::{Error, Id, Lookup, Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DnsName, HostedZone, bare};
use crate::{Cx, Explain, Need};

/// The only existing public hosted zone of a domain.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// The domain.
    pub name: DnsName,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ZoneOutputs {
    /// The zone.
    pub id: Ref<Id<HostedZone>>,
    /// Its name servers, sorted.
    pub name_servers: Ref<Vec<String>>,
}

impl Lookup for Zone {
    type Cx = Cx;
    const KIND: &'static str = "route53.zone";
    type Outputs = ZoneOutputs;

    async fn find(&self, cx: &Cx) -> Result<ZoneOutputs> {
        // The list starts at the name, and continues with others.
        let found = cx.route53().list_hosted_zones_by_name().dns_name(self.name.as_str()).send().await.explain()?;
        let public = found.hosted_zones().iter().filter(|zone| {
            DnsName::new(zone.name()) == self.name
                && !zone.config().is_some_and(aws_sdk_route53::types::HostedZoneConfig::private_zone)
        });
        let ids: Vec<_> = public.map(|zone| bare(zone.id())).collect();
        match ids[..] {
            [id] => {
                let zone = cx.route53().get_hosted_zone().id(id).send().await.explain()?;
                let mut name_servers = zone.delegation_set.need("DelegationSet")?.name_servers;
                name_servers.sort();
                Ok(ZoneOutputs { id: Ref::Known(Id::new(id)), name_servers: Ref::Known(name_servers) })
            }
            [] => Err(Error::invalid(format!("there is no public hosted zone `{}` in this account", self.name)).hint(
                "nothing is created; correct `domain.zone` in payinfra.toml, or create the zone first, for which some \
                     stacks have `create_zone = true`",
            )),
            _ => Err(Error::invalid(format!("ambiguous zone: {ids:?} are all public and named `{}`", self.name))
                .hint("only one of them can be authoritative; delete the others")),
        }
    }
}
