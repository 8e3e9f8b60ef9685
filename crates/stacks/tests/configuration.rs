//! What is wrong in a configuration is said before any call: one message, the place, and the fix.

#![expect(clippy::unwrap_used, reason = "a test")]

use payinfra_stacks::{Configuration, Phase, build};

/// A good configuration in which one line can be replaced.
const GOOD: &str = r#"stack = "migration"
[aws]
account_ids = ["123456789012"]
[state]
bucket = "states"
[defaults]
project = "payments"
suffix = "abc123"
cutover = "2026-03-01T02:00:00Z"
regions = [
    { name = "us-east-1", cidr = "10.0.0.0/16" },
    { name = "us-east-2", cidr = "10.1.0.0/16" },
]
[workspaces.legacy]
environment = "old"
legacy_network = { cidrs = ["192.168.0.0/16"], security_groups = { web = { name = "web" } } }
[workspaces.migration]
environment = "new"
"#;

fn parse(text: &str) -> Configuration {
    Configuration::parse(text, "payinfra.toml").unwrap()
}

/// Checks what is said when `good` is replaced by `bad`, and that the place is where `at` stands.
#[track_caller]
fn check(good: &str, bad: &str, at: &str, message: &str, hint: &str) {
    let text = GOOD.replacen(good, bad, 1);
    assert_ne!(text, GOOD, "nothing was replaced");
    let error = Configuration::parse(&text, "payinfra.toml").unwrap_err();
    assert_eq!((error.message.as_str(), error.hint.as_deref().unwrap_or_default()), (message, hint));
    let span = error.span.clone().unwrap();
    assert!(text[span.clone()].starts_with(at), "the place is `{}`", &text[span.clone()]);
    let line = text[..span.start].matches('\n').count() + 1;
    assert!(error.to_string().starts_with(&format!("payinfra.toml:{line}:")), "{error}");
}

#[test]
fn m01_a_workspace_has_its_own_variables_and_the_shared_ones() {
    let configuration = parse(GOOD);
    let legacy = configuration.workspace("legacy").unwrap();
    assert_eq!(
        (legacy.phase, legacy.environment.as_str(), legacy.project.as_str()),
        (Phase::Legacy, "old", "payments")
    );
    assert_eq!(legacy.regions().len(), 1);
    let migration = configuration.workspace("migration").unwrap();
    assert_eq!(migration.regions().iter().map(|region| region.weight).collect::<Vec<_>>(), [90, 10]);
}

#[test]
fn m01_an_undeclared_workspace_is_refused() {
    let error = parse(GOOD).workspace("staging").unwrap_err();
    assert_eq!(error.message, "there is no workspace `staging`; declared are legacy, migration");
    let error = build(&parse(GOOD), "staging", "123456789012").unwrap_err();
    assert!(error.message().contains("declared are legacy, migration"), "{error}");
}

#[test]
fn malformed_toml_is_refused() {
    let error = Configuration::parse("stack = \"migration\"\n[aws\n", "payinfra.toml").unwrap_err();
    assert!(error.to_string().starts_with("payinfra.toml:2:5: "), "{error}");
    let error = Configuration::parse("", "payinfra.toml").unwrap_err();
    assert!(error.message.contains("missing field `stack`"), "{error}");
}

#[test]
fn an_unknown_key_is_refused() {
    for (good, bad) in [
        ("project =", "projekt = \"p\"\nproject ="),
        ("bucket =", "buckets = \"p\"\nbucket ="),
        ("account_ids =", "accounts = []\naccount_ids ="),
        ("cidr = \"10.1.0.0/16\"", "block = \"10.1.0.0/16\""),
        ("[defaults]", "[default]\n[defaults]"),
    ] {
        let error = Configuration::parse(&GOOD.replacen(good, bad, 1), "payinfra.toml").unwrap_err();
        assert!(error.message.starts_with("unknown field `"), "{error}");
        assert!(error.span.is_some(), "{error}");
    }
}

#[test]
fn an_unknown_stack_is_refused() {
    check("\"migration\"", "\"trading\"", "\"trading\"", "there is no stack `trading`", "the stacks are: migration");
}

#[test]
fn x08_an_overlapping_cidr_is_refused() {
    check(
        "10.1.0.0/16",
        "10.0.16.0/20",
        "\"10.0.16.0/20\"",
        "the network 10.0.16.0/20 of us-east-2 overlaps 10.0.0.0/16, that of us-east-1",
        "the networks are connected: take a free block",
    );
}

