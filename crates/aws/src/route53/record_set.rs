//! A record set of a hosted zone, with simple, weighted, failover or latency routing.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_route53::error::SdkError;
use aws_sdk_route53::operation::change_resource_record_sets::ChangeResourceRecordSetsError;
use aws_sdk_route53::types::{
    self as sdk, AliasTarget, Change, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSetFailover,
    ResourceRecordSetRegion, RrType,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Region, Resource, Result, Status, Tags, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::records::list;
use super::{DnsName, HealthCheck, HostedZone};
use crate::error::{Unless, partial};
use crate::{Cx, Explain};

/// A record set. AWS gives it no id and no tags, so zone, name, type and set identifier identify it: `Z1
/// www.example.com A us-east-1`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSet {
    /// The hosted zone.
    pub zone: Ref<Id<HostedZone>>,
    /// The name: the zone's own, or a subdomain.
    pub name: Ref<DnsName>,
    /// Its type.
    pub record_type: RecordType,
    /// The set identifier, which distinguishes record sets with the same name and type; empty if there is only one.
    pub set_identifier: String,
    /// The routing policy. All record sets with the same name and type must have the same one.
    pub routing: Routing,
    /// The target. The resource that it refers to only needs to exist; order it after resources that must be ready
    /// first.
    pub answer: Answer,
    /// The health check on which its responses depend. An update of another field removes one that is not managed.
    pub health_check: Option<Ref<Id<HealthCheck>>>,
}

/// The type of a record set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Certificate authorities (CAA).
    Caa,
    /// An alias for another name.
    Cname,
    /// Mail servers.
    Mx,
    /// Name servers.
    Ns,
    /// Quoted text.
    Txt,
}

/// The routing policy of a record set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// Simple: a single record set.
    Simple,
    /// Weighted: its weight relative to the sum, 0 to 255.
    Weighted(u8),
    /// Failover: the secondary is used when the primary is unhealthy.
    Failover(FailoverRole),
    /// Latency: the region with the lowest latency for the client.
    Latency(Region),
    /// A policy that was configured outside payinfra; only returned by reads.
    Other,
}

/// The role in a failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailoverRole {
    /// Used while it is healthy.
    Primary,
    /// Used otherwise.
    Secondary,
}

/// The target of a record set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// An alias for an AWS resource.
    Alias {
        /// The DNS name of the resource, such as a load balancer's.
        name: Ref<DnsName>,
        /// The hosted zone of the resource's service.
        zone: Ref<String>,
        /// Whether the health of the resource's targets is evaluated.
        evaluate_target_health: bool,
    },
    /// Another name: `CNAME`.
    Name {
        /// The TTL in seconds.
        ttl: i64,
        /// The other name.
        name: Ref<DnsName>,
    },
    /// Values of any other type.
    Values {
        /// The TTL in seconds.
        ttl: i64,
        /// The values.
        values: BTreeSet<Ref<String>>,
    },
}

impl Resource for RecordSet {
    type Cx = Cx;
    const KIND: &'static str = "route53.record-set";
    const REPLACE: Fields = fields!(Self: zone, name, record_type, set_identifier);
    const IDENTITY: Identity = Identity::Record;
    const KEY: Fields = fields!(Self: zone, name, record_type, set_identifier);
    /// The list shows each change immediately; only the name servers lag.
    const CONSISTENT: bool = true;
    /// A certificate is only issued, and therefore ready, once its record exists.
    const EARLY: Fields = fields!(Self: name, answer);
    const EXPECTED: Expected = Expected::millis(500, 500);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let key = Key::of(self)?;
        // Not `UPSERT`, which would overwrite somebody else's record.
        change(cx, &key.zone, ChangeAction::Create, self.sdk(&key)?).await?;
        Ok(key.id())
    }

    /// By its natural key. Nothing shows its owner, so a record set with the same values counts as ours; the
    /// certificates of several regions share one record that way (AWS-FACTS §4.4). Other fields, such as the weight,
    /// may have changed since.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        let id = Key::of(self)?.id();
        let Some(live) = Self::read(cx, std::slice::from_ref(&id)).await?.pop() else { return Ok(None) };
        if self.answer.leads()? == live.args.answer.leads()? {
            return Ok(Some(id));
        }
        let (name, kind) = (self.name.known()?, self.record_type.sdk());
        Err(Error::new(Class::Foreign, format!("the record {name} {kind} already exists with other values"))
            .taken(id.as_str()))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let mut zones = BTreeMap::<String, BTreeSet<Key>>::new();
        for id in ids {
            let key = Key::parse(id)?;
            zones.entry(key.zone.clone()).or_default().insert(key);
        }
        let mut live = Vec::new();
        for (zone, mut keys) in zones {
            let found = list(cx, &zone, |record| {
                keys.remove(&Key::at(&zone, record));
                keys.is_empty()
            });
            let found = found.await?.into_iter().map(|record| self::live(&zone, record));
            live.extend(found.flatten().filter(|live| ids.contains(&live.id)));
        }
        Ok(live)
    }

    async fn update(&self, cx: &Cx, _: &Live<Self>) -> Result<()> {
        let key = Key::of(self)?;
        change(cx, &key.zone, ChangeAction::Upsert, self.sdk(&key)?).await
    }

    /// AWS only deletes a record set whose values all match, so read it again.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let key = Key::parse(&live.id)?;
        let found = list(cx, &key.zone, |record| Key::at(&key.zone, record) == key).await?;
        let Some(record) = found.into_iter().find(|record| Key::at(&key.zone, record) == key) else { return Ok(()) };
        change(cx, &key.zone, ChangeAction::Delete, record).await.unless(Class::NotFound).map(drop)
    }
}

