//! A public hosted zone: the records of a domain.

use std::collections::HashMap;

use aws_sdk_route53::operation::get_hosted_zone::GetHostedZoneOutput;
use aws_sdk_route53::types::{HostedZoneConfig, RrType, TagResourceType};
use futures_util::future::try_join_all;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::records::list;
use super::{DnsName, bare, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A public hosted zone. It is authoritative once the domain's registrar, or the parent zone, delegates to its name
/// servers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostedZone {
    /// The domain.
    pub name: DnsName,
    /// The comment, at most 256 characters.
    pub comment: String,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HostedZoneOutputs {
    /// The name servers, sorted.
    pub name_servers: Ref<Vec<String>>,
}

/// The maximum number of remaining records in an error message.
const NAMED: usize = 5;

impl Resource for HostedZone {
    type Cx = Cx;
    const KIND: &'static str = "route53.hosted-zone";
    const REPLACE: Fields = fields!(Self: name);
    const IDENTITY: Identity = Identity::Token;
    const MOST_TAGS: usize = tags::MOST;
    /// Its records, and the delegation in the parent zone.
    const KEEPS_DATA: bool = true;
    const EXPECTED: Expected = Expected::millis(1_500, 500);
    type Outputs = HostedZoneOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    /// A second call sets the tags; until then, the reference identifies the owner.
    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.route53().create_hosted_zone().name(self.name.as_str()).caller_reference(cx.token()?);
        let call = call.hosted_zone_config(HostedZoneConfig::builder().comment(&self.comment).build());
        let zone = call.send().await.explain()?.hosted_zone.need("HostedZone")?;
        Ok(Id::new(bare(&zone.id)))
    }

    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.route53().list_hosted_zones_by_name().dns_name(self.name.as_str());
        let found = call.send().await.explain()?;
        let token = cx.token()?;
        let mut ours = found.hosted_zones().iter().filter(|zone| zone.caller_reference() == token);
        Ok(ours.find(|zone| !cx.is_known(bare(zone.id()))).map(|zone| Id::new(bare(zone.id()))))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        // The list of all zones does not include name servers.
        let found = try_join_all(ids.iter().map(|id| async move {
            cx.route53().get_hosted_zone().id(id).send().await.explain().unless(Class::NotFound)
        }))
        .await?;
        let found: Vec<_> = found.into_iter().flatten().collect();
        let ids = found.iter().filter_map(|found| found.hosted_zone()).map(|zone| bare(zone.id()).to_owned());
        let tags = tags::of(cx, &TagResourceType::Hostedzone, &ids.collect::<Vec<_>>()).await?;
        found.into_iter().map(|found| live(found, &tags)).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        if self.comment != live.args.comment {
            let call = cx.route53().update_hosted_zone_comment().id(&live.id).comment(&self.comment);
            call.send().await.explain()?;
        }
        tags::sync(cx, &TagResourceType::Hostedzone, live.id.as_str(), &live.args.tags, &self.tags).await
    }

    /// Our own records are deleted before their zone. If there are others, the zone is kept.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        match cx.route53().delete_hosted_zone().id(&live.id).send().await.explain().unless(Class::NotFound) {
            Err(error) if error.get_code() == Some("HostedZoneNotEmpty") => Err(not_empty(cx, live, error).await?),
            other => other.map(drop),
        }
    }
}

/// The error with the names of the remaining records.
async fn not_empty(cx: &Cx, live: &Live<HostedZone>, error: Error) -> Result<Error> {
    let mut others = Vec::new();
    for record in list(cx, live.id.as_str(), |_| false).await? {
        let own = DnsName::new(&record.name) == live.args.name && matches!(record.r#type, RrType::Ns | RrType::Soa);
        if !own && others.len() <= NAMED {
            others.push(format!("{} {}", DnsName::new(&record.name), record.r#type));
        }
    }
    if others.len() > NAMED {
        others.truncate(NAMED);
        others.push("…".to_owned());
    }
    let message = format!("the zone `{}` holds records that are not ours: {}", live.args.name, others.join(", "));
    Ok(Error::failed(message)
        .call("route53:DeleteHostedZone")
        .code("HostedZoneNotEmpty")
        .source(error)
        .hint("delete them or, to keep the zone, remove it from the state with `payinfra state rm`"))
}

fn live(found: GetHostedZoneOutput, tags: &HashMap<String, Tags>) -> Result<Live<HostedZone>> {
    let zone = found.hosted_zone.need("HostedZone")?;
    let id = bare(&zone.id);
    let mut name_servers = found.delegation_set.map(|set| set.name_servers).unwrap_or_default();
    name_servers.sort();
    Ok(Live {
        id: Id::new(id),
        status: Status::Ready,
        args: HostedZone {
            name: DnsName::new(&zone.name),
            comment: zone.config.and_then(|config| config.comment).unwrap_or_default(),
            tags: tags.get(id).cloned().unwrap_or_default(),
        },
        outputs: HostedZoneOutputs { name_servers: Ref::Known(name_servers) },
    })
}
