use serde_json::{Value, json};

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "a table of changes reads better without references")]
fn change(path: &str, old: Value, new: Value) -> Value {
    if payinfra_engine::pointers(&new).is_empty() {
        json!({ "path": path, "old": old, "new": { "value": new } })
    } else {
        json!({ "path": path, "old": old, "new": "unknown", "partial": new })
    }
}

fn removed(path: &str, old: &str) -> Value {
    json!({ "path": path, "old": old, "new": "removed" })
}

fn plan(steps: &Value, drift: &Value) -> serde_json::Result<Plan> {
    serde_json::from_value(json!({
        "format": payinfra_engine::plan::FORMAT,
        "account": "123456789012",
        "lineage": "lineage",
        "serial": 3,
        "revision": 8,
        "graph": { "stack": "migration", "workspace": "migration", "tags": {}, "nodes": {}, "outputs": {} },
        "steps": steps,
        "drift": drift,
        "lookups": {},
        "left_out": [],
    }))
}

fn statement(sid: &str, actions: &[&str], on: &[Value]) -> Value {
    json!({ "sid": sid, "effect": "Allow", "principals": {}, "actions": actions, "resources": on, "conditions": {} })
}

fn rule(port: u16, peer: &Value) -> Value {
    json!({ "protocol": { "tcp": [port, port] }, "peer": peer, "description": "" })
}

/// A plan with every action, and with changes inside values.
fn changes() -> serde_json::Result<Plan> {
    let logs = json!({ "$text": [{ "$ref": "us-east-1/s3.bucket/logs#arn" }, "/*"] });
    let table = json!("arn:aws:dynamodb:us-east-1:123456789012:table/payments-migration");
    let anyone = json!({ "cidr": "0.0.0.0/0" });
    let service = json!({ "group": "sg-0123456789abcdef0" });
    let trust = json!({ "sid": "Assume", "effect": "Allow", "principals": { "Service": ["ecs-tasks.amazonaws.com"] },
        "actions": ["sts:AssumeRole"], "resources": [], "conditions": { "StringEquals": { "aws:SourceAccount": ["123456789012"] } } });
    let widget = |title: &str, period: u32| {
        let metrics =
            json!([["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", "app/payments/0123456789abcdef"]]);
        json!({ "type": "metric", "properties": { "title": title, "period": period, "metrics": metrics } })
    };
    plan(
        &json!({
            "global/iam.role/ecs-task": { "action": "update", "changes": [
                change("inline.data", json!([statement("Data", &["dynamodb:GetItem", "dynamodb:PutItem"], std::slice::from_ref(&table))]),
                    json!([statement("Data", &["dynamodb:GetItem", "dynamodb:DeleteItem"], &[table]), statement("Logs", &["s3:PutObject"], &[logs])])),
            ] },
            "global/iam.role/replication": { "action": "create", "changes": [
                change("name", json!(null), json!("replication")),
                change("trust", json!(null), json!([trust])),
                change("managed", json!(null), json!(["arn:aws:iam::aws:policy/ReadOnlyAccess"])),
            ] },
            "us-east-1/cloudwatch.dashboard/main": { "action": "update", "changes": [
                change("body.widgets", json!([widget("Latency", 60), widget("Errors", 60)]), json!([widget("Latency", 60), widget("Errors", 300)])),
            ] },
            "us-east-1/ec2.eip/gone": { "action": "forget", "changes": [] },
            "us-east-1/ec2.eip/nat": { "action": "delete", "changes": [] },
            "us-east-1/ec2.security-group/database": { "action": "delete", "changes": [] },
            "us-east-1/ec2.security-group/endpoints": { "action": "replace-create-first", "changes": [
                change("description", json!("old words"), json!("new words")),
            ] },
            "us-east-1/ec2.security-group/service": { "action": "update", "changes": [
                change("ingress", json!([rule(8080, &service)]), json!([rule(8080, &anyone), rule(8080, &service)])),
                change("egress", json!([rule(443, &anyone)]),
                    json!([rule(443, &anyone), rule(5432, &json!({ "group": { "$ref": "us-east-1/ec2.security-group/endpoints#id" } }))])),
            ] },
            "us-east-1/ec2.subnet/private-1": { "action": "replace", "changes": [
                change("vpc", json!("vpc-0123456789abcdef0"), json!({ "$ref": "us-east-1/ec2.vpc/main#id" })),
                change("public", json!(true), json!(false)),
            ] },
            "us-east-1/ec2.vpc/kept": { "action": "keep", "changes": [] },
            "us-east-1/ec2.vpc/main": { "action": "replace", "changes": [
                change("cidr", json!("10.0.0.0/16"), json!("10.1.0.0/16")),
            ] },
            "us-east-1/kms.key/logs": { "action": "update", "changes": [
                change("password", json!({ "$hash": "0a1b" }), json!({ "$hash": "2c3d" })),
                change("tags.Owner", json!(null), json!("me")),
                removed("tags.Team", "us"),
            ] },
            "us-east-1/s3.bucket/logs": { "action": "create", "because": "it no longer exists", "changes": [
                change("name", json!(null), json!("logs-123456789012-us-east-1")),
                change("versioning", json!(null), json!(true)),
                change("tags", json!(null), json!({ "Name": "logs", "Project": "payments" })),
            ] },
            "us-east-1/dynamodb.table/old": { "action": "delete", "changes": [], "loses": ["all of its data"], "contents": "12 items" },
        }),
        &drifted(),
    )
}

