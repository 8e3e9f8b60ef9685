//! The drift detector in the graph of each stack.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::io::{Cursor, Read};

use payinfra_aws::iam::Role;
use payinfra_aws::{Effect, reads};
use payinfra_components::graph as build;
use payinfra_engine::{Address, Graph, Text};
use payinfra_stack::Configuration;
use payinfra_stacks::STACKS;
use serde_json::json;

/// An example of a stack, the header of a workspace, the workspace, and what its names begin and end with.
const EXAMPLES: [(&str, &str, (&str, &str)); 4] = [
    (include_str!("../src/global_payments/payinfra.toml"), "dev", ("payment-demo1-", "")),
    (include_str!("../../../payinfra.toml"), "legacy", ("payment-", "-legacy-abc123")),
    (include_str!("../src/trading/payinfra.toml"), "dev", ("", "-trdev")),
    (include_str!("../src/peered_payments/payinfra.toml"), "dev", ("", "-ppdev")),
];
const DETECTOR: &str = "[defaults.drift_detector]\npackage = \"drift-detector.zip\"\n";

fn read(configuration: &str) -> Result<Configuration, String> {
    let open = |_: &_| Ok(Box::new(Cursor::new(b"package")) as Box<dyn Read>);
    Configuration::open(configuration, "payinfra.toml", STACKS, &open).map_err(|error| error.to_string())
}

/// The example with these lines after its own.
fn with(example: &str, lines: &str) -> String {
    format!("{example}\n{lines}")
}

fn graph(configuration: &str, workspace: &str) -> Graph {
    build(&read(configuration).unwrap(), workspace, "123456789012").unwrap()
}

/// The addresses and the arguments that the detector adds or changes.
fn added(example: &str, workspace: &str) -> (Graph, BTreeSet<Address>, BTreeSet<Address>) {
    let (without, with) = (graph(example, workspace), graph(&with(example, DETECTOR), workspace));
    let new = with.nodes().keys().filter(|address| !without.nodes().contains_key(address)).cloned().collect();
    let changed = without.nodes().iter().filter(|(address, node)| with.nodes().get(address) != Some(node));
    let changed = changed.map(|(address, _)| address.clone()).collect();
    (with, new, changed)
}

/// T-08: a variable deploys the detector in any stack; of what exists, only the policy of the key of its logs changes.
#[test]
fn t08_a_variable_deploys_the_detector_in_any_stack() {
    for (example, workspace, _) in EXAMPLES {
        let (_, new, changed) = added(example, workspace);
        let new: Vec<_> = new.iter().map(ToString::to_string).collect();
        let expected = [
            "global/iam.role/drift-detector-us-east-1",
            "us-east-1/cloudwatch.alarm/drift",
            "us-east-1/cloudwatch.alarm/drift-detector-errors",
            "us-east-1/cloudwatch.alarm/drift-detector-silent",
            "us-east-1/eventbridge.rule/drift-detector",
            "us-east-1/eventbridge.target/drift-detector",
            "us-east-1/lambda.alias/drift-detector-live",
            "us-east-1/lambda.function/drift-detector",
            "us-east-1/lambda.permission/drift-detector",
            "us-east-1/lambda.version/drift-detector",
            "us-east-1/logs.log-group/drift-detector",
        ];
        assert_eq!(new, expected);
        assert!(changed.len() == 1 && changed.iter().all(|it| *it.kind == *"kms.key"), "{changed:?}");
    }
}

#[test]
fn t08_the_detector_knows_where_the_state_is_and_runs_on_its_schedule() {
    let (example, workspace, (before, after)) = EXAMPLES[2];
    let text = with(example, DETECTOR).replacen("[state]", "[state]\nbucket = \"ours\"\nregion = \"eu-west-1\"", 1);
    let graph = graph(&format!("{text}every_minutes = 30\n"), workspace);
    let args = |address: &str| &graph.nodes()[&format!("us-east-1/{address}").parse().unwrap()].args;
    let variable = |name: &str| args("lambda.function/drift-detector")["environment"][name]["$secret"].clone();
    let found = ["LOCK_TABLE", "STACK", "STATE_BUCKET", "STATE_REGION", "WORKSPACE"].map(variable);
    assert_eq!(found, ["payinfra-locks", "trading", "ours", "eu-west-1", "dev"].map(|text| json!(text)));
    assert_eq!(args("eventbridge.rule/drift-detector")["on"], json!({ "schedule": "rate(30 minutes)" }));
    assert_eq!(args("eventbridge.rule/drift-detector")["name"], json!(format!("{before}drift-detector{after}")));
    assert_eq!(
        args("eventbridge.target/drift-detector")["arn"],
        json!({ "$ref": "us-east-1/lambda.alias/drift-detector-live#arn" })
    );
    let silent = args("cloudwatch.alarm/drift-detector-silent");
    assert_eq!((&silent["watch"]["metric"]["period"], &silent["missing"]), (&json!(3_600), &json!("breaching")));
}

/// the role reads the services of the graph, and writes its report, its logs and metrics of one namespace.
#[test]
fn x04_the_role_of_the_detector_can_only_read() {
    for (example, workspace, _) in EXAMPLES {
        let (graph, ..) = added(example, workspace);
        let args = &graph.nodes()[&"global/iam.role/drift-detector-us-east-1".parse().unwrap()].args;
        let role: Role = serde_json::from_value(args.clone()).unwrap();
        let policy = &role.inline["drift-detector"];
        assert!(args["inline"].to_string().len() < 10_240, "IAM's limit for the policies of a role");
        let kinds: Vec<_> = graph.nodes().keys().map(|address| address.kind.to_string()).collect();
        let reading = reads(kinds.iter().map(String::as_str));
        assert!(policy.statements().all(|statement| statement.effect == Effect::Allow));
        let others = policy.statements().flat_map(|it| &it.actions).filter(|action| !reading.contains(&***action));
        let others: BTreeSet<_> = others.map(String::as_str).filter(|it| *it != "s3:ListBucket").collect();
        let expected = [
            "cloudwatch:PutMetricData",
            "dynamodb:GetItem",
            "kms:Decrypt",
            "kms:GenerateDataKey",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "s3:GetObject",
            "s3:PutObject",
        ];
        assert_eq!(others, expected.into());
        let on_all = policy.statements().filter(|statement| statement.resources.contains(&Text::from("*")));
        assert_eq!(on_all.map(|statement| &*statement.sid).collect::<BTreeSet<_>>(), ["Publish", "Read"].into());
    }
}

#[test]
fn t08_wrong_variables_of_the_detector_are_refused() {
    for (example, ..) in EXAMPLES {
        let refused = |text: &str| read(text).err().unwrap_or_default();
        for (line, message) in [
            ("every_minutes = 14", "`every_minutes`"),
            ("every_minutes = 721", "`every_minutes`"),
            ("memory = 128", "`memory`"),
            ("every = 1", "unknown"),
        ] {
            let error = refused(&with(example, &format!("{DETECTOR}{line}\n")));
            assert!(error.contains(message), "{line}: {error}");
        }
        let error = refused(&with(example, "[defaults.drift_detector]\n"));
        assert!(error.contains("package"), "{error}");
        let (state, folder) = ("[state]\n", "[state]\npath = \"states\"\n");
        assert!(example.contains(state));
        let error = refused(&with(&example.replacen(state, folder, 1), DETECTOR));
        assert!(error.contains("a drift detector cannot read a state that is stored in a folder"), "{error}");
    }
}
