//! A listener of a load balancer.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_elasticloadbalancingv2::types::{self as sdk, Certificate};
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, LoadBalancer, Protocol, action, each, tags};
use crate::error::{Unless, claim};
use crate::{Cx, Explain, Need};

/// A listener of a load balancer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// The load balancer.
    pub load_balancer: Ref<Id<LoadBalancer>>,
    /// The port, unique per load balancer.
    pub port: u16,
    /// The protocol of clients.
    pub protocol: Protocol,
    /// The ARN of the certificate of an HTTPS listener, issued in the same region.
    pub certificate: Option<Ref<String>>,
    /// The TLS policy of an HTTPS listener, which defines versions and ciphers. AWS's default,
    /// `ELBSecurityPolicy-2016-08`, still supports TLS 1.0.
    pub ssl_policy: Option<String>,
    /// The default action, for requests that match no rule.
    pub default_action: Action,
    /// The tags.
    pub tags: Tags,
}

/// The outputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListenerOutputs {
    /// The ARN, equal to the id.
    pub arn: Ref<String>,
}

/// The value to which `None` resets.
const DEFAULT_POLICY: &str = "ELBSecurityPolicy-2016-08";

impl Resource for Listener {
    type Cx = Cx;
    const KIND: &'static str = "elbv2.listener";
    const REPLACE: Fields = fields!(Self: load_balancer);
    const KEY: Fields = fields!(Self: load_balancer, port);
    const HOLDS: Fields = fields!(Self: certificate, default_action);
    const BATCH: usize = super::BATCH;
    const EXPECTED: Expected = Expected::millis(500, 500);
    type Outputs = ListenerOutputs;

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.elbv2().create_listener().load_balancer_arn(self.load_balancer.known()?);
        let call = call.port(i32::from(self.port)).protocol(self.protocol.sdk()?);
        let call = call.set_certificates(self.certificates()?).set_ssl_policy(self.ssl_policy.clone());
        let call = call.set_default_actions(Some(self.default_action.sdk(&BTreeMap::new())?));
        let made = call.set_tags(Some(tags::sdk(&self.tags))).send().await.explain()?;
        let made = made.listeners.unwrap_or_default().pop().need("Listener")?;
        Ok(Id::new(made.listener_arn.need("ListenerArn")?))
    }

    /// By its port.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.elbv2().describe_listeners().load_balancer_arn(self.load_balancer.known()?);
        let found = call.into_paginator().items().send().try_collect().await.explain().unless(Class::NotFound)?;
        let port = Some(i32::from(self.port));
        let found = found.unwrap_or_default().into_iter().filter(|listener| listener.port == port);
        let mut arns = found.filter_map(|listener| listener.listener_arn).filter(|arn| !cx.is_known(arn));
        let Some(arn) = arns.next() else { return Ok(None) };
        let tags = tags::of(cx, std::slice::from_ref(&arn)).await?.remove(&arn).unwrap_or_default();
        claim("listener on port", &self.port.to_string(), Id::new(arn), &tags, owner)
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let found = described(cx, ids.iter().map(String::from).collect()).await?;
        let arns: Vec<_> = found.iter().filter_map(|listener| listener.listener_arn.clone()).collect();
        let tags = tags::of(cx, &arns).await?;
        found.into_iter().map(|listener| live(listener, &tags)).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        let was = &live.args;
        // Omitted values stay unchanged.
        let mut call = cx.elbv2().modify_listener().listener_arn(&live.id);
        let mut changes = false;
        if self.port != was.port {
            (call, changes) = (call.port(i32::from(self.port)), true);
        }
        if self.protocol != was.protocol {
            (call, changes) = (call.protocol(self.protocol.sdk()?), true);
        }
        if self.protocol == Protocol::Https {
            // A listener that changes to HTTPS needs both.
            if self.certificate != was.certificate || changes {
                (call, changes) = (call.set_certificates(self.certificates()?), true);
            }
            if self.ssl_policy != was.ssl_policy || changes {
                let policy = self.ssl_policy.as_deref().unwrap_or(DEFAULT_POLICY);
                (call, changes) = (call.ssl_policy(policy), true);
            }
        }
        if self.default_action != was.default_action {
            let now = if self.default_action.is_shared() { shares(cx, &live.id).await? } else { BTreeMap::new() };
            (call, changes) = (call.set_default_actions(Some(self.default_action.sdk(&now)?)), true);
        }
        if changes {
            call.send().await.explain()?;
        }
        tags::sync(cx, live.id.as_str(), &was.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let call = cx.elbv2().delete_listener().listener_arn(&live.id);
        call.send().await.explain().unless(Class::NotFound).map(drop)
    }
}

impl Listener {
    fn certificates(&self) -> Result<Option<Vec<Certificate>>> {
        let arn = self.certificate.as_ref().map(Ref::known).transpose()?;
        Ok(arn.map(|arn| vec![Certificate::builder().certificate_arn(arn).build()]))
    }
}

async fn described(cx: &Cx, arns: Vec<String>) -> Result<Vec<sdk::Listener>> {
    let ask = |arns| async move {
        let call = cx.elbv2().describe_listeners().set_listener_arns(Some(arns));
        Ok(call.send().await.explain()?.listeners.unwrap_or_default())
    };
    each(arns, ask).await
}

/// The current weights of the target groups.
async fn shares(cx: &Cx, id: &Id<Listener>) -> Result<BTreeMap<String, i32>> {
    let found = described(cx, vec![id.into()]).await?;
    let actions = found.into_iter().filter_map(|listener| listener.default_actions).flatten().collect::<Vec<_>>();
    action::shares_of(&actions)
}

fn live(listener: sdk::Listener, tags: &HashMap<String, Tags>) -> Result<Live<Listener>> {
    let arn = listener.listener_arn.need("ListenerArn")?;
    let protocol = Protocol::from_sdk(listener.protocol.as_ref());
    // On other listeners, they are leftovers without effect.
    let is_tls = protocol == Protocol::Https;
    let certificate = listener.certificates.unwrap_or_default().into_iter().find_map(|it| it.certificate_arn);
    let args = Listener {
        load_balancer: Ref::Known(Id::new(listener.load_balancer_arn.need("LoadBalancerArn")?)),
        port: listener.port.and_then(|port| u16::try_from(port).ok()).need("Port")?,
        protocol,
        certificate: certificate.filter(|_| is_tls).map(Ref::Known),
        ssl_policy: listener.ssl_policy.filter(|_| is_tls),
        default_action: Action::from_sdk(&listener.default_actions.unwrap_or_default())?,
        tags: tags.get(&arn).cloned().unwrap_or_default(),
    };
    let outputs = ListenerOutputs { arn: Ref::Known(arn.clone()) };
    Ok(Live { id: Id::new(arn), status: Status::Ready, args, outputs })
}