fn drifted() -> Value {
    let rules =
        |port: u16| json!([rule(port, &json!({ "cidr": "10.0.0.0/8" })), rule(80, &json!({ "cidr": "10.0.0.0/8" }))]);
    json!({
        "us-east-1/s3.bucket/logs": "gone",
        "us-east-1/kms.key/old": { "scheduled": "2026-12-24" },
        "us-east-1/kms.key/logs": { "changed": [removed("tags.Team", "us")] },
        "us-east-1/ec2.security-group/service": { "changed": [change("ingress", rules(22), rules(443))] },
    })
}

/// A plan that deletes everything.
fn destroy() -> serde_json::Result<Plan> {
    let delete = |loses: &[&str]| json!({ "action": "delete", "changes": [], "loses": loses });
    plan(
        &json!({
            "global/iam.role/ecs-task": delete(&[]),
            "us-east-1/ec2.security-group/service": delete(&[]),
            "us-east-1/ec2.vpc/main": delete(&[]),
            "us-east-1/rds.cluster/main": { "action": "delete", "changes": [], "loses": ["all of its data"], "because": "AWS deletion protection is disabled first" },
            "us-east-1/s3.bucket/transactions": { "action": "delete", "changes": [], "loses": ["all of its data"], "contents": "1,204 objects" },
            "us-east-2/ec2.vpc/main": delete(&[]),
        }),
        &json!({}),
    )
}

/// A first plan of many resources, some of which have permissions.
fn first() -> serde_json::Result<Plan> {
    const KINDS: [(&str, usize); 26] = [
        ("acm.certificate", 1),
        ("application-autoscaling.policy", 4),
        ("application-autoscaling.target", 2),
        ("cloudtrail.trail", 1),
        ("cloudwatch.alarm", 14),
        ("cloudwatch.dashboard", 1),
        ("dynamodb.table", 1),
        ("ec2.eip", 3),
        ("ec2.flow-log", 1),
        ("ec2.internet-gateway", 1),
        ("ec2.nat-gateway", 3),
        ("ec2.route", 7),
        ("ec2.route-table", 4),
        ("ec2.security-group", 4),
        ("ec2.subnet", 6),
        ("ec2.transit-gateway", 1),
        ("ec2.transit-gateway-vpc-attachment", 1),
        ("ec2.vpc", 1),
        ("ec2.vpc-endpoint", 7),
        ("ecs.cluster", 1),
        ("ecs.service", 2),
        ("elbv2.listener", 2),
        ("kms.key", 4),
        ("logs.log-group", 3),
        ("s3.bucket", 3),
        ("sns.topic", 1),
    ];
    let mut steps = serde_json::Map::new();
    let role = |name: &str| {
        json!([statement(name, &["s3:GetObject", "s3:PutObject"], &[json!({ "$ref": "us-east-1/s3.bucket/1#arn" })])])
    };
    for region in ["us-east-1", "us-east-2", "us-west-2"] {
        for (kind, count) in KINDS {
            for number in 1..=count {
                let fields = match kind {
                    "ec2.security-group" => {
                        change("ingress", json!(null), json!([rule(443, &json!({ "cidr": "10.0.0.0/8" }))]))
                    }
                    "kms.key" => {
                        change("policy", json!(null), json!([statement("Use", &["kms:Decrypt"], &[json!("*")])]))
                    }
                    _ => change("name", json!(null), json!(format!("{kind}-{number}"))),
                };
                steps.insert(format!("{region}/{kind}/{number}"), json!({ "action": "create", "changes": [fields] }));
            }
        }
        for role_name in ["ecs-execution", "ecs-task", "flow-logs", "replication"] {
            let inline = change("inline", json!(null), json!({ "main": role(role_name) }));
            steps.insert(
                format!("global/iam.role/{role_name}-{region}"),
                json!({ "action": "create", "changes": [inline] }),
            );
        }
    }
    plan(&steps.into(), &json!({}))
}

