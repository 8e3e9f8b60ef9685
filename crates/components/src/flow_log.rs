//! Flow logs of a region's network, in an encrypted log group.

use payinfra_aws::ec2::{FlowLog, Vpc};
use payinfra_aws::logs::LogGroup;
use payinfra_aws::{Policy, Statement};
use payinfra_engine::{Graph, Node, Ref, Result, Text};
use payinfra_stack::Site;

use crate::roles::{self, TaskRole};

/// The resource type in the names of the log group and the role.
pub const FLOW_LOGS: &str = "flow-logs";

/// Declares the flow log of a VPC, with its log group and role. The policy of `key` must allow `CloudWatch` Logs to use
/// it.
///
/// # Errors
/// If the role's name is too long for IAM.
pub fn flow_log(
    graph: &mut Graph,
    site: &Site<'_>,
    vpc: &Node<Vpc>,
    key: &Ref<String>,
    retention_days: i32,
) -> Result<()> {
    let name = site.names.name(FLOW_LOGS);
    let group = LogGroup {
        name: name.clone().into(),
        retention_days: Some(retention_days),
        kms_key: Some(key.clone()),
        tags: site.named(FLOW_LOGS),
    };
    let group = graph.add(site.region(), FLOW_LOGS, group)?;
    let write = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"];
    let write =
        Statement::allow("Write", write).on(&group.outputs.arn).on(Text::from(&group.outputs.arn).and(":log-stream:*"));
    // AWS supports no narrower resource for this action than all log groups of the region.
    let find = Statement::allow("Find", ["logs:DescribeLogGroups"]).on(site.arn("logs", "log-group:*"));
    let role = TaskRole {
        task: FLOW_LOGS,
        description: "Writes VPC flow logs",
        trust: roles::trust_from(site, "vpc-flow-logs.amazonaws.com", &site.arn("ec2", "vpc-flow-log/*")),
        policy: Some(Policy::new([write, find])),
        managed: &[],
    };
    let role = roles::role(graph, site, role)?;
    let log = FlowLog {
        vpc: vpc.id.clone(),
        log_group: group.outputs.arn.clone(),
        role: role.outputs.arn.clone(),
        tags: site.named("flow-log"),
    };
    graph.add(site.region(), "main", log)?;
    site.output(graph, "flow_log_group_name", name);
    site.output(graph, "flow_log_role_arn", &role.outputs.arn);
    Ok(())
}
