//! The delegation of a hosted zone by its parent domain.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use payinfra_engine::{Error, Expected, Fields, Id, Identity, Live, Owner, Ref, Resource, Result, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, DnsName, HostedZone, RecordSet, RecordType, Routing};
use crate::{Cx, dns};

/// The delegation of a hosted zone by its parent domain. AWS cannot create it, so it is not created here but seen: a
/// create fails, with the records that are missing, until public DNS has the zone's name servers.
///
/// A TXT record in the zone notes that the delegation was seen, so that only a create asks public DNS. Its id is the id
/// of that record.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// The zone.
    pub zone: Ref<Id<HostedZone>>,
    /// The domain of the zone.
    pub name: DnsName,
    /// The zone's name servers, sorted.
    pub name_servers: Ref<Vec<String>>,
    /// The address and port of the DNS server to ask; if `None`, the system's. The environment variable
    /// `PAYINFRA_RESOLVER` takes precedence.
    pub resolver: Option<SocketAddr>,
}

/// The first label of the note's name.
const NOTE: &str = "_payinfra-delegation";
/// What the value for the DNS server starts with, in the note.
const RESOLVER: &str = "resolver=";
/// The TTL of the note in seconds.
const TTL: i64 = 300;

impl Resource for Delegation {
    type Cx = Cx;
    const KIND: &'static str = "route53.delegation";
    const REPLACE: Fields = fields!(Self: zone, name, name_servers);
    const IDENTITY: Identity = Identity::Part("zone");
    const KEY: Fields = fields!(Self: zone);
    const CONSISTENT: bool = RecordSet::CONSISTENT;
    const EXPECTED: Expected = Expected::millis(1_000, 500);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        None
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        self.see(cx).await?;
        self.note()?.create(cx).await.map(|id| of_note(&id))
    }

    /// By its natural key: a note in our zone is ours.
    async fn recover(&self, cx: &Cx, _: &Owner) -> Result<Option<Id<Self>>> {
        Ok(Self::read(cx, &[self.id()?]).await?.pop().map(|live| live.id))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let notes: Vec<_> = ids.iter().map(|id| Id::new(id.as_str())).collect();
        Ok(RecordSet::read(cx, &notes).await?.into_iter().filter_map(live).collect())
    }

    /// Another DNS server has to see the delegation too.
    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        self.see(cx).await?;
        self.note()?.update(cx, &live.note()?).await
    }

    /// The parent's records are not ours, so only the note is deleted.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        RecordSet::delete(cx, &live.note()?).await
    }
}

impl Delegation {
    /// Asks public DNS for the delegation.
    async fn see(&self, cx: &Cx) -> Result<()> {
        let own: BTreeSet<_> = self.name_servers.known()?.iter().map(|server| DnsName::new(server)).collect();
        let seen = dns::name_servers(&self.name, cx.resolver().or(self.resolver)).await;
        let missing = match seen {
            Ok(seen) if is_delegated(&seen, &own) => return Ok(()),
            Ok(seen) if seen.is_empty() => Error::failed(format!(
                "`{}` is not delegated to its hosted zone: public DNS has no NS records",
                self.name
            )),
            Ok(seen) => Error::failed(format!("`{}` is delegated to other name servers: {}", self.name, list(&seen))),
            Err(error) => error,
        };
        Err(missing.hint(format!(
            "set the NS records of `{}` in its parent domain, or at its registrar, to {}; then run the same command again",
            self.name,
            list(&own)
        )))
    }

    fn id(&self) -> Result<Id<Self>> {
        self.note()?.id().map(|id| of_note(&id))
    }

    /// The note that the delegation was seen.
    fn note(&self) -> Result<RecordSet> {
        let quoted = |text: &str| Ref::Known(format!("\"{text}\""));
        let servers = self.name_servers.known()?.iter().map(|server| quoted(server));
        let resolver = self.resolver.map(|address| quoted(&format!("{RESOLVER}{address}")));
        Ok(RecordSet {
            zone: self.zone.clone(),
            name: Ref::Known(DnsName::new(&format!("{NOTE}.{}", self.name))),
            record_type: RecordType::Txt,
            set_identifier: String::new(),
            routing: Routing::Simple,
            answer: Answer::Values { ttl: TTL, values: servers.chain(resolver).collect() },
            health_check: None,
        })
    }
}

/// Whether `seen`, what public DNS says, leads to the zone with the name servers `own` and nowhere else.
fn is_delegated(seen: &BTreeSet<DnsName>, own: &BTreeSet<DnsName>) -> bool {
    !seen.is_empty() && seen.is_subset(own)
}

fn list(servers: &BTreeSet<DnsName>) -> String {
    servers.iter().map(DnsName::as_str).collect::<Vec<_>>().join(", ")
}

fn of_note(id: &Id<RecordSet>) -> Id<Delegation> {
    Id::new(id.as_str())
}

/// The note of a delegation as it is.
trait Noted {
    fn note(&self) -> Result<Live<RecordSet>>;
}

impl Noted for Live<Delegation> {
    fn note(&self) -> Result<Live<RecordSet>> {
        Ok(Live { id: Id::new(self.id.as_str()), status: self.status.clone(), args: self.args.note()?, outputs: () })
    }
}

/// `None` for a record that is not a note.
fn live(note: Live<RecordSet>) -> Option<Live<Delegation>> {
    let (Ref::Known(name), Answer::Values { values, .. }) = (&note.args.name, &note.args.answer) else { return None };
    let name = DnsName::new(name.as_str().strip_prefix(NOTE)?.strip_prefix('.')?);
    let values = values.iter().filter_map(|value| Some(value.known().ok()?.trim_matches('"')));
    let (resolvers, servers): (Vec<_>, Vec<_>) = values.partition(|value| value.starts_with(RESOLVER));
    let resolver = resolvers.first().and_then(|text| text.strip_prefix(RESOLVER)?.parse().ok());
    Some(Live {
        id: of_note(&note.id),
        status: note.status,
        args: Delegation {
            zone: note.args.zone,
            name,
            name_servers: Ref::Known(servers.into_iter().map(str::to_owned).collect()),
            resolver,
        },
        outputs: (),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(names: &[&str]) -> BTreeSet<DnsName> {
        names.iter().map(|name| DnsName::new(name)).collect()
    }

    #[test]
    fn only_the_own_name_servers_are_a_delegation() {
        let own = servers(&["ns-1.awsdns-01.com", "ns-2.awsdns-02.net", "ns-3.awsdns-03.org", "ns-4.awsdns-04.co.uk"]);
        for (seen, delegated) in [
            (&[][..], false),
            (&["NS-1.awsdns-01.com.", "ns-2.awsdns-02.net.", "ns-3.awsdns-03.org", "ns-4.awsdns-04.co.uk"], true),
            // The parent may have only some of them.
            (&["ns-4.awsdns-04.co.uk", "ns-2.awsdns-02.net"], true),
            // A part of the answers would come from elsewhere.
            (&["ns-1.awsdns-01.com", "ns-9.awsdns-09.com"], false),
            (&["ns-9.awsdns-09.com"], false),
        ] {
            assert_eq!(is_delegated(&servers(seen), &own), delegated, "{seen:?}");
        }
    }
}
