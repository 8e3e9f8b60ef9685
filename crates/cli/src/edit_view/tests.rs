use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The widths at which everything is tried; `None` is a file or a pipe.
const WIDTHS: [Option<usize>; 5] = [Some(20), Some(80), Some(120), Some(200), None];

fn shown(width: Option<usize>, old: &Value, new: &Value) -> String {
    let mut page = Page::new(width);
    field(&mut page, 8, "field", (old, new), Declared::New, "");
    anstream::adapter::strip_str(&page.text()).to_string()
}

/// A policy with these actions in its second statement, on this resource.
fn policy(actions: &[&str], on: &Value) -> Value {
    let statement = |sid: &str, actions: &[&str], on: &Value| json!({ "sid": sid, "effect": "Allow", "principals": {}, "actions": actions, "resources": [on], "conditions": {} });
    let keys = json!("arn:aws:kms:us-east-1:123456789012:key/mrk-0123456789abcdef0123456789abcdef");
    json!([statement("Keys", &["kms:Decrypt", "kms:GenerateDataKey"], &keys), statement("Read", actions, on)])
}

fn rule(port: u16, cidr: &str) -> Value {
    json!({ "protocol": { "tcp": [port, port] }, "peer": { "cidr": cidr }, "description": "From the load balancer" })
}

fn dashboard(period: u16, title: &str) -> Value {
    let widget = |title: &str, period| {
        let metrics = json!([[
            "AWS/ApplicationELB",
            "HTTPCode_Target_5XX_Count",
            "LoadBalancer",
            "app/payments/0123456789abcdef"
        ]]);
        json!({ "type": "metric", "properties": { "title": title, "period": period, "metrics": metrics } })
    };
    json!({ "widgets": [widget("Latency", 60), widget(title, period), widget("Running tasks", 60)] })
}

fn container(image: &str, log_level: &str) -> Value {
    let environment = json!([{ "name": "LOG_LEVEL", "value": log_level }, { "name": "REGION", "value": "us-east-1" }]);
    json!(json!([{ "name": "service", "image": image, "environment": environment, "essential": true }]).to_string())
}

fn script(line: &str) -> Value {
    json!(
        [
            "#!/bin/sh",
            "set -eu",
            "yum update -y",
            "yum install -y amazon-cloudwatch-agent",
            line,
            "systemctl start it",
            ""
        ]
        .join("\n")
    )
}