fn colored(width: usize, plan: &Plan) -> String {
    let text = PlanView { whole: false, losses: losses::DESTROYS, width: Some(width) }.render(plan);
    text.replace('\u{1b}', "␛")
}

fn plain(whole: bool, width: Option<usize>, plan: &Plan) -> String {
    let text = PlanView { whole, losses: losses::DESTROYS, width }.render(plan);
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn plans_at_every_width() -> serde_json::Result<()> {
    let (changes, destroy, first) = (changes()?, destroy()?, first()?);
    for width in [80, 120, 200] {
        insta::assert_snapshot!(format!("plan_{width}"), colored(width, &changes));
        insta::assert_snapshot!(format!("destroy_{width}"), colored(width, &destroy));
        insta::assert_snapshot!(format!("first_plan_{width}"), colored(width, &first));
        let view = PlanView { whole: false, losses: losses::DESTROYS, width: Some(width) };
        insta::assert_snapshot!(format!("drift_{width}"), view.drift(&changes.drift).replace('\u{1b}', "␛"));
    }
    insta::assert_snapshot!("plan_in_a_file", plain(false, None, &changes));
    Ok(())
}

/// Only words without spaces can be longer than the terminal is wide.
#[test]
fn lines_fit_the_terminal() -> serde_json::Result<()> {
    for width in [80, 120] {
        for plan in [changes()?, destroy()?, first()?] {
            let text = plain(true, Some(width), &plan);
            let too_long = text.lines().find(|line| line.chars().count() > width && line.trim().contains(' '));
            assert_eq!(too_long, None, "at {width}");
        }
    }
    Ok(())
}

#[test]
fn a_first_plan_fits_the_summary_and_has_everything_with_v() -> serde_json::Result<()> {
    let plan = first()?;
    assert!(plan.steps.len() > 220, "{}", plan.steps.len());
    for width in [80, 120, 200] {
        let lines = plain(false, Some(width), &plan).lines().count();
        assert!(lines <= 120, "{lines} lines at {width}");
    }
    let whole = plain(true, Some(80), &plan);
    assert!(plan.steps.keys().all(|address| whole.contains(&address.to_string())));
    assert!(whole.contains("s3:PutObject") && whole.contains("cloudwatch.alarm-14"));
    Ok(())
}

#[test]
fn secrets_are_never_shown() -> serde_json::Result<()> {
    for whole in [false, true] {
        let text = plain(whole, Some(80), &changes()?);
        assert!(!text.contains("0a1b") && !text.contains("2c3d"), "{text}");
    }
    Ok(())
}

#[test]
fn every_action_has_its_symbol() {
    let actions = [
        Action::Create,
        Action::Update,
        Action::Replace,
        Action::ReplaceCreateFirst,
        Action::Delete,
        Action::Forget,
        Action::Restore,
    ];
    let symbols: BTreeSet<_> = actions.map(|action| symbol(action).0).into_iter().collect();
    assert_eq!(symbols.len(), actions.len());
}
