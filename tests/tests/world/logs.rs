//! Log groups: their retention is changed, and services create them again.

use std::collections::BTreeSet;

use crate::World;
use crate::changes::set_retention;

const GROUP: &str = "us-east-1/logs.log-group/flow-logs";

/// What was changed by hand becomes the configuration: there is nothing to do in AWS, and then no drift.
#[tokio::test(flavor = "multi_thread")]
async fn change_is_declared() {
    let world = World::new("legacy").await;
    set_retention(&world, 30).await;
    assert_eq!(world.drift(), BTreeSet::from([(GROUP.to_owned(), "retention_days".to_owned())]));
    world.configure("flow_log_retention_days = 90", "flow_log_retention_days = 30");
    let plan = world.run(&["plan"]).ok();
    assert!(plan.stdout.contains("the configuration now has what was changed in AWS"), "{}", plan.stdout);
    world.is_settled_after_apply();
    world.destroy();
}

/// A service that still writes creates its log group again, without tags.
#[tokio::test(flavor = "multi_thread")]
async fn log_group_is_recreated() {
    let world = World::new("legacy").await;
    world.destroy();
    let logs = aws_sdk_cloudwatchlogs::Client::new(&world.bench.sdk("us-east-1"));
    logs.create_log_group().log_group_name(world.id(GROUP)).send().await.unwrap();
    let refused = world.run(&["apply", "--yes"]).expect(1);
    let mut commands = refused.stderr.split('`').filter_map(|part| part.strip_prefix("payinfra import "));
    let command = commands.next().unwrap_or_else(|| panic!("no command in:\n{}", refused.stderr));
    assert!(command.contains(GROUP) && commands.next().is_none(), "{}", refused.stderr);
    let arguments: Vec<_> = ["import"].into_iter().chain(command.split(' ')).collect();
    world.run(&arguments).ok();
    world.run(&["apply", "--yes"]).ok();
    world.is_settled();
    world.destroy();
}