#[test]
fn x08_a_cidr_that_overlaps_the_legacy_network_is_refused() {
    check(
        "10.1.0.0/16",
        "192.168.0.0/17",
        "\"192.168.0.0/17\"",
        "the network 192.168.0.0/17 of us-east-2 overlaps 192.168.0.0/16, the legacy network's",
        "the networks are connected: take a free block",
    );
}

#[test]
fn x08_a_public_cidr_is_refused() {
    check(
        "10.1.0.0/16",
        "11.1.0.0/16",
        "\"11.1.0.0/16\"",
        "`11.1.0.0/16` is not private",
        "take a block inside 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918)",
    );
}

#[test]
fn x08_an_unparseable_cidr_is_refused() {
    let hint = "write ADDRESS/LENGTH, such as 10.0.0.0/16";
    check("10.1.0.0/16", "10.1.0.0", "\"10.1.0.0\"", "`10.1.0.0` is not a CIDR block", hint);
    check("192.168.0.0/16", "192.168", "\"192.168\"", "`192.168` is not a CIDR block", hint);
}

#[test]
fn x08_a_cidr_too_small_for_three_zones_is_refused() {
    let error = Configuration::parse(&GOOD.replace("10.1.0.0/16", "10.1.0.0/24"), "payinfra.toml").unwrap_err();
    assert_eq!(error.message, "`10.1.0.0/24` does not fit subnets in 3 zones");
}

#[test]
fn x10_a_region_twice_is_refused() {
    check(
        "\"us-east-2\"",
        "\"us-east-1\"",
        "\"us-east-1\"",
        "the region us-east-1 is listed twice",
        "list each region once, the primary first",
    );
}

#[test]
fn x10_what_is_no_region_is_refused() {
    check("\"us-east-2\"", "\"us-east\"", "\"us-east\"", "`us-east` is not a region", "a region reads like us-east-1");
}

#[test]
fn x10_the_regions_have_defaults() {
    let text = GOOD.replace("regions = [\n", "").replace("    { name = \"us-east-1\", cidr = \"10.0.0.0/16\" },\n", "");
    let text = text.replace("    { name = \"us-east-2\", cidr = \"10.1.0.0/16\" },\n]\n", "");
    let configuration = parse(&text);
    let regions = configuration.workspace("migration").unwrap().regions();
    let regions: Vec<_> = regions.iter().map(|region| format!("{} {}", region.region, region.cidr)).collect();
    assert_eq!(regions, ["us-east-1 10.0.0.0/16", "us-east-2 10.1.0.0/16"]);
}

#[test]
fn m02_a_second_region_must_be_there() {
    check(
        "    { name = \"us-east-2\", cidr = \"10.1.0.0/16\" },\n",
        "",
        "[",
        "the phase migration needs a second region",
        "add one to `regions`, or stay in the phase legacy",
    );
}

#[test]
fn m02_an_unknown_phase_is_refused() {
    let text = GOOD.replace("environment = \"new\"", "environment = \"new\"\nphase = \"later\"");
    let error = Configuration::parse(&text, "payinfra.toml").unwrap_err();
    assert_eq!(error.message, "unknown variant `later`, expected one of `legacy`, `migration`, `production`");
    assert_eq!(error.position.unwrap().0, 19);
}

#[test]
fn m02_a_workspace_of_another_name_needs_a_phase() {
    check(
        "[workspaces.migration]",
        "[workspaces.blue]",
        "blue",
        "workspace `blue` has no `phase`",
        "set it to legacy, migration or production",
    );
}

#[test]
fn m02_legacy_has_no_weight_for_the_second_region() {
    check(
        "environment = \"old\"",
        "environment = \"old\"\nweights = { us-east-1 = 90, us-east-2 = 10 }",
        "us-east-2",
        "us-east-2 has a weight, but does not exist in the phase legacy",
        "in the phase legacy all traffic goes to the primary region; remove `weights`",
    );
}

#[test]
fn m02_weights_are_per_cent_of_known_regions() {
    check(
        "environment = \"new\"",
        "environment = \"new\"\nweights = { us-east-1 = 90, us-east-2 = 20 }",
        "{",
        "the weights are together 110",
        "they are per cent: together 100",
    );
    check(
        "environment = \"new\"",
        "environment = \"new\"\nweights = { us-east-1 = 90, us-west-2 = 10 }",
        "us-west-2",
        "`us-west-2` has a weight but is not among the regions",
        "weights are given by the names in `regions`",
    );
}

