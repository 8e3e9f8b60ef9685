//! A security group with its rules.

mod rule;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_ec2::types::{self as sdk, ResourceType};
use futures_util::future::try_join;
use payinfra_engine::{Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use rule::{Peer, Protocol, Rule};

use super::{Vpc, by_id, filter, interfaces, tags};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A security group with all of its rules. Other rules are revoked, including the outbound rule that AWS adds to every
/// new group.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroup {
    /// The VPC.
    pub vpc: Ref<Id<Vpc>>,
    /// Its name, unique in the VPC.
    pub name: String,
    /// The description.
    pub description: String,
    /// The inbound rules.
    pub ingress: BTreeSet<Rule>,
    /// The outbound rules.
    pub egress: BTreeSet<Rule>,
    /// The tags.
    pub tags: Tags,
}

impl Resource for SecurityGroup {
    type Cx = Cx;
    const KIND: &'static str = "ec2.security-group";
    const REPLACE: Fields = fields!(Self: vpc, name, description);
    const KEY: Fields = fields!(Self: vpc, name);
    const HOLDS: Fields = fields!(Self: ingress, egress);
    const SERVES: Fields = fields!(Self: ingress, egress);
    const NETWORK: Fields = fields!(Self: vpc);
    // The maximum number of values in a filter.
    const BATCH: usize = 200;
    const TIMEOUT: Duration = interfaces::TIMEOUT;
    const EXPECTED: Expected = Expected::millis(1_500, 1_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ec2().create_security_group().vpc_id(self.vpc.known()?).group_name(&self.name);
        let call =
            call.description(&self.description).tag_specifications(tags::spec(ResourceType::SecurityGroup, &self.tags));
        Ok(Id::new(call.send().await.explain()?.group_id.need("GroupId")?))
    }

    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let vpc = self.vpc.known()?;
        let call = cx.ec2().describe_security_groups().filters(filter("vpc-id", vpc));
        let found = call.filters(filter("group-name", &self.name)).send().await.explain()?;
        for group in found.security_groups.unwrap_or_default() {
            let id = group.group_id.need("GroupId")?;
            if cx.is_known(&id) {
                continue;
            }
            if !owner.owns(&tags::from(group.tags)) {
                let name = &self.name;
                return Err(
                    Error::new(Class::Foreign, format!("{vpc} already has a security group `{name}`: {id}")).taken(id)
                );
            }
            return Ok(Some(Id::new(id)));
        }
        Ok(None)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let groups = cx.ec2().describe_security_groups().filters(by_id("group-id", ids));
        let rules = cx.ec2().describe_security_group_rules().filters(by_id("group-id", ids));
        let groups = async { groups.into_paginator().items().send().try_collect().await.explain() };
        let rules = async { rules.into_paginator().items().send().try_collect().await.explain() };
        let (groups, rules) = try_join(groups, rules).await?;
        let mut of_group = BTreeMap::<String, Vec<sdk::SecurityGroupRule>>::new();
        for rule in rules {
            of_group.entry(rule.group_id.clone().need("GroupId")?).or_default().push(rule);
        }
        let live = |group: sdk::SecurityGroup| {
            let rules = group.group_id().and_then(|id| of_group.remove(id)).unwrap_or_default();
            live(group, &rules)
        };
        groups.into_iter().map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        // Authorizes before it revokes, so that permitted traffic is never interrupted.
        let ingress = Change::between(&live.args.ingress, &self.ingress)?;
        let egress = Change::between(&live.args.egress, &self.egress)?;
        for (way, change) in [(Way::In, &ingress), (Way::Out, &egress)] {
            way.authorize(cx, &live.id, &change.new).await?;
            way.describe(cx, &live.id, &change.described).await?;
        }
        for (way, change) in [(Way::In, &ingress), (Way::Out, &egress)] {
            way.revoke(cx, &live.id, &change.gone).await?;
        }
        tags::sync(cx, &live.id, &live.args.tags, &self.tags).await
    }

    /// First, its rules that refer to other groups are revoked: two groups that refer to each other could not be
    /// deleted.
    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        for (way, rules) in [(Way::In, &live.args.ingress), (Way::Out, &live.args.egress)] {
            let crossing: Vec<_> = rules.iter().filter(|rule| rule.is_about_a_group()).collect();
            way.revoke(cx, &live.id, &crossing).await.unless(Class::NotFound)?;
        }
        let deleted = cx.ec2().delete_security_group().group_id(&live.id).send().await.explain();
        let deleted = deleted.unless(Class::NotFound).map(drop);
        match interfaces::named(cx, filter("group-id", &live.id), deleted).await {
            Err(error) if error.is(Class::Conflict) => Err(match referring(cx, live.id.as_str()).await {
                Some(groups) => error.at(groups),
                None => error,
            }),
            deleted => deleted,
        }
    }

    absent!(describe_security_groups, group_ids, security_groups);
}

