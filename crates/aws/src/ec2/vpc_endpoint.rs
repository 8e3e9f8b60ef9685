//! A VPC endpoint for an AWS service.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_ec2::types::{self as sdk, ResourceType, VpcEndpointType};
use payinfra_engine::{
    Class, Error, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, Text, fields,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RouteTable, SecurityGroup, Subnet, Vpc, by_id, tags, unsuccessful};
use crate::error::Unless;
use crate::{Cx, Explain, Need, Policy, Statement};

/// A VPC endpoint. A gateway endpoint has route tables; an interface endpoint has subnets and at least one security
/// group.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VpcEndpoint {
    /// The VPC.
    pub vpc: Ref<Id<Vpc>>,
    /// The service, such as `com.amazonaws.us-east-1.s3`.
    pub service: String,
    /// The type.
    pub kind: EndpointType,
    /// The route tables of a gateway endpoint.
    pub tables: BTreeSet<Ref<Id<RouteTable>>>,
    /// The subnets of an interface endpoint, one per zone.
    pub subnets: BTreeSet<Ref<Id<Subnet>>>,
    /// The security groups of an interface endpoint.
    pub groups: BTreeSet<Ref<Id<SecurityGroup>>>,
    /// Whether private DNS is enabled for an interface endpoint; requires both DNS attributes of the VPC.
    pub private_dns: Option<bool>,
    /// The endpoint policy; full access if `None`.
    pub policy: Option<Policy>,
    /// The tags.
    pub tags: Tags,
}

/// The type of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndpointType {
    /// A gateway endpoint: a route, only for S3 and `DynamoDB`, free of charge.
    Gateway,
    /// An interface endpoint: network interfaces in the subnets.
    Interface,
    /// Another one, by AWS's name; only returned by reads.
    #[serde(untagged)]
    Other(String),
}

impl Resource for VpcEndpoint {
    type Cx = Cx;
    const KIND: &'static str = "ec2.vpc-endpoint";
    // AWS rejects a second endpoint with private DNS for the same service, so the old one is deleted first.
    const REPLACE: Fields = fields!(Self: vpc, service, kind);
    const HOLDS: Fields = fields!(Self: subnets, groups);
    const SERVES: Fields = fields!(Self: policy);
    const NETWORK: Fields = fields!(Self: vpc, tables, subnets, groups);
    const TIMEOUT: Duration = Duration::from_mins(10);
    // For an interface endpoint; a gateway endpoint takes 8 and 10 s.
    const EXPECTED: Expected = Expected::millis(75_000, 120_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        if self.kind == EndpointType::Interface && self.groups.is_empty() {
            return Err(Error::invalid("an interface endpoint requires a security group")
                .hint("AWS would use the default group of the VPC; set one"));
        }
        let policy = self.policy.as_ref().map(Policy::document).transpose()?;
        let call = cx.ec2().create_vpc_endpoint().client_token(cx.token()?);
        let call = call.vpc_id(self.vpc.known()?).service_name(&self.service).vpc_endpoint_type(self.kind.sdk()?);
        let call = call
            .set_route_table_ids(list(&self.tables)?)
            .set_subnet_ids(list(&self.subnets)?)
            .set_security_group_ids(list(&self.groups)?)
            .set_private_dns_enabled(self.private_dns)
            .set_policy_document(policy)
            .tag_specifications(tags::spec(ResourceType::VpcEndpoint, &self.tags));
        let endpoint = call.send().await.explain()?.vpc_endpoint.need("VpcEndpoint")?;
        Ok(Id::new(endpoint.vpc_endpoint_id.need("VpcEndpointId")?))
    }

    /// By tags, not by the token, which would also return a deleted one. If the tags are not visible yet, the next
    /// `create` finds it by the token.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.ec2().describe_vpc_endpoints().set_filters(Some(tags::owned_by(owner)));
        for endpoint in call.send().await.explain()?.vpc_endpoints.unwrap_or_default() {
            let status = status(&endpoint);
            let id = endpoint.vpc_endpoint_id.need("VpcEndpointId")?;
            if matches!(status, Some(Status::Pending | Status::Ready)) && !cx.is_known(&id) {
                return Ok(Some(Id::new(id)));
            }
        }
        Ok(None)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let call = cx.ec2().describe_vpc_endpoints().filters(by_id("vpc-endpoint-id", ids));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        found.into_iter().filter_map(|endpoint| live(endpoint).transpose()).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        let call = cx.ec2().modify_vpc_endpoint().vpc_endpoint_id(&live.id);
        let mut call = call
            .set_add_route_table_ids(list(self.tables.difference(&was.tables))?)
            .set_remove_route_table_ids(list(was.tables.difference(&self.tables))?)
            .set_add_subnet_ids(list(self.subnets.difference(&was.subnets))?)
            .set_remove_subnet_ids(list(was.subnets.difference(&self.subnets))?)
            .set_add_security_group_ids(list(self.groups.difference(&was.groups))?)
            .set_remove_security_group_ids(list(was.groups.difference(&self.groups))?);
        let private_dns = self.private_dns.filter(|_| self.private_dns != was.private_dns);
        call = call.set_private_dns_enabled(private_dns);
        if self.policy != was.policy {
            call = match &self.policy {
                Some(policy) => call.policy_document(policy.document()?),
                None => call.reset_policy(true),
            };
        }
        let sets = (&self.tables, &self.subnets, &self.groups) != (&was.tables, &was.subnets, &was.groups);
        if sets || private_dns.is_some() || self.policy != was.policy {
            call.send().await.explain()?;
        }
        tags::sync(cx, &live.id, &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let answer = cx.ec2().delete_vpc_endpoints().vpc_endpoint_ids(&live.id).send().await.explain();
        let answer = answer.and_then(|answer| unsuccessful("ec2:DeleteVpcEndpoints", answer.unsuccessful()));
        answer.unless(Class::NotFound).map(drop)
    }