impl RecordSet {
    /// The id that it has once it exists.
    pub(super) fn id(&self) -> Result<Id<Self>> {
        Ok(Key::of(self)?.id())
    }

    fn sdk(&self, key: &Key) -> Result<sdk::ResourceRecordSet> {
        let record = sdk::ResourceRecordSet::builder().name(key.name.as_str()).r#type(self.record_type.sdk());
        let record =
            record.set_health_check_id(self.health_check.as_ref().map(Ref::known).transpose()?.map(Into::into));
        let record = match &self.routing {
            Routing::Simple => record,
            Routing::Weighted(weight) => record.weight(i64::from(*weight)),
            Routing::Failover(FailoverRole::Primary) => record.failover(ResourceRecordSetFailover::Primary),
            Routing::Failover(FailoverRole::Secondary) => record.failover(ResourceRecordSetFailover::Secondary),
            Routing::Latency(region) => record.region(ResourceRecordSetRegion::from(region.as_str())),
            Routing::Other => return Err(Error::invalid("this routing policy can be read, but not created")),
        };
        let record =
            record.set_set_identifier(Some(key.identifier.clone()).filter(|identifier| !identifier.is_empty()));
        let record = match &self.answer {
            Answer::Alias { name, zone, evaluate_target_health } => {
                let alias = AliasTarget::builder().dns_name(name.known()?.as_str()).hosted_zone_id(zone.known()?);
                record.alias_target(alias.evaluate_target_health(*evaluate_target_health).build().explain()?)
            }
            Answer::Name { ttl, name } => record.ttl(*ttl).resource_records(value(name.known()?.as_str())?),
            Answer::Values { ttl, values } => {
                let values = values.iter().map(|text| value(text.known()?)).collect::<Result<Vec<_>>>()?;
                record.ttl(*ttl).set_resource_records(Some(values))
            }
        };
        record.build().explain()
    }
}

fn value(text: &str) -> Result<ResourceRecord> {
    ResourceRecord::builder().value(text).build().explain()
}

impl Answer {
    /// The target, without the routing policy.
    fn leads(&self) -> Result<BTreeSet<&str>> {
        Ok(match self {
            Self::Alias { name, zone, .. } => BTreeSet::from([name.known()?.as_str(), zone.known()?]),
            Self::Name { name, .. } => BTreeSet::from([name.known()?.as_str()]),
            Self::Values { values, .. } => {
                values.iter().map(|text| Ok(text.known()?.as_str())).collect::<Result<_>>()?
            }
        })
    }
}

impl RecordType {
    const ALL: [(Self, RrType); 7] = [
        (Self::A, RrType::A),
        (Self::Aaaa, RrType::Aaaa),
        (Self::Caa, RrType::Caa),
        (Self::Cname, RrType::Cname),
        (Self::Mx, RrType::Mx),
        (Self::Ns, RrType::Ns),
        (Self::Txt, RrType::Txt),
    ];

    fn sdk(self) -> RrType {
        let found = Self::ALL.into_iter().find(|(own, _)| *own == self);
        found.map_or(RrType::A, |(_, kind)| kind)
    }

    fn from(kind: &RrType) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, other)| other == kind).map(|(own, _)| own)
    }
}

/// The identity of a record set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    zone: String,
    name: DnsName,
    kind: String,
    identifier: String,
}

impl Key {
    fn of(record: &RecordSet) -> Result<Self> {
        Ok(Self {
            zone: record.zone.known()?.into(),
            name: record.name.known()?.clone(),
            kind: record.record_type.sdk().as_str().to_owned(),
            identifier: record.set_identifier.clone(),
        })
    }

    fn at(zone: &str, record: &sdk::ResourceRecordSet) -> Self {
        Self {
            zone: zone.to_owned(),
            name: DnsName::new(&record.name),
            kind: record.r#type.as_str().to_owned(),
            identifier: record.set_identifier.clone().unwrap_or_default(),
        }
    }

    fn id(&self) -> Id<RecordSet> {
        let Self { zone, name, kind, identifier } = self;
        Id::new(format!("{zone} {name} {kind} {identifier}").trim_end())
    }