/// The other groups whose rules refer to `group`, which keeps it in use.
async fn referring(cx: &Cx, group: &str) -> Option<String> {
    let by = async |name: &str| {
        let found = cx.ec2().describe_security_groups().filters(filter(name, group));
        // Who may delete may not be allowed to look.
        found.into_paginator().items().send().try_collect().await.unwrap_or_default()
    };
    let (ingress, egress) = tokio::join!(by("ip-permission.group-id"), by("egress.ip-permission.group-id"));
    let found = ingress.into_iter().chain(egress).filter_map(|found| found.group_id);
    let ids: BTreeSet<_> = found.filter(|id| id != group).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    (!ids.is_empty()).then(|| format!("rules of other security groups refer to it: {}", ids.join(", ")))
}

/// The changes to the rules of one direction.
struct Change<'a> {
    new: Vec<&'a Rule>,
    described: Vec<&'a Rule>,
    gone: Vec<&'a Rule>,
}

impl<'a> Change<'a> {
    /// Rules are equal if everything except the description is: AWS treats a second one with another description as a
    /// duplicate.
    fn between(live: &'a BTreeSet<Rule>, want: &'a BTreeSet<Rule>) -> Result<Self> {
        let live: BTreeMap<_, _> = live.iter().map(|rule| (rule.key(), rule)).collect();
        let keys: BTreeMap<_, _> = want.iter().map(|rule| (rule.key(), rule)).collect();
        if keys.len() < want.len() {
            let twice = want.iter().find(|rule| keys.get(&rule.key()) != Some(rule));
            let twice = twice.map(|rule| format!(": {:?} {:?}", rule.protocol, rule.peer)).unwrap_or_default();
            return Err(Error::invalid(format!("two rules differ only in their description{twice}")));
        }
        let (known, new): (Vec<_>, Vec<_>) = keys.values().copied().partition(|rule| live.contains_key(&rule.key()));
        Ok(Self {
            new,
            described: known.into_iter().filter(|rule| live.get(&rule.key()) != Some(rule)).collect(),
            gone: live.into_iter().filter(|(key, _)| !keys.contains_key(key)).map(|(_, rule)| rule).collect(),
        })
    }
}

/// The direction of a rule; each has its own API calls.
#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

impl Way {
    /// An existing rule fails the whole call (AWS-FACTS §1.1), so in that case try each rule separately. A read may be
    /// older than the result of an earlier attempt.
    async fn authorize(self, cx: &Cx, group: &Id<SecurityGroup>, rules: &[&Rule]) -> Result<()> {
        if rules.is_empty() {
            return Ok(());
        }
        let all = rules.iter().map(|rule| rule.permission(group)).collect::<Result<Vec<_>>>()?;
        if self.authorize_all(cx, group, all.clone()).await.unless_code(&["InvalidPermission.Duplicate"])?.is_none() {
            for one in all {
                self.authorize_all(cx, group, vec![one]).await.unless_code(&["InvalidPermission.Duplicate"])?;
            }
        }
        Ok(())
    }

    async fn authorize_all(self, cx: &Cx, group: &Id<SecurityGroup>, all: Vec<sdk::IpPermission>) -> Result<()> {
        match self {
            Self::In => {
                let call = cx.ec2().authorize_security_group_ingress().group_id(group);
                call.set_ip_permissions(Some(all)).send().await.explain().map(drop)
            }
            Self::Out => {
                let call = cx.ec2().authorize_security_group_egress().group_id(group);
                call.set_ip_permissions(Some(all)).send().await.explain().map(drop)
            }
        }
    }

