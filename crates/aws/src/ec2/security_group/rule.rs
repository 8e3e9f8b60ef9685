//! A security group rule.

use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, PrefixListId, SecurityGroupRule, UserIdGroupPair, builders::IpPermissionBuilder,
};
use ipnet::{Ipv4Net, Ipv6Net};
use payinfra_engine::{Error, Id, Ref, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::SecurityGroup;
use crate::Need;
use crate::cidr::Cidr;

/// A rule: the traffic, and its source or destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The traffic.
    pub protocol: Protocol,
    /// The source or destination.
    pub peer: Peer,
    /// The description; can be empty.
    pub description: String,
}

/// A protocol, with its ports if it has any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// All traffic.
    All,
    /// ICMP, all types.
    Icmp,
    /// TCP, with the first and last port.
    Tcp(u16, u16),
    /// UDP, with the first and last port.
    Udp(u16, u16),
    /// Another protocol, by AWS's name or number, with its values for ports, so that manually added rules can be shown
    /// and revoked.
    Other(String, i32, i32),
}

/// The source or destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// An IPv4 CIDR block.
    #[serde(deserialize_with = "without_host")]
    Cidr(#[schemars(with = "Cidr")] Ipv4Net),
    /// An IPv6 CIDR block.
    Cidr6(#[schemars(with = "Cidr")] Ipv6Net),
    /// The members of a security group.
    Group(Ref<Id<SecurityGroup>>),
    /// The addresses in a prefix list, such as those of S3.
    PrefixList(Ref<String>),
    /// The members of the same group, because a group cannot refer to itself by its id.
    Itself,
}

/// AWS removes the host bits, so that a rule with them would never compare equal.
fn without_host<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Ipv4Net, D::Error> {
    Ipv4Net::deserialize(deserializer).map(|net| net.trunc())
}

impl Rule {
    /// A rule.
    #[must_use]
    pub fn new(protocol: Protocol, peer: Peer, description: &str) -> Self {
        Self { protocol, peer, description: description.to_owned() }
    }

    /// One TCP port.
    #[must_use]
    pub fn tcp(port: u16, peer: Peer, description: &str) -> Self {
        Self::new(Protocol::Tcp(port, port), peer, description)
    }

    /// All traffic.
    #[must_use]
    pub fn all(peer: Peer, description: &str) -> Self {
        Self::new(Protocol::All, peer, description)
    }

    /// The properties by which AWS distinguishes the rules of a group.
    pub(super) fn key(&self) -> (&Protocol, &Peer) {
        (&self.protocol, &self.peer)
    }

    pub(super) fn is_about_a_group(&self) -> bool {
        matches!(self.peer, Peer::Group(_))
    }

    /// The rule in AWS's form, in `group`.
    pub(super) fn permission(&self, group: &Id<SecurityGroup>) -> Result<IpPermission> {
        let text = Some(self.description.clone()).filter(|text| !text.is_empty());
        let pair = |id: &Id<_>| UserIdGroupPair::builder().group_id(id).set_description(text.clone()).build();
        let permission = self.protocol.ports(IpPermission::builder());
        let permission = match &self.peer {
            Peer::Cidr(net) => {
                let range = IpRange::builder().cidr_ip(net.trunc().to_string()).set_description(text);
                permission.ip_ranges(range.build())
            }
            Peer::Cidr6(net) => {
                let range = Ipv6Range::builder().cidr_ipv6(net.trunc().to_string()).set_description(text);
                permission.ipv6_ranges(range.build())
            }
            Peer::Group(id) => permission.user_id_group_pairs(pair(id.known()?)),
            Peer::Itself => permission.user_id_group_pairs(pair(group)),
            Peer::PrefixList(id) => {
                let list = PrefixListId::builder().prefix_list_id(id.known()?).set_description(text);
                permission.prefix_list_ids(list.build())
            }
        };
        Ok(permission.build())
    }

    /// The rule that AWS returned, in `group`.
    pub(super) fn from_sdk(rule: &SecurityGroupRule, group: &Id<SecurityGroup>) -> Result<Self> {
        let peer = if let Some(cidr) = rule.cidr_ipv4() {
            Peer::Cidr(cidr.parse().map_err(|_| unreadable(cidr))?)
        } else if let Some(cidr) = rule.cidr_ipv6() {
            Peer::Cidr6(cidr.parse().map_err(|_| unreadable(cidr))?)
        } else if let Some(id) = rule.prefix_list_id() {
            Peer::PrefixList(id.into())
        } else {
            let peer = rule.referenced_group_info().and_then(|info| info.group_id()).need("ReferencedGroupInfo")?;
            if peer == group.as_str() { Peer::Itself } else { Peer::Group(Ref::Known(Id::new(peer))) }
        };
        let protocol = Protocol::from_sdk(
            rule.ip_protocol().need("IpProtocol")?,
            rule.from_port().unwrap_or(-1),
            rule.to_port().unwrap_or(-1),
        );
        Ok(Self::new(protocol, peer, rule.description().unwrap_or_default()))
    }
}

fn unreadable(cidr: &str) -> Error {
    Error::failed(format!("AWS returned the CIDR block `{cidr}`"))
}

impl Protocol {
    fn ports(&self, permission: IpPermissionBuilder) -> IpPermissionBuilder {
        let (name, ports) = match self {
            Self::All => ("-1", None),
            Self::Icmp => ("icmp", Some((-1, -1))),
            Self::Tcp(from, to) => ("tcp", Some((i32::from(*from), i32::from(*to)))),
            Self::Udp(from, to) => ("udp", Some((i32::from(*from), i32::from(*to)))),
            Self::Other(name, from, to) => (name.as_str(), Some((*from, *to))),
        };
        let (from, to) = ports.unzip();
        permission.ip_protocol(name).set_from_port(from).set_to_port(to)
    }

    /// AWS returns some protocols by name and some by number.
    fn from_sdk(name: &str, from: i32, to: i32) -> Self {
        match (name, u16::try_from(from), u16::try_from(to)) {
            ("-1", ..) => Self::All,
            ("icmp" | "1", Err(_), Err(_)) => Self::Icmp,
            ("tcp" | "6", Ok(from), Ok(to)) => Self::Tcp(from, to),
            ("udp" | "17", Ok(from), Ok(to)) => Self::Udp(from, to),
            _ => Self::Other(name.to_owned(), from, to),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_it_writes() -> Result<()> {
        let group = Id::new("sg-1");
        for (protocol, name, from, to) in [
            (Protocol::All, "-1", None, None),
            (Protocol::Icmp, "icmp", Some(-1), Some(-1)),
            (Protocol::Tcp(443, 443), "tcp", Some(443), Some(443)),
            (Protocol::Udp(0, 65_535), "udp", Some(0), Some(65_535)),
            (Protocol::Other("icmp".into(), 8, -1), "icmp", Some(8), Some(-1)),
            (Protocol::Other("50".into(), -1, -1), "50", Some(-1), Some(-1)),
        ] {
            let rule = Rule::new(protocol, Peer::Itself, "why");
            let permission = rule.permission(&group)?;
            assert_eq!(
                (permission.ip_protocol(), permission.from_port(), permission.to_port()),
                (Some(name), from, to)
            );
            let peer = permission.user_id_group_pairs().first().and_then(|pair| pair.group_id());
            let info = aws_sdk_ec2::types::ReferencedSecurityGroup::builder().set_group_id(peer.map(str::to_owned));
            let read = SecurityGroupRule::builder().ip_protocol(name).set_from_port(from).set_to_port(to);
            let read = read.referenced_group_info(info.build()).description("why").build();
            assert_eq!(Rule::from_sdk(&read, &group)?, rule);
        }
        Ok(())
    }

    #[test]
    fn the_form_in_states_is_this() -> serde_json::Result<()> {
        let rule = json!({ "protocol": { "tcp": [443, 443] }, "peer": { "cidr": "10.1.2.3/16" }, "description": "" });
        let rule: Rule = serde_json::from_value(rule)?;
        assert_eq!(
            serde_json::to_value(&rule)?,
            json!({ "protocol": { "tcp": [443, 443] }, "peer": { "cidr": "10.1.0.0/16" }, "description": "" })
        );
        assert_eq!(serde_json::to_value(Rule::all(Peer::Itself, ""))?["protocol"], "all");
        Ok(())
    }
}
