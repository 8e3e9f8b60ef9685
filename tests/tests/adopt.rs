//! Existing resources without an owner are imported with the command that the error shows.

#![expect(clippy::unwrap_used, reason = "a test")]

use payinfra_tests::Bench;

const APPLY: [&str; 4] = ["apply", "--workspace", "legacy", "--yes"];

/// The log group of the flow logs and the role that writes them were created manually: the first apply fails without
/// changing them, the shown commands import them, and the second apply updates them to match.
#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_made_is_imported_with_the_commands_that_apply_prints() {
    let bench = Bench::new().await;
    let empty = bench.inventory().await;
    let sdk = bench.sdk("us-east-1");
    let (logs, sns) = (aws_sdk_cloudwatchlogs::Client::new(&sdk), aws_sdk_sns::Client::new(&sdk));
    let (group, topic) = ("payment-flow-logs-legacy-demo1", "payment-alarms-legacy-demo1");
    logs.create_log_group().log_group_name(group).tags("team", "network").send().await.unwrap();
    let topic = sns.create_topic().name(topic).send().await.unwrap().topic_arn.unwrap();

    let refused = bench.run(&APPLY).expect(1);
    let before = bench.aws.calls().len();
    let mut commands: Vec<_> = refused.stderr.split('`').filter(|part| part.starts_with("payinfra import ")).collect();
    commands.sort_unstable();
    assert_eq!(commands.len(), 2, "{}", refused.stderr);
    for command in commands {
        let mut args: Vec<_> = command.split(' ').skip(1).collect();
        args.extend(["--workspace", "legacy"]);
        bench.run(&args).ok();
        bench.run(&args).expect(1);
    }
    let written = bench.aws.calls().split_off(before).into_iter().filter(|call| call.mutating);
    assert!(written.into_iter().all(|call| ["s3", "dynamodb"].contains(&&*call.service)), "only state and lock");

    bench.run(&APPLY).ok();
    assert_eq!(bench.id("legacy", "us-east-1/logs.log-group/flow-logs"), group);
    assert_eq!(bench.id("legacy", "us-east-1/sns.topic/alarms"), topic);
    let tags =
        logs.list_tags_for_resource().resource_arn(format!("arn:aws:logs:us-east-1:123456789012:log-group:{group}"));
    let tags = tags.send().await.unwrap().tags.unwrap();
    assert_eq!(tags.get("payinfra:workspace").map(String::as_str), Some("legacy"));
    bench.run(&["plan", "--workspace", "legacy", "--exit-code"]).ok();
    bench.run(&["destroy", "--workspace", "legacy", "--yes", "--accept-loss"]).ok();
    assert_eq!(bench.inventory().await, empty);
}
