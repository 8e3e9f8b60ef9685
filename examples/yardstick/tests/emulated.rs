//! Applies and destroys W(10) on the emulated AWS, and prints the number of calls by operation.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that prints what it measured")]

use std::collections::BTreeMap;
use std::path::Path;

use payinfra_tests::Bench;
use serde_json::json;

const N: usize = 10;

fn print_calls(title: &str, bench: &Bench) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for call in bench.aws.calls() {
        *counts.entry((call.service, call.action)).or_default() += 1;
    }
    println!("{title}: {} calls", counts.values().sum::<usize>());
    for ((service, action), count) in &counts {
        println!("{count:5} {service}:{action}");
    }
    bench.aws.clear_calls();
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn w10_applies_plans_empty_and_is_destroyed() {
    let program = Path::new(env!("CARGO_BIN_EXE_yardstick"));
    let bench = Bench::of(program, include_str!("../payinfra.toml")).await;
    bench.run(&["apply", "--yes"]).ok();
    let applied = print_calls("apply of W(10)", &bench);
    let count = |service: &str, action: &str| {
        let key = (service.to_owned(), action.to_owned());
        applied.get(&key).copied().unwrap_or_default()
    };
    // No create is repeated.
    assert_eq!(count("ec2", "CreateVpc"), 1);
    for (service, action) in
        [("ec2", "CreateSubnet"), ("ec2", "CreateSecurityGroup"), ("iam", "CreateRole"), ("logs", "CreateLogGroup")]
    {
        assert_eq!(count(service, action), N, "{service}:{action}");
    }
    let state = bench.state("ten");
    let resources = state["resources"].as_object().unwrap();
    // A VPC, a key and its alias, and seven kinds; the rules belong to their groups.
    assert_eq!(resources.len(), 3 + 7 * N);
    bench.aws.clear_calls();
    bench.run(&["plan", "--exit-code"]).ok();
    print_calls("empty plan of W(10)", &bench);
    bench.run(&bench.consenting(&["destroy"])).ok();
    print_calls("destroy of W(10)", &bench);
    assert_eq!(bench.state("ten")["resources"], json!({}));
}