    absent!(describe_vpc_endpoints, vpc_endpoint_ids, vpc_endpoints, |it| status(it).is_none());
}

impl EndpointType {
    fn sdk(&self) -> Result<VpcEndpointType> {
        match self {
            Self::Gateway => Ok(VpcEndpointType::Gateway),
            Self::Interface => Ok(VpcEndpointType::Interface),
            Self::Other(name) => {
                Err(Error::invalid(format!("an endpoint of type `{name}` can be read, but not created")))
            }
        }
    }
}

/// `None` instead of an empty list, which AWS would treat as one empty value.
fn list<'a, R: 'a>(ids: impl IntoIterator<Item = &'a Ref<Id<R>>>) -> Result<Option<Vec<String>>> {
    let ids = ids.into_iter().map(|id| Ok(id.known()?.into())).collect::<Result<Vec<_>>>()?;
    Ok(Some(ids).filter(|ids| !ids.is_empty()))
}

/// `None` if the endpoint is gone.
fn live(endpoint: sdk::VpcEndpoint) -> Result<Option<Live<VpcEndpoint>>> {
    let Some(status) = status(&endpoint) else { return Ok(None) };
    let kind = match endpoint.vpc_endpoint_type.need("VpcEndpointType")? {
        VpcEndpointType::Gateway => EndpointType::Gateway,
        VpcEndpointType::Interface => EndpointType::Interface,
        other => EndpointType::Other(other.as_str().to_owned()),
    };
    let groups = endpoint.groups.unwrap_or_default().into_iter().filter_map(|group| group.group_id);
    Ok(Some(Live {
        id: Id::new(endpoint.vpc_endpoint_id.need("VpcEndpointId")?),
        status,
        args: VpcEndpoint {
            vpc: Ref::Known(Id::new(endpoint.vpc_id.need("VpcId")?)),
            service: endpoint.service_name.need("ServiceName")?,
            tables: refs(endpoint.route_table_ids.unwrap_or_default()),
            subnets: refs(endpoint.subnet_ids.unwrap_or_default()),
            groups: refs(groups),
            private_dns: endpoint.private_dns_enabled.filter(|_| kind == EndpointType::Interface),
            policy: endpoint.policy_document.as_deref().map_or(Ok(None), policy)?,
            tags: tags::from(endpoint.tags),
            kind,
        },
        outputs: (),
    }))
}

fn refs<R>(ids: impl IntoIterator<Item = String>) -> BTreeSet<Ref<Id<R>>> {
    ids.into_iter().map(|id| Ref::Known(Id::new(id))).collect()
}

/// The enum has capitalized states, but AWS has also returned lower-case ones. `None` for a deleted endpoint.
fn status(endpoint: &sdk::VpcEndpoint) -> Option<Status> {
    let state = endpoint.state().map(|state| state.as_str().to_ascii_lowercase()).unwrap_or_default();
    Some(match &*state {
        "available" => Status::Ready,
        "deleting" => Status::Deleting,
        "deleted" => return None,
        "failed" | "rejected" | "expired" => {
            let said = endpoint.last_error().and_then(|error| error.message());
            let said = said.or(endpoint.failure_reason()).unwrap_or("AWS gave no reason");
            Status::Failed(format!("{state}: {said}"))
        }
        _ => Status::Pending,
    })
}

/// `None` for AWS's default policy, which allows everything and has a version that our policies do not have.
fn policy(document: &str) -> Result<Option<Policy>> {
    let policy = Policy::parse(document)?;
    let everything = Statement::allow("", ["*"]).principal("*", "*").on(Text::from("*"));
    let default = policy == Policy::new([everything]) && !document.contains("2012-10-17");
    Ok(Some(policy).filter(|_| !default))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::State;

    use super::*;

    #[test]
    fn the_default_policy_is_none() -> Result<()> {
        let everything = r#""Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;
        assert_eq!(policy(&format!(r#"{{"Version":"2008-10-17",{everything}"#))?, None);
        assert_eq!(policy(&format!("{{{everything}"))?, None);
        let ours = policy(&format!(r#"{{"Version":"2012-10-17",{everything}"#))?;
        assert!(ours.is_some());
        Ok(())
    }

    #[test]
    fn states_are_read_in_either_spelling() {
        for (state, status_of_it) in [
            ("available", Some(Status::Ready)),
            ("Available", Some(Status::Ready)),
            ("Pending", Some(Status::Pending)),
            ("pendingAcceptance", Some(Status::Pending)),
            ("Deleting", Some(Status::Deleting)),
            ("Deleted", None),
            ("Expired", Some(Status::Failed("expired: AWS gave no reason".into()))),
        ] {
            let endpoint = sdk::VpcEndpoint::builder().state(State::from(state)).build();
            assert_eq!(status(&endpoint), status_of_it, "{state}");
        }
    }

    #[test]
    fn the_type_is_written_as_a_word() -> serde_json::Result<()> {
        assert_eq!(serde_json::to_value(EndpointType::Gateway)?, "gateway");
        assert_eq!(serde_json::from_value::<EndpointType>("interface".into())?, EndpointType::Interface);
        assert_eq!(serde_json::to_value(EndpointType::Other("Tunnel".into()))?, "Tunnel");
        Ok(())
    }
}
