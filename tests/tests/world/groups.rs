//! Somebody's security group refers to ours.

use std::time::Duration;

use aws_sdk_ec2::types::{IpPermission, UserIdGroupPair};
use payinfra_tests::Outcome;

use crate::World;

/// How long the destroy may take until AWS refuses to delete the group.
const PATIENCE: Duration = Duration::from_mins(2);

/// EC2 deletes no group that a rule refers to. The rule is somebody else's, so the destroy waits.
#[tokio::test(flavor = "multi_thread")]
async fn group_refers_to_ours() {
    let world = World::new("legacy").await;
    let ec2 = world.bench.ec2("us-east-1");
    let ours = world.id("us-east-1/ec2.security-group/service");
    let vpc = world.id("us-east-1/ec2.vpc/main");
    let made = ec2.create_security_group().group_name("theirs").description("theirs").vpc_id(vpc).send().await.unwrap();
    let theirs = made.group_id().unwrap();
    let pair = UserIdGroupPair::builder().group_id(ours).build();
    let rule = IpPermission::builder().ip_protocol("tcp").from_port(443).to_port(443).user_id_group_pairs(pair).build();
    ec2.authorize_security_group_ingress().group_id(theirs).ip_permissions(rule).send().await.unwrap();
    world.is_settled();

    world.bench.aws.clear_calls();
    let destroy = world.bench.start(&["destroy", "--yes", "--accept-loss", "--workspace", world.workspace]);
    let refused = async {
        let is_refused = |call: &payinfra_localstack::Call| {
            call.action == "DeleteSecurityGroup" && call.status.is_some_and(|status| status >= 400)
        };
        while !world.bench.aws.calls().iter().any(is_refused) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    ec2.delete_security_group().group_id(theirs).send().await.unwrap();
    Outcome::from(destroy.wait_with_output().unwrap()).ok();
}