#[test]
fn x01_a_missing_suffix_is_refused() {
    check(
        "suffix = \"abc123\"\n",
        "",
        "legacy",
        "workspace `legacy` has no `suffix`: every name carries it",
        "set it under [workspaces.legacy] or [defaults]",
    );
}

#[test]
fn x01_a_bucket_name_over_63_characters_is_refused() {
    let error = Configuration::parse(&GOOD.replace("abc123", "abcdefghijklmnopqrstuvwxyz"), "payinfra.toml");
    let error = error.unwrap_err();
    assert!(error.message.starts_with("the bucket name `payment-"), "{error}");
    assert!(error.message.ends_with("characters, and AWS takes 63"), "{error}");
    assert_eq!(error.position.unwrap().0, 8);
}

#[test]
fn x01_a_suffix_that_no_name_takes_is_refused() {
    check(
        "abc123",
        "ABC_1",
        "\"ABC_1\"",
        "`ABC_1` cannot be a suffix: it goes into the names of buckets",
        "use lower-case letters, digits and inner hyphens",
    );
}

#[test]
fn x02_a_missing_required_tag_is_refused() {
    let hint = "set it under [workspaces.legacy] or [defaults]";
    for (line, message) in [
        ("project = \"payments\"\n", "workspace `legacy` has no `project`: it is the tag Project"),
        ("cutover = \"2026-03-01T02:00:00Z\"\n", "workspace `legacy` has no `cutover`: it is the tag CutoverTimestamp"),
        ("environment = \"old\"\n", "workspace `legacy` has no `environment`: it is the tag Environment"),
    ] {
        check(line, "", "legacy", message, hint);
    }
    check("\"payments\"", "\"\"", "\"\"", "`project` cannot be a tag", "it takes 1 to 256 characters");
}

#[test]
fn x02_a_required_tag_cannot_be_overridden() {
    check(
        "environment = \"old\"",
        "environment = \"old\"\ntags = { ManagedBy = \"me\" }",
        "ManagedBy",
        "the tag `ManagedBy` is not free",
        "payinfra or AWS sets it; take another key",
    );
}

#[test]
fn m05_a_time_that_is_none_is_refused() {
    let hint = "write date, time and zone (RFC 3339), such as 2026-03-01T02:00:00Z";
    let good = "\"2026-03-01T02:00:00Z\"";
    check(good, "\"tomorrow\"", "\"tomorrow\"", "`tomorrow` is not a point in time", hint);
    check(good, "2026-03-01", "2026-03-01", "`2026-03-01` is not a point in time", hint);
}

#[test]
fn m05_a_time_is_written_as_tomls_own_or_as_a_string() {
    for written in ["2026-03-01T02:00:00Z", "2026-03-01T03:00:00+01:00", "\"2026-03-01T03:00:00+01:00\""] {
        let configuration = parse(&GOOD.replace("\"2026-03-01T02:00:00Z\"", written));
        assert_eq!(configuration.workspaces["legacy"].cutover.to_string(), "2026-03-01T02:00:00Z");
    }
}

#[test]
fn m09_a_lookup_of_everything_is_refused() {
    check(
        "{ name = \"web\" }",
        "{}",
        "web",
        "this would find everything in the region",
        "say what to find: an id, a name or a tag",
    );
}

#[test]
fn a_period_that_aws_does_not_take_is_refused() {
    for (line, message) in [
        ("flow_log_retention_days = 91", "CloudWatch Logs does not keep logs for 91 days"),
        ("key_deletion_days = 6", "KMS does not wait 6 days"),
    ] {
        let text = GOOD.replace("environment = \"new\"", &format!("environment = \"new\"\n{line}"));
        assert_eq!(Configuration::parse(&text, "payinfra.toml").unwrap_err().message, message);
    }
}

#[test]
fn what_is_no_account_is_refused() {
    let error = Configuration::parse(&GOOD.replace("123456789012", "1234"), "payinfra.toml").unwrap_err();
    assert_eq!(error.message, "`1234` is not an account id: it has twelve digits, in quotes");
    assert!(build(&parse(GOOD), "legacy", "1234").is_err());
}

#[test]
fn the_state_is_in_one_place() {
    let error = Configuration::parse(&GOOD.replace("[state]", "[state]\npath = \".\""), "payinfra.toml").unwrap_err();
    assert_eq!(error.message, "the state is kept either in a folder or in a bucket, not in both");
}

#[test]
fn the_schema_is_what_editors_get() {
    insta::assert_json_snapshot!("schema", payinfra_stacks::schema());
}
