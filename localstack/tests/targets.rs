//! Target health, and rollouts of ECS services.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all shared items are used here")]

mod support;

use std::time::{Duration, Instant};

use payinfra_localstack::{Emulator, Silence};
use serde_json::{Value, json};
use support::{Aws, region::Region};

const EAST: &str = "us-east-1";

/// Status, rollout state and running tasks of each deployment.
fn deployments(service: &Value) -> Vec<(String, String, u64)> {
    let text = |deployment: &Value, member: &str| deployment[member].as_str().unwrap_or_default().to_owned();
    let of = |it: &Value| (text(it, "status"), text(it, "rolloutState"), it["runningCount"].as_u64().unwrap());
    service["deployments"].as_array().unwrap().iter().map(of).collect()
}

fn deployment(status: &str, state: &str, running: u64) -> (String, String, u64) {
    (status.to_owned(), state.to_owned(), running)
}

/// Waits until a group's targets have these states, at most ten seconds.
async fn until(region: &Region<'_>, group: &str, states: &[&str]) {
    let begun = Instant::now();
    loop {
        let now = region.states(group).await;
        if now == states {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{now:?} instead of {states:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn targets_follow_the_tasks_of_a_service() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let region = Region::new(&aws, EAST).await;
    region.serve("app", &region.blue, "app:1", 2).await;
    assert_eq!(region.states(&region.blue).await, ["healthy", "healthy"]);
    assert_eq!(region.states(&region.green).await, [""; 0]);
    region.update("app", json!({ "desiredCount": 3 })).await;
    assert_eq!(region.states(&region.blue).await, ["healthy"; 3]);
    region.update("app", json!({ "desiredCount": 1 })).await;
    assert_eq!(region.states(&region.blue).await, ["healthy"]);
    // Another group: the new tasks are registered there, and the old ones deregistered.
    let green = json!([{ "targetGroupArn": region.green, "containerName": "app", "containerPort": 80 }]);
    region.update("app", json!({ "loadBalancers": green })).await;
    assert_eq!((region.states(&region.blue).await.len(), region.states(&region.green).await.len()), (0, 1));
    region.update("app", json!({ "desiredCount": 0 })).await;
    assert_eq!(region.states(&region.green).await, [""; 0]);
    assert_eq!(region.describe("app").await["runningCount"], 0);
    region.update("app", json!({ "desiredCount": 2 })).await;
    region.ecs("DeleteService", &json!({ "cluster": "cluster", "service": "app", "force": true })).await;
    assert_eq!(region.states(&region.green).await, [""; 0]);
}

#[tokio::test]
async fn a_rollout_replaces_the_tasks_when_the_new_ones_are_healthy() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let region = Region::new(&aws, EAST).await;
    let delay = "Attributes.member.1.Key=deregistration_delay.timeout_seconds&Attributes.member.1.Value=60";
    region.elb(&format!("ModifyTargetGroupAttributes&TargetGroupArn={}&{delay}", region.blue)).await;
    region.serve("app", &region.blue, "app:1", 1).await;
    let old = region.describe("app").await["taskDefinition"].clone();

    emulator.set_latency_scale(Some(0.005));
    let definition = region.definition("app:2").await;
    let updated = region.update("app", json!({ "taskDefinition": definition })).await;
    let (primary, active) = (deployment("PRIMARY", "IN_PROGRESS", 0), deployment("ACTIVE", "COMPLETED", 1));
    assert_eq!(deployments(&updated), [primary, active]);
    assert_eq!(updated["deployments"][1]["taskDefinition"], old);
    // A task starts for a minute; meanwhile, the old one gets the requests.
    until(&region, &region.blue, &["healthy", "initial"]).await;
    until(&region, &region.blue, &["draining", "healthy"]).await;
    let described = region.describe("app").await;
    let (primary, active) = (deployment("PRIMARY", "IN_PROGRESS", 1), deployment("ACTIVE", "COMPLETED", 0));
    assert_eq!(deployments(&described), [primary, active]);
    until(&region, &region.blue, &["healthy"]).await;
    emulator.set_latency_scale(None);
    assert_eq!(deployments(&region.describe("app").await), [deployment("PRIMARY", "COMPLETED", 1)]);
    assert_eq!(region.describe("app").await["taskDefinition"], definition);
}

#[tokio::test]
async fn a_bad_image_fails_and_is_rolled_back() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let region = Region::new(&aws, EAST).await;
    region.serve("app", &region.blue, "app:1", 2).await;
    let good = region.describe("app").await;

    emulator.set_latency_scale(Some(0.005));
    let bad = region.definition("app:bad").await;
    region.update("app", json!({ "taskDefinition": bad })).await;
    until(&region, &region.blue, &["healthy", "healthy", "unhealthy", "unhealthy"]).await;
    emulator.set_latency_scale(None);
    let described = region.describe("app").await;
    assert_eq!(deployments(&described), [deployment("PRIMARY", "COMPLETED", 2)]);
    assert_eq!(described["taskDefinition"], good["taskDefinition"]);
    assert_eq!(described["deployments"][0]["id"], good["deployments"][0]["id"]);
    let events = described["events"].to_string();
    assert!(events.contains("tasks failed to start") && events.contains("rolling back"), "{events}");
    assert_eq!(region.states(&region.blue).await, ["healthy", "healthy"]);

    // Without a deployment to return to, it has failed, and without a circuit breaker, it goes on.
    let failed = region.serve("second", &region.green, "repository/bad/app:1", 2).await;
    assert_eq!(failed["deployments"][0]["rolloutState"], "IN_PROGRESS");
    assert_eq!(deployments(&region.describe("second").await), [deployment("PRIMARY", "FAILED", 0)]);
    let off = json!({ "deploymentCircuitBreaker": { "enable": false, "rollback": false } });
    region.update("second", json!({ "deploymentConfiguration": off, "forceNewDeployment": true })).await;
    assert_eq!(deployments(&region.describe("second").await)[0], deployment("PRIMARY", "IN_PROGRESS", 2));
    // A test can say what is healthy.
    emulator.set_health("repository/bad/*", Some(true));
    let begun = Instant::now();
    while deployments(&region.describe("second").await) != [deployment("PRIMARY", "COMPLETED", 2)] {
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn registered_targets_are_checked_and_drained() {
    let emulator = Emulator::start().await.unwrap();
    let aws = Aws::of(&emulator);
    let region = Region::new(&aws, EAST).await;
    emulator.set_latency_scale(Some(0.005));
    let target = "Targets.member.1.Id=10.60.1.9&Targets.member.1.Port=80";
    let register = format!("RegisterTargets&TargetGroupArn={}&{target}", region.blue);
    region.elb(&register).await;
    until(&region, &region.blue, &["initial"]).await;
    until(&region, &region.blue, &["healthy"]).await;
    let deregister = register.replace("RegisterTargets", "DeregisterTargets");
    region.elb(&deregister).await;
    assert_eq!(region.states(&region.blue).await, ["draining"]);
    // A target that is registered again stays.
    region.elb(&register).await;
    region.elb(&deregister).await;
    region.elb(&register).await;
    until(&region, &region.blue, &["healthy"]).await;
    emulator.set_latency_scale(None);
    assert_eq!(region.states(&region.blue).await, ["healthy"]);

    emulator.set_health("blue", Some(false));
    assert_eq!(region.states(&region.blue).await, ["unhealthy"]);
    emulator.set_health("blue", None);
    assert_eq!(region.states(&region.blue).await, ["healthy"]);
    emulator.set_outage("us-east-2", Some(Silence::Reset));
    assert_eq!(region.states(&region.blue).await, ["healthy"]);
    // A group that no listener uses is not checked.
    region.elb(&format!("DeleteListener&ListenerArn={}", region.listener)).await;
    assert_eq!(region.states(&region.blue).await, ["unused"]);
    region.elb(&deregister).await;
    assert_eq!(region.states(&region.blue).await, [""; 0]);
}