    /// A missing rule may fail the whole call, so in that case try each rule separately.
    async fn revoke(self, cx: &Cx, group: &Id<SecurityGroup>, rules: &[&Rule]) -> Result<()> {
        if rules.is_empty() {
            return Ok(());
        }
        let all = rules.iter().map(|rule| rule.permission(group)).collect::<Result<Vec<_>>>()?;
        if self.revoke_all(cx, group, all.clone()).await.unless_code(&["InvalidPermission.NotFound"])?.is_none() {
            for one in all {
                self.revoke_all(cx, group, vec![one]).await.unless_code(&["InvalidPermission.NotFound"])?;
            }
        }
        Ok(())
    }

    async fn revoke_all(self, cx: &Cx, group: &Id<SecurityGroup>, all: Vec<sdk::IpPermission>) -> Result<()> {
        match self {
            Self::In => {
                let call = cx.ec2().revoke_security_group_ingress().group_id(group);
                call.set_ip_permissions(Some(all)).send().await.explain().map(drop)
            }
            Self::Out => {
                let call = cx.ec2().revoke_security_group_egress().group_id(group);
                call.set_ip_permissions(Some(all)).send().await.explain().map(drop)
            }
        }
    }

    async fn describe(self, cx: &Cx, group: &Id<SecurityGroup>, rules: &[&Rule]) -> Result<()> {
        if rules.is_empty() {
            return Ok(());
        }
        let all = rules.iter().map(|rule| rule.permission(group)).collect::<Result<Vec<_>>>()?;
        match self {
            Self::In => {
                let call = cx.ec2().update_security_group_rule_descriptions_ingress().group_id(group);
                call.set_ip_permissions(Some(all)).send().await.explain().map(drop)
            }
            Self::Out => {
                let call = cx.ec2().update_security_group_rule_descriptions_egress().group_id(group);
                call.set_ip_permissions(Some(all)).send().await.explain().map(drop)
            }
        }
    }
}

fn live(group: sdk::SecurityGroup, rules: &[sdk::SecurityGroupRule]) -> Result<Live<SecurityGroup>> {
    let id = Id::new(group.group_id.need("GroupId")?);
    let of = |egress: bool| {
        let rules = rules.iter().filter(move |rule| rule.is_egress == Some(egress));
        rules.map(|rule| Rule::from_sdk(rule, &id)).collect::<Result<_>>()
    };
    Ok(Live {
        status: Status::Ready,
        args: SecurityGroup {
            vpc: Ref::Known(Id::new(group.vpc_id.need("VpcId")?)),
            name: group.group_name.need("GroupName")?,
            description: group.description.unwrap_or_default(),
            ingress: of(false)?,
            egress: of(true)?,
            tags: tags::from(group.tags),
        },
        outputs: (),
        id,
    })
}

#[cfg(test)]
mod tests {
    use ipnet::Ipv4Net;

    use super::*;

    fn set<const N: usize>(rules: [Rule; N]) -> BTreeSet<Rule> {
        BTreeSet::from(rules)
    }

    fn anywhere() -> Peer {
        Peer::Cidr(Ipv4Net::default())
    }

    #[test]
    fn only_differences_are_changed() -> Result<()> {
        let live = set([
            Rule::tcp(443, anywhere(), "web"),
            Rule::tcp(22, anywhere(), "by hand"),
            Rule::tcp(80, Peer::Itself, ""),
        ]);
        let want = set([
            Rule::tcp(443, anywhere(), "HTTPS"),
            Rule::new(Protocol::Udp(53, 53), anywhere(), "DNS"),
            Rule::tcp(80, Peer::Itself, ""),
        ]);
        let change = Change::between(&live, &want)?;
        assert_eq!(change.new, [&Rule::new(Protocol::Udp(53, 53), anywhere(), "DNS")]);
        assert_eq!(change.described, [&Rule::tcp(443, anywhere(), "HTTPS")]);
        assert_eq!(change.gone, [&Rule::tcp(22, anywhere(), "by hand")]);
        Ok(())
    }

    #[test]
    fn rules_that_differ_only_in_their_description_are_refused() {
        let want = set([Rule::tcp(443, anywhere(), "a"), Rule::tcp(443, anywhere(), "b")]);
        assert!(Change::between(&BTreeSet::new(), &want).is_err());
    }
}
