//! A flow log: a record of a VPC's network traffic.

use aws_sdk_ec2::types::{self as sdk, FlowLogsResourceType, LogDestinationType, ResourceType, TrafficType};
use payinfra_engine::{Class, Expected, Fields, Id, Live, Owner, Ref, Resource, Result, Status, Tags, fields};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Vpc, by_id, tags, unsuccessful};
use crate::error::Unless;
use crate::{Cx, Explain, Need};

/// A log of all traffic of a VPC, accepted and rejected, in `CloudWatch` Logs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowLog {
    /// The VPC.
    pub vpc: Ref<Id<Vpc>>,
    /// The ARN of the log group, without `:*`.
    pub log_group: Ref<String>,
    /// The ARN of the role that writes the log; its policy must exist before.
    pub role: Ref<String>,
    /// The tags.
    pub tags: Tags,
}

impl Resource for FlowLog {
    type Cx = Cx;
    const KIND: &'static str = "ec2.flow-log";
    const REPLACE: Fields = fields!(Self: vpc, log_group, role);
    const EXPECTED: Expected = Expected::millis(2_000, 1_000);
    type Outputs = ();

    fn tags(&mut self) -> Option<&mut Tags> {
        Some(&mut self.tags)
    }

    async fn create(&self, cx: &Cx) -> Result<Id<Self>> {
        let call = cx.ec2().create_flow_logs().client_token(cx.token()?);
        let call = call
            .resource_type(FlowLogsResourceType::Vpc)
            .resource_ids(self.vpc.known()?)
            .traffic_type(TrafficType::All)
            .log_destination_type(LogDestinationType::CloudWatchLogs)
            .log_destination(self.log_group.known()?)
            .deliver_logs_permission_arn(self.role.known()?)
            .tag_specifications(tags::spec(ResourceType::VpcFlowLog, &self.tags));
        let answer = call.send().await.explain()?;
        unsuccessful("ec2:CreateFlowLogs", answer.unsuccessful())?;
        Ok(Id::new(answer.flow_log_ids().first().need("FlowLogIds")?))
    }

    /// By tags, not by the token, which would also return a deleted one. If the tags are not visible yet, the next
    /// `create` finds it by the token.
    async fn recover(&self, cx: &Cx, owner: &Owner) -> Result<Option<Id<Self>>> {
        let call = cx.ec2().describe_flow_logs().set_filter(Some(tags::owned_by(owner)));
        let found = call.send().await.explain()?;
        let mut ids = found.flow_logs().iter().filter_map(|log| log.flow_log_id());
        Ok(ids.find(|id| !cx.is_known(id)).map(Id::new))
    }

    async fn read(cx: &Cx, ids: &[Id<Self>]) -> Result<Vec<Live<Self>>> {
        let call = cx.ec2().describe_flow_logs().filter(by_id("flow-log-id", ids));
        let found = call.into_paginator().items().send().try_collect().await.explain()?;
        found.into_iter().map(live).collect()
    }

    async fn update(&self, cx: &Cx, live: &Live<Self>) -> Result<()> {
        tags::sync(cx, &live.id, &live.args.tags, &self.tags).await
    }

    async fn delete(cx: &Cx, live: &Live<Self>) -> Result<()> {
        let answer = cx.ec2().delete_flow_logs().flow_log_ids(&live.id).send().await.explain();
        let answer = answer.and_then(|answer| unsuccessful("ec2:DeleteFlowLogs", answer.unsuccessful()));
        answer.unless(Class::NotFound).map(drop)
    }

    absent!(describe_flow_logs, flow_log_ids, flow_logs);
}

/// A flow log that cannot deliver is still active: it reports the error itself, and starts to deliver when it can.
fn live(log: sdk::FlowLog) -> Result<Live<FlowLog>> {
    let group = log.log_destination.unwrap_or_default();
    Ok(Live {
        id: Id::new(log.flow_log_id.need("FlowLogId")?),
        status: Status::Ready,
        args: FlowLog {
            vpc: Ref::Known(Id::new(log.resource_id.need("ResourceId")?)),
            log_group: Ref::Known(group.trim_end_matches(":*").to_owned()),
            role: Ref::Known(log.deliver_logs_permission_arn.unwrap_or_default()),
            tags: tags::from(log.tags),
        },
        outputs: (),
    })
}