    fn parse(id: &Id<RecordSet>) -> Result<Self> {
        let mut parts = id.as_str().splitn(4, ' ');
        let (Some(zone), Some(name), Some(kind)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Error::invalid(format!("`{id}` is not a record set id"))
                .hint("write ZONE NAME TYPE, and the set identifier if it has one"));
        };
        let identifier = parts.next().unwrap_or_default().to_owned();
        Ok(Self { zone: zone.to_owned(), name: DnsName::new(name), kind: kind.to_owned(), identifier })
    }
}

/// One change in its own transaction. A change in progress on the same zone makes it wait.
async fn change(cx: &Cx, zone: &str, action: ChangeAction, record: sdk::ResourceRecordSet) -> Result<()> {
    let change = Change::builder().action(action).resource_record_set(record).build().explain()?;
    let batch = ChangeBatch::builder().changes(change).build().explain()?;
    let call = cx.route53().change_resource_record_sets().hosted_zone_id(zone).change_batch(batch);
    call.send().await.map(drop).map_err(refused)
}

/// The reason for an invalid batch may only be in its list of messages.
fn refused(error: SdkError<ChangeResourceRecordSetsError, HttpResponse>) -> Error {
    let messages = match error.as_service_error() {
        Some(ChangeResourceRecordSetsError::InvalidChangeBatch(invalid)) => invalid.messages().join("; "),
        _ => String::new(),
    };
    let code = "InvalidChangeBatch";
    match Err::<(), _>(error).explain() {
        Err(error) if messages.is_empty() => error,
        Err(error) => {
            let told = partial("route53:ChangeResourceRecordSets", Some(code), Some(&messages));
            error.get_request_id().map(str::to_owned).into_iter().fold(told, Error::request_id)
        }
        Ok(()) => Error::failed(messages),
    }
}

/// `None` for unsupported types.
fn live(zone: &str, record: sdk::ResourceRecordSet) -> Option<Live<RecordSet>> {
    let key = Key::at(zone, &record);
    let record_type = RecordType::from(&record.r#type)?;
    let ttl = record.ttl.unwrap_or_default();
    let values = record.resource_records.unwrap_or_default();
    let answer = match (record.alias_target, &values[..]) {
        (Some(alias), _) => Answer::Alias {
            name: Ref::Known(DnsName::new(&alias.dns_name)),
            zone: Ref::Known(alias.hosted_zone_id),
            evaluate_target_health: alias.evaluate_target_health,
        },
        (None, [name]) if record_type == RecordType::Cname => {
            Answer::Name { ttl, name: Ref::Known(DnsName::new(&name.value)) }
        }
        (None, values) => {
            Answer::Values { ttl, values: values.iter().map(|record| Ref::Known(record.value.clone())).collect() }
        }
    };
    let other = record.geo_location.is_some()
        || record.geo_proximity_location.is_some()
        || record.cidr_routing_config.is_some()
        || record.multi_value_answer == Some(true);
    let routing = match (record.weight, record.failover, record.region) {
        _ if other => Routing::Other,
        (Some(weight), ..) => u8::try_from(weight).map_or(Routing::Other, Routing::Weighted),
        (_, Some(ResourceRecordSetFailover::Primary), _) => Routing::Failover(FailoverRole::Primary),
        (_, Some(_), _) => Routing::Failover(FailoverRole::Secondary),
        (_, _, Some(region)) => Routing::Latency(Region::new(region.as_str())),
        (None, None, None) => Routing::Simple,
    };
    Some(Live {
        id: key.id(),
        status: Status::Ready,
        args: RecordSet {
            zone: Ref::Known(Id::new(zone)),
            name: Ref::Known(key.name),
            record_type,
            set_identifier: key.identifier,
            routing,
            answer,
            health_check: record.health_check_id.map(|id| Ref::Known(Id::new(id))),
        },
        outputs: (),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_the_key() -> Result<()> {
        for (text, identifier) in [("Z1 *.example.com A", ""), ("Z1 example.com CNAME two words", "two words")] {
            let key = Key::parse(&Id::new(text))?;
            assert_eq!((key.identifier.as_str(), key.id().as_str()), (identifier, text));
        }
        assert!(Key::parse(&Id::new("Z1 example.com")).is_err());
        Ok(())
    }

    #[test]
    fn reads_what_others_route() -> Result<()> {
        let record = || sdk::ResourceRecordSet::builder().name("\\052.Example.com.").r#type(RrType::A).ttl(60);
        let routing = |record: sdk::builders::ResourceRecordSetBuilder| {
            Ok::<_, Error>(live("Z1", record.build().explain()?).map(|live| live.args.routing))
        };
        assert_eq!(routing(record())?, Some(Routing::Simple));
        assert_eq!(routing(record().set_identifier("a").weight(7))?, Some(Routing::Weighted(7)));
        assert_eq!(routing(record().set_identifier("a").multi_value_answer(true))?, Some(Routing::Other));
        assert_eq!(routing(record().r#type(RrType::Soa))?, None);
        let read = live("Z1", record().build().explain()?).map(|live| live.id.to_string());
        assert_eq!(read.as_deref(), Some("Z1 *.example.com A"));
        Ok(())
    }
}
