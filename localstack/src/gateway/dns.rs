//! Public DNS: the name servers of the zones that it finds, over UDP on the endpoint's port.
//!
//! RFC 1034 and 1035; Route 53 developer guide: Making Route 53 the DNS service for an existing domain.

use std::sync::Arc;

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType, rdata::NS},
};
use hyper::{HeaderMap, Method, Uri, header::AUTHORIZATION, http::HeaderValue};
use tokio::net::UdpSocket;

use super::Gateway;
use crate::{
    action::Request,
    route::Scope,
    strict::{is_within, plain},
    xml::Element,
};

/// The size of a question: more than DNS over UDP has.
const LARGEST: usize = 4096;

/// The TTL of an answer, in seconds: that of Route 53's NS records.
const TTL: u32 = 172_800;

/// The path of all zones.
const ZONES: &str = "/2013-04-01/hostedzone";

/// A public zone of the account.
#[derive(Debug)]
struct Zone {
    id: String,
    name: String,
}

/// Answers until the gateway ends.
pub(crate) async fn serve(gateway: Arc<Gateway>, socket: UdpSocket) {
    let mut buffer = [0; LARGEST];
    loop {
        let sent = match socket.recv_from(&mut buffer).await {
            Ok((length, client)) => match answer(&gateway, &buffer[..length]).await {
                Some(answer) => socket.send_to(&answer, client).await.map(drop),
                None => Ok(()),
            },
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::warn!("a DNS client got no answer: {error}");
        }
    }
}

/// The answer to a message; `None` if it is not a question.
async fn answer(gateway: &Gateway, message: &[u8]) -> Option<Vec<u8>> {
    let question = Message::from_vec(message).ok()?;
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_queries(question.queries.clone());
    answer.metadata.response_code = match &question.queries[..] {
        [query] if (query.query_type(), query.query_class()) == (RecordType::NS, DNSClass::IN) => {
            match gateway.name_servers(&plain(&query.name().to_string())).await {
                Ok(servers) if servers.is_empty() => ResponseCode::NXDomain,
                Ok(servers) => {
                    let servers =
                        servers.iter().filter_map(|server| Name::from_ascii(format!("{}.", plain(server))).ok());
                    let record = |server| Record::from_rdata(query.name().clone(), TTL, RData::NS(NS(server)));
                    answer.add_answers(servers.map(record));
                    ResponseCode::NoError
                }
                Err(reason) => {
                    tracing::warn!("{}: {reason}", query.name());
                    ResponseCode::ServFail
                }
            }
        }
        _ => ResponseCode::NotImp,
    };
    answer.to_vec().ok()
}

impl Gateway {
    /// The name servers of the zone with this name; none if public DNS does not find it.
    async fn name_servers(&self, name: &str) -> Result<Vec<String>, String> {
        let all = self.ask_route53(ZONES).await?;
        let zones = all.child("HostedZones").into_iter().flat_map(Element::elements).filter_map(|zone| {
            let is_private = zone.child("Config")?.value("PrivateZone").as_deref() == Some("true");
            let id = zone.value("Id")?.trim_start_matches("/hostedzone/").to_owned();
            (!is_private).then_some(Zone { id, name: plain(&zone.value("Name")?) })
        });
        // From the root to the name: a parent says where the zones below it are.
        let mut zones: Vec<_> = zones.filter(|zone| is_within(name, &zone.name)).collect();
        zones.sort_by_key(|zone| zone.name.len());
        let mut found: Vec<Zone> = Vec::new();
        for zone in zones {
            if self.is_found(&zone, &found).await? {
                found.push(zone);
            }
        }
        // Of several zones with one name, the parent knows the oldest.
        let Some(zone) = found.iter().find(|zone| zone.name == name) else { return Ok(Vec::new()) };
        let details = self.ask_route53(&format!("{ZONES}/{}", zone.id)).await?;
        let servers = details.child("DelegationSet").and_then(|set| set.child("NameServers"));
        Ok(servers.into_iter().flat_map(Element::elements).map(Element::text).collect())
    }

    /// Whether the parent of a zone has its NS record: the parent outside of the account, or one of the `parents`.
    async fn is_found(&self, zone: &Zone, parents: &[Zone]) -> Result<bool, String> {
        if self.strict.delegated().is_none_or(|delegated| delegated.contains(&zone.name)) {
            return Ok(true);
        }
        for parent in parents.iter().filter(|parent| parent.name != zone.name) {
            let records = self.ask_route53(&format!("{ZONES}/{}/rrset", parent.id)).await?;
            let mut records = records.child("ResourceRecordSets").into_iter().flat_map(Element::elements);
            if records.any(|record| {
                record.value("Type").as_deref() == Some("NS")
                    && record.value("Name").is_some_and(|it| plain(&it) == zone.name)
            }) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What Route 53 has at a path.
    async fn ask_route53(&self, path: &str) -> Result<Element, String> {
        let scope =
            Scope { access_key: "test".to_owned(), region: "us-east-1".to_owned(), service: "route53".to_owned() };
        let mut headers = HeaderMap::new();
        headers.insert(
            AUTHORIZATION,
            HeaderValue::from_static(
                "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=0",
            ),
        );
        let uri: Uri = path.parse().map_err(|error| format!("{path}: {error}"))?;
        let request = Request::new(scope, Method::GET, uri, headers, bytes::Bytes::new());
        let answer = self.forward(&request, self.profile.backend("route53")).await;
        if !answer.is_success() {
            return Err(answer.text().into_owned());
        }
        Element::parse(&answer.text()).ok_or_else(|| format!("the answer for {path} is not XML"))
    }
}
