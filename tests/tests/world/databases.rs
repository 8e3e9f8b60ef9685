//! Changes of the global database: its writer moves, and its version.

use payinfra_localstack::Call;

use crate::World;
use crate::changes::{UPGRADED, upgrade, version};

const OTHER: &str = "us-east-2";

/// M-11: somebody switches over in the AWS console.
#[tokio::test(flavor = "multi_thread")]
async fn writer_is_switched_over() {
    let world = World::new("migration").await;
    let rds = aws_sdk_rds::Client::new(&world.bench.sdk(OTHER));
    let call = rds.switchover_global_cluster().global_cluster_identifier(global(&world));
    call.target_db_cluster_identifier(world.arn("us-east-2/rds.cluster/main")).send().await.unwrap();
    is_known(&world);
}

/// M-11: somebody fails over in the AWS console, as in a loss of the primary region.
#[tokio::test(flavor = "multi_thread")]
async fn writer_is_failed_over() {
    let world = World::new("migration").await;
    let rds = aws_sdk_rds::Client::new(&world.bench.sdk(OTHER));
    let call = rds.failover_global_cluster().global_cluster_identifier(global(&world)).allow_data_loss(true);
    call.target_db_cluster_identifier(world.arn("us-east-2/rds.cluster/main")).send().await.unwrap();
    is_known(&world);
}

fn global(world: &World) -> &str {
    world.id("us-east-1/rds.global-cluster/main")
}

/// The writer's region is noted, and is no drift. The writer is deleted last, wherever it is.
#[track_caller]
fn is_known(world: &World) {
    let plan = world.is_settled();
    assert!(plan.stdout.contains("has its writer in us-east-2"), "{}", plan.stdout);
    world.destroy();
}

/// M-11: a live version between the recorded and the declared one is enough; one that was declared and is lowered is refused.
#[tokio::test(flavor = "multi_thread")]
async fn version_goes_down() {
    let world = World::new("legacy").await;
    upgrade(&world, "us-east-1").await;
    world.is_settled();
    let calls = || -> Vec<Call> {
        let calls = world.bench.mutations().into_iter();
        calls.filter(|call| call.service == "rds").collect()
    };

    world.configure("# engine_version = \"16.6\"", "engine_version = \"16.8\"");
    world.bench.aws.clear_calls();
    world.run(&["apply", "--yes"]).ok();
    assert_eq!(calls(), []);
    world.is_settled();

    world.configure("engine_version = \"16.8\"", "engine_version = \"16.7\"");
    let plan = world.run(&["plan"]);
    let told = "`engine_version` cannot go down from 16.8 to 16.7";
    assert!(plan.stdout.contains(told) || plan.stderr.contains(told), "{plan:?}");
    let refused = world.run(&["apply", "--yes"]).expect(1);
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
    assert_eq!((calls(), version(&world, "us-east-1").await.as_str()), (Vec::new(), UPGRADED));
    world.configure("engine_version = \"16.7\"", "engine_version = \"16.8\"");
    world.destroy();
}