/// The rows: what changes, from what, to what, and what has to be shown of both.
fn rows() -> Vec<(&'static str, Value, Value, &'static str, &'static str)> {
    let bucket = |name: &str| json!(format!("arn:aws:s3:::{name}/*"));
    let new_bucket = json!({ "$text": ["arn:aws:s3:::", { "$ref": "us-east-1/s3.bucket/logs#name" }, "/*"] });
    let arn = |account: &str| {
        json!(format!(
            "arn:aws:elasticloadbalancing:us-east-1:{account}:loadbalancer/app/payments-production-blue/0123456789abcdef"
        ))
    };
    let words = |word: &str| json!(format!("{} {word} {}", "lorem ipsum dolor ".repeat(12), "sit amet ".repeat(12)));
    let pattern =
        |source: &str| json!(json!({ "source": [source], "detail-type": ["RDS DB Cluster Event"] }).to_string());
    let long = |end: &str| json!(format!("{}{end}", "x".repeat(300)));
    vec![
        ("a number", json!(7), json!(30), "7", "30"),
        ("a bool", json!(true), json!(false), "true", "false"),
        ("a text", json!("old"), json!("new"), "old", "new"),
        ("a text with spaces", json!("a b"), json!("a  b"), "\"a b\"", "\"a  b\""),
        ("null to a value", json!(null), json!("db.r8g.large"), "", "+ field: db.r8g.large"),
        ("a value to null", json!("db.r8g.large"), json!(null), "- field: db.r8g.large", ""),
        ("a number to its text", json!(1), json!("1"), "1 →", "\"1\""),
        ("a list to null", json!(["a"]), json!(null), "- field: [a]", ""),
        ("a value to an object", json!("all"), json!({ "tcp": [443, 443] }), "all", "{tcp: [443, 443]}"),
        ("the end of a long word", long("a"), long("b"), "xa", "xb"),
        (
            "a CIDR in a list",
            json!(["10.0.0.0/16", "10.1.0.0/16"]),
            json!(["10.0.0.0/16", "10.2.0.0/16"]),
            "- 10.1.0.0/16",
            "+ 10.2.0.0/16",
        ),
        ("the order of a list", json!(["a", "b", "c"]), json!(["a", "c", "b"]), "b, c →", "c, b"),
        ("an item twice", json!(["a", "a"]), json!(["a"]), "- a", "1 unchanged"),
        (
            "the port of a rule",
            json!([rule(443, "10.0.0.0/8")]),
            json!([rule(8443, "10.0.0.0/8")]),
            "[443, 443]",
            "[8443, 8443]",
        ),
        (
            "the peer of a rule",
            json!([rule(443, "10.0.0.0/8")]),
            json!([rule(443, "0.0.0.0/0")]),
            "10.0.0.0/8",
            "0.0.0.0/0",
        ),
        (
            "an action of a statement",
            policy(&["s3:GetObject"], &bucket("logs")),
            policy(&["s3:GetObject", "s3:PutObject"], &bucket("logs")),
            "Read",
            "+ s3:PutObject",
        ),
        (
            "the resource of a statement",
            policy(&["s3:GetObject"], &bucket("logs")),
            policy(&["s3:GetObject"], &json!("*")),
            "- arn:aws:s3:::logs/*",
            "+ *",
        ),
        (
            "a resource that is not known yet",
            policy(&["s3:GetObject"], &bucket("logs")),
            policy(&["s3:GetObject"], &new_bucket),
            "arn:aws:s3:::logs/*",
            "arn:aws:s3:::‹us-east-1/s3.bucket/logs#name›/*",
        ),
        (
            "a statement",
            policy(&[], &bucket("a")),
            json!([policy(&[], &bucket("a"))[1]]),
            "kms:GenerateDataKey",
            "1 unchanged",
        ),
        (
            "a statement in a document",
            json!(json!({ "Statement": policy(&["s3:Get*"], &bucket("logs")) }).to_string()),
            json!(json!({ "Statement": policy(&["s3:*"], &bucket("logs")) }).to_string()),
            "- s3:Get*",
            "+ s3:*",
        ),
        ("the account of an ARN", arn("111122223333"), arn("444455556666"), "111122223333", "444455556666"),
        (
            "the account of an ARN in a list",
            json!([arn("111122223333")]),
            json!([arn("444455556666")]),
            "111122223333",
            "444455556666",
        ),
        ("a widget's period", dashboard(60, "Errors"), dashboard(300, "Errors"), "60", "300"),
        ("a widget's title", dashboard(60, "Errors"), dashboard(60, "Failures"), "Errors", "Failures"),
        (
            "a dashboard as text",
            json!(dashboard(60, "Errors").to_string()),
            json!(dashboard(300, "Errors").to_string()),
            "60",
            "300",
        ),
        (
            "an image",
            container("payments:1.4.2", "info"),
            container("payments:1.4.3", "info"),
            "payments:1.4.2",
            "payments:1.4.3",
        ),
        ("an environment variable", container("payments:1", "info"), container("payments:1", "debug"), "info", "debug"),
        ("an event pattern", pattern("aws.rds"), pattern("aws.ecs"), "aws.rds", "aws.ecs"),
        ("the form of a document", json!("{\"a\":1}"), json!("{\"a\": 1}"), ":1}", ": 1}"),
        ("a null in a document", json!("{\"a\":null}"), json!("{\"a\":1}"), "(none)", "1"),
        ("a word of a long text", words("before"), words("after"), "before", "after"),
        ("a line of a script", script("start --old"), script("start --new"), "--old", "--new"),
        ("a line that is added", script("one"), script("one\ntwo"), "one", "+ two"),
        ("the last line break", json!("a\nb"), json!("a\nb\n"), "b", "+"),
        (
            "a reference",
            json!("vpc-0123456789abcdef0"),
            json!({ "$ref": "us-east-1/ec2.vpc/main#id" }),
            "vpc-0123456789abcdef0",
            "‹us-east-1/ec2.vpc/main#id›",
        ),
        (
            "another reference",
            json!({ "$ref": "us-east-1/ec2.vpc/main#id" }),
            json!({ "$ref": "us-east-1/ec2.vpc/other#id" }),
            "vpc/main#id",
            "vpc/other#id",
        ),
        ("a secret", json!({ "$hash": "0a1b2c" }), json!({ "$hash": "3d4e5f" }), "(secret) →", "(new secret)"),
        (
            "a secret in a list",
            json!([{ "name": "A", "value": { "$hash": "0a1b2c" } }]),
            json!([{ "name": "A", "value": { "$secret": "hunter2" } }]),
            "(secret)",
            "(new secret)",
        ),
        (
            "a secret made of an output",
            json!({ "$hash": "0a1b2c" }),
            json!({ "$pending": [{ "$ref": "r/rds.cluster/main#endpoint" }] }),
            "(secret) →",
            "(new secret)",
        ),
    ]
}

#[test]
fn both_sides_of_every_change_are_shown() {
    for (what, old, new, was, is) in rows() {
        for width in WIDTHS {
            let text = shown(width, &old, &new);
            // Lines are broken at spaces.
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let has = |part: &str| text.contains(part) || words.contains(part);
            assert!(has(was) && has(is), "{what}, {width:?}: `{was}` and `{is}` in\n{text}");
            assert!(is == "(new secret)" || text != shown(width, &new, &old), "{what}: both sides look the same");
            for secret in ["hunter2", "0a1b2c", "3d4e5f", "rds.cluster"] {
                assert!(!text.contains(secret), "{what}, {width:?}:\n{text}");
            }
        }
    }
}

#[test]
fn what_does_not_differ_is_left_out() {
    let text = shown(Some(80), &dashboard(60, "Errors"), &dashboard(300, "Errors"));
    assert!(!text.contains("Latency") && text.lines().count() <= 3, "{text}");
    let text = shown(Some(80), &script("start --old"), &script("start --new"));
    assert!(!text.contains("set -eu") && text.contains('…'), "{text}");
}

/// Texts that are alike, so that the ways to find what differs are tried.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{0,3}",
        "[ab ]{60,90}",
        "arn:aws:s3:::[ab]{1,3}/[ab]{1,60}",
        "[ab]\n[ab]{0,2}\n[ab]",
        Just("1".to_owned()),
        Just("true".to_owned()),
        Just("(none)".to_owned()),
        Just(r#"{"a":1}"#.to_owned()),
        Just(r#"[{"a":"b"}]"#.to_owned()),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let keys = prop_oneof![Just("name"), Just("sid"), Just("a"), Just("b")].prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    /// If both sides of a change looked the same, so would the change back.
    #[test]
    fn any_difference_can_be_seen(old in values(), new in values(), width in 0..WIDTHS.len()) {
        prop_assume!(old != new);
        let shown = |old: &Value, new: &Value| {
            let mut page = Page::new(WIDTHS[width]);
            field(&mut page, 8, "field", (old, new), Declared::Neither, "");
            page.text()
        };
        prop_assert_ne!(shown(&old, &new), shown(&new, &old));
    }
}
