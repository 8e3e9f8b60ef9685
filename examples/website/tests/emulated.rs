//! Applies and destroys the example on the emulated AWS.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use payinfra_tests::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn the_website_applies_plans_empty_and_is_destroyed() {
    let program = Path::new(env!("CARGO_BIN_EXE_website"));
    let bench = Bench::of(program, include_str!("../payinfra.toml")).await;
    bench.run(&["apply", "--yes"]).ok();
    bench.run(&["plan", "--exit-code"]).ok();
    assert!(bench.outputs("demo")["publisher_arn_us_east_1"].is_string());
    bench.run(&bench.consenting(&["destroy"])).ok();
    assert_eq!(bench.state("demo")["resources"], serde_json::json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_publisher_is_reported_with_its_place() {
    let wrong = include_str!("../payinfra.toml").replace("codebuild.amazonaws.com", "codebuild");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("payinfra.toml"), wrong).unwrap();
    let program = env!("CARGO_BIN_EXE_website");
    let output = std::process::Command::new(program).arg("validate").current_dir(folder.path()).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("payinfra.toml:9:13") && said.contains("`codebuild` is not a service of AWS"), "{said}");
}
