//! Outputs of one workspace, read by another.

use payinfra_tests::Bench;

/// Two workspaces with one region each and separate networks; the first is the legacy network of the second.
fn configure(bench: &Bench, outputs: &str, more: &str) {
    let shared = "environment = \"test\"\nphase = \"legacy\"\n";
    bench.configure(&format!(
        "stack = \"migration\"\n[defaults]\nproject = \"payments\"\nsuffix = \"demo1\"\n\
         cutover = 2026-03-01T02:00:00Z\nservice.auth = \"none\"\ndomain.zone = \"payments.test\"\nnat = \"single\"\n\
         [workspaces.old]\n{shared}regions = [{{ name = \"us-east-1\", cidr = \"10.8.0.0/16\" }}]\n\
         [workspaces.new]\n{shared}regions = [{{ name = \"us-east-1\", cidr = \"10.9.0.0/16\" }}]\n\
         [workspaces.new.remote_outputs.old]\nworkspace = \"old\"\noutputs = [{outputs}]\n{more}\n"
    ));
}

/// The stored state of `workspace`.
async fn stored(bench: &Bench, workspace: &str) -> (String, serde_json::Value) {
    let key = format!("migration/{workspace}/state.json");
    let object = bench.s3("us-east-1").get_object().bucket("payinfra-state-123456789012").key(key);
    let object = object.send().await.unwrap();
    let version = object.version_id().unwrap_or_default().to_owned();
    (version, serde_json::from_slice(&object.body.collect().await.unwrap().to_vec()).unwrap())
}

/// M-29: a workspace reads outputs of another one, uses them, follows their changes, and never writes to the other
/// state.
#[tokio::test(flavor = "multi_thread")]
async fn m29_a_workspace_reads_what_another_gives_away() {
    let bench = Bench::new().await;
    configure(&bench, "\"vpc_id_us_east_1\", \"phase\"", "");
    bench.aws.clear_calls();
    let early = bench.run(&["apply", "--workspace", "new", "--yes"]).expect(1);
    for told in ["workspace `old` of stack `migration` has no state", "apply that workspace first"] {
        assert!(early.stderr.contains(told), "`{told}` is not in:\n{}", early.stderr);
    }
    assert!(bench.aws.calls().iter().all(|call| !call.mutating), "nothing is created before the outputs are known");

    bench.run(&["apply", "--workspace", "old", "--yes"]).ok();
    let vpc = bench.outputs("old")["vpc_id_us_east_1"].clone();
    let before = stored(&bench, "old").await;
    configure(
        &bench,
        "\"vpc_id_us_east_1\", \"phase\"",
        "[workspaces.new.legacy_network]\ncidrs = [\"10.8.0.0/16\"]\nsubnets = { vpc = \"remote.old.vpc_id_us_east_1\" }",
    );
    bench.run(&["apply", "--workspace", "new", "--yes"]).ok();
    let outputs = bench.outputs("new");
    assert_eq!(outputs["remote_old_vpc_id_us_east_1"], vpc);
    assert_eq!(outputs["remote_old_phase"], "legacy");
    assert_eq!(outputs["legacy_vpc_id"], vpc, "it is used: its subnets are found");
    bench.run(&["plan", "--workspace", "new", "--exit-code"]).ok();
    assert_eq!(stored(&bench, "old").await, before, "it is only read");

    // The other workspace is applied and its outputs change: the next apply here updates its outputs, and creates
    // nothing.
    let mut state = before.1;
    state["outputs"]["phase"] = "production".into();
    let put = bench.s3("us-east-1").put_object().bucket("payinfra-state-123456789012");
    let put = put.key("migration/old/state.json").body(state.to_string().into_bytes().into());
    put.send().await.unwrap();
    bench.aws.clear_calls();
    bench.run(&["apply", "--workspace", "new", "--yes"]).ok();
    assert_eq!(bench.outputs("new")["remote_old_phase"], "production");
    assert!(bench.mutations().is_empty(), "{:#?}", bench.mutations());

    configure(&bench, "\"no_such_output\"", "");
    let lacking = bench.run(&["plan", "--workspace", "new"]).expect(1);
    assert!(lacking.stderr.contains("has no output `no_such_output`"), "{}", lacking.stderr);
    assert!(lacking.stderr.contains("vpc_id_us_east_1"), "the available outputs are listed: {}", lacking.stderr);
}
