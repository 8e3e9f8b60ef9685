//! Errors in a configuration are reported before any call: a message, the place, and a hint.

#![expect(clippy::unwrap_used, reason = "a test")]

use payinfra_components::graph as build;
use payinfra_engine::Region;
use payinfra_stack::{Configuration, Workspace};
use payinfra_stacks::migration::{MigrationVariables, Settings};
use payinfra_stacks::{Migration, Phase, STACKS};

/// A valid configuration in which one line can be replaced.
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
service.auth = "none"
domain.zone = "payments.test"
[workspaces.legacy]
environment = "old"
legacy_network = { cidrs = ["192.168.0.0/16"], security_groups = { web = { name = "web" } } }
[workspaces.migration]
environment = "new"
"#;

fn parse(text: &str) -> Configuration {
    Configuration::parse(text, "payinfra.toml", STACKS).unwrap()
}

/// The typed workspace `name`.
fn typed(configuration: &Configuration, name: &str) -> Workspace<MigrationVariables> {
    configuration.workspace(name).unwrap().typed().cloned().unwrap()
}

/// The settings of the workspace `name`.
fn settings(configuration: &Configuration, name: &str) -> Settings {
    Settings::of(&typed(configuration, name)).unwrap()
}

/// Checks the error when `good` is replaced by `bad`, and that its place starts with `at`.
#[track_caller]
fn check(good: &str, bad: &str, at: &str, message: &str, hint: &str) {
    let text = GOOD.replacen(good, bad, 1);
    assert_ne!(text, GOOD, "nothing was replaced");
    let error = Configuration::parse(&text, "payinfra.toml", STACKS).unwrap_err();
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
        (settings(&configuration, "legacy").phase, legacy.environment.as_str(), legacy.project.as_str()),
        (Phase::Legacy, "old", "payments")
    );
    assert_eq!(settings(&configuration, "legacy").regions.len(), 1);
    let migration = settings(&configuration, "migration");
    assert_eq!(migration.weights.into_values().collect::<Vec<_>>(), [90, 10]);
}

#[test]
fn m01_an_undeclared_workspace_is_refused() {
    let error = parse(GOOD).workspace("staging").unwrap_err();
    assert_eq!(error.message, "workspace `staging` is not declared; declared workspaces: legacy, migration");
    let error = build(&parse(GOOD), "staging", "123456789012").unwrap_err();
    assert!(error.message().contains("declared workspaces: legacy, migration"), "{error}");
}

#[test]
fn malformed_toml_is_refused() {
    let error = Configuration::parse("stack = \"migration\"\n[aws\n", "payinfra.toml", STACKS).unwrap_err();
    assert!(error.to_string().starts_with("payinfra.toml:2:5: "), "{error}");
    let error = Configuration::parse("", "payinfra.toml", STACKS).unwrap_err();
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
        let error = Configuration::parse(&GOOD.replacen(good, bad, 1), "payinfra.toml", STACKS).unwrap_err();
        assert!(error.message.starts_with("unknown field `"), "{error}");
        assert!(error.span.is_some(), "{error}");
    }
}

#[test]
fn an_unknown_stack_is_refused() {
    check(
        "\"migration\"",
        "\"banking\"",
        "\"banking\"",
        "unknown stack `banking`",
        "available stacks: global-payments, graph, migration, peered-payments, trading",
    );
}

#[test]
fn x08_an_overlapping_cidr_is_refused() {
    check(
        "10.1.0.0/16",
        "10.0.16.0/20",
        "\"10.0.16.0/20\"",
        "the network 10.0.16.0/20 of us-east-2 overlaps 10.0.0.0/16, the network of us-east-1",
        "the networks are connected, so their blocks must not overlap; choose a free block",
    );
}

#[test]
fn x08_a_cidr_that_overlaps_the_legacy_network_is_refused() {
    check(
        "10.1.0.0/16",
        "192.168.0.0/17",
        "\"192.168.0.0/17\"",
        "the network 192.168.0.0/17 of us-east-2 overlaps 192.168.0.0/16, a block of the legacy network",
        "the networks are connected, so their blocks must not overlap; choose a free block",
    );
}

#[test]
fn x08_a_public_cidr_is_refused() {
    check(
        "10.1.0.0/16",
        "11.1.0.0/16",
        "\"11.1.0.0/16\"",
        "`11.1.0.0/16` is not a private block",
        "use a block inside 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918)",
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
    let error = Configuration::parse(&GOOD.replace("10.1.0.0/16", "10.1.0.0/24"), "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(error.message, "`10.1.0.0/24` has an unsupported size for subnets in 3 zones");
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
    check(
        "\"us-east-2\"",
        "\"us-east\"",
        "\"us-east\"",
        "`us-east` is not a region",
        "use a region name such as us-east-1",
    );
}

#[test]
fn x10_a_region_that_aws_does_not_have_is_refused() {
    check_starts("us-east-9", "`us-east-9` is not a region of AWS", "use one of af-south-1, ");
    for (region, partition) in [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"), ("us-iso-east-1", "aws-iso")]
    {
        let message = format!("{region} is in the partition {partition}, which payinfra does not support");
        check_starts(region, &message, "use regions of the partition aws, such as us-east-1");
    }
}

/// Checks the error of the second region, and the start of its hint.
#[track_caller]
fn check_starts(region: &str, message: &str, hint: &str) {
    let text = GOOD.replacen("us-east-2", region, 1);
    let error = Configuration::parse(&text, "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(error.message, message);
    assert!(error.hint.as_deref().is_some_and(|given| given.starts_with(hint)), "{:?}", error.hint);
    assert_eq!(&text[error.span.clone().unwrap()], format!("\"{region}\""));
}

#[test]
fn x10_the_regions_have_defaults() {
    let text = GOOD.replace("regions = [\n", "").replace("    { name = \"us-east-1\", cidr = \"10.0.0.0/16\" },\n", "");
    let text = text.replace("    { name = \"us-east-2\", cidr = \"10.1.0.0/16\" },\n]\n", "");
    let configuration = parse(&text);
    let regions = settings(&configuration, "migration").regions;
    let regions: Vec<_> = regions.iter().map(|region| format!("{} {}", region.region, region.cidr)).collect();
    assert_eq!(regions, ["us-east-1 10.0.0.0/16", "us-east-2 10.1.0.0/16"]);
}

#[test]
fn m02_a_second_region_must_be_there() {
    check(
        "    { name = \"us-east-2\", cidr = \"10.1.0.0/16\" },\n",
        "",
        "[",
        "the phase migration requires a second region",
        "add one to `regions`, or stay in the phase legacy",
    );
}

#[test]
fn m02_an_unknown_phase_is_refused() {
    let text = GOOD.replace("environment = \"new\"", "environment = \"new\"\nphase = \"later\"");
    let error = Configuration::parse(&text, "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(error.message, "unknown variant `later`, expected one of `legacy`, `migration`, `production`");
    assert_eq!(error.position.unwrap().0, 21);
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
        "us-east-2 has a weight, but is not used in the phase legacy",
        "in the phase legacy all traffic goes to the primary region; remove `weights`",
    );
}

#[test]
fn m02_weights_are_per_cent_of_known_regions() {
    check(
        "environment = \"new\"",
        "environment = \"new\"\nweights = { us-east-1 = 90, us-east-2 = 20 }",
        "{",
        "the weights add up to 110",
        "weights are percentages and must add up to 100",
    );
    check(
        "environment = \"new\"",
        "environment = \"new\"\nweights = { us-east-1 = 90, us-west-2 = 10 }",
        "us-west-2",
        "`us-west-2` has a weight, but is not listed in `regions`",
        "use the names in `regions`",
    );
}

#[test]
fn x01_a_missing_suffix_is_refused() {
    check(
        "suffix = \"abc123\"\n",
        "",
        "legacy",
        "workspace `legacy` has no `suffix`: it is part of every name",
        "set it under [workspaces.legacy] or [defaults]",
    );
}

#[test]
fn x01_a_bucket_name_over_63_characters_is_refused() {
    let error = Configuration::parse(&GOOD.replace("abc123", "abcdefghijklmnopqrstuvwxyz"), "payinfra.toml", STACKS);
    let error = error.unwrap_err();
    assert!(error.message.starts_with("the bucket name `payment-"), "{error}");
    assert!(error.message.ends_with("characters, but AWS accepts at most 63"), "{error}");
    assert_eq!(error.position.unwrap().0, 8);
}

/// The name of a bucket still has room because the workspace's name is short.
#[test]
fn x01_a_load_balancer_name_over_32_characters_is_refused() {
    let text = GOOD
        .replace("abc123", "abcdefghijklmnopqrst")
        .replace("[workspaces.legacy]", "[workspaces.l]\nphase = \"legacy\"");
    let error = Configuration::parse(&text, "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(
        error.message,
        "the load balancer name `alb-81044221-abcdefghijklmnopqrst` has 33 characters, but AWS accepts at most 32"
    );
    assert_eq!(error.hint.as_deref(), Some("shorten the suffix or the workspace's name by 1"));
}

#[test]
fn x01_a_suffix_that_no_name_takes_is_refused() {
    check(
        "abc123",
        "ABC_1",
        "\"ABC_1\"",
        "`ABC_1` is not a valid suffix: it is part of bucket names",
        "use lower-case letters, digits and inner hyphens",
    );
}

#[test]
fn x02_a_missing_required_tag_is_refused() {
    let hint = "set it under [workspaces.legacy] or [defaults]";
    for (line, message) in [
        ("project = \"payments\"\n", "workspace `legacy` has no `project`: it is the value of the tag Project"),
        (
            "cutover = \"2026-03-01T02:00:00Z\"\n",
            "workspace `legacy` has no `cutover`: it is the value of the tag CutoverTimestamp",
        ),
        ("environment = \"old\"\n", "workspace `legacy` has no `environment`: it is the value of the tag Environment"),
    ] {
        check(line, "", "legacy", message, hint);
    }
    let hint = "write a value for the tag `project`";
    check("\"payments\"", "\"\"", "\"\"", "`project` is empty", hint);
}

#[test]
fn x02_a_required_tag_cannot_be_overridden() {
    check(
        "environment = \"old\"",
        "environment = \"old\"\ntags = { ManagedBy = \"me\" }",
        "ManagedBy",
        "the tag `ManagedBy` is set by payinfra",
        "choose another key",
    );
}

/// The errors in `tags` of the workspace migration.
fn tag_errors(tags: &str) -> Vec<(String, Option<String>)> {
    let text = GOOD.replacen("environment = \"new\"\n", &format!("environment = \"new\"\n{tags}\n"), 1);
    match Configuration::parse(&text, "payinfra.toml", STACKS) {
        Ok(_) => Vec::new(),
        Err(error) => {
            std::iter::once(&*error).chain(&error.others).map(|it| (it.message.clone(), it.hint.clone())).collect()
        }
    }
}

/// The rules of all services together: IAM's characters and case, RDS's prefixes, S3's way of counting.
#[test]
fn m05_a_tag_that_some_service_refuses_is_refused() {
    let long = |count| "x".repeat(count);
    let characters = "some services accept only letters, digits, spaces and _ . : / = + - @";
    let reserved = "choose another key: payinfra or AWS sets tags with this prefix";
    for (key, value, message, hint) in [
        ("", "x", "a tag has no key".to_owned(), "write a key of 1 to 128 characters"),
        (
            &*long(129),
            "x",
            format!("the tag `{}` has 129 characters", long(129)),
            "AWS accepts at most 128; shorten it by 1",
        ),
        (
            "T",
            &*long(257),
            "the value of the tag `T` has 257 characters".to_owned(),
            "AWS accepts at most 256; shorten it by 1",
        ),
        // 129 characters outside the basic plane, with two UTF-16 units each.
        (
            "T",
            &*"𝒜".repeat(129),
            "the value of the tag `T` has 258 characters".to_owned(),
            "AWS accepts at most 256; shorten it by 2",
        ),
        ("a,b", "x", "the tag `a,b` has the character ','".to_owned(), characters),
        ("T", "a & b", "the value of the tag `T` has the character '&'".to_owned(), characters),
        ("T", "a\\tb", "the value of the tag `T` has the character '\\t'".to_owned(), characters),
        ("T", "🙂", "the value of the tag `T` has the character '🙂'".to_owned(), characters),
        ("T ", "x", "the tag `T ` starts or ends with a space".to_owned(), "remove the space; some services drop it"),
        (
            "T",
            " x",
            "the value of the tag `T` starts or ends with a space".to_owned(),
            "remove the space; some services drop it",
        ),
        ("aws:T", "x", "the tag `aws:T` has the reserved prefix `aws:`".to_owned(), reserved),
        ("AWS:T", "x", "the tag `AWS:T` has the reserved prefix `aws:`".to_owned(), reserved),
        ("rds:T", "x", "the tag `rds:T` has the reserved prefix `rds:`".to_owned(), reserved),
        ("PayInfra:T", "x", "the tag `PayInfra:T` has the reserved prefix `payinfra:`".to_owned(), reserved),
        (
            "T",
            "Aws:x",
            "the value of the tag `T` has the reserved prefix `aws:`".to_owned(),
            "choose another value: some services reject this one",
        ),
        (
            "name",
            "x",
            "the tags `Name` and `name` differ only in case".to_owned(),
            "IAM treats them as the same tag; rename or remove one",
        ),
        ("Name", "x", "the tag `Name` is set by payinfra".to_owned(), "choose another key"),
    ] {
        let said = tag_errors(&format!("tags = {{ \"{key}\" = \"{value}\" }}"));
        assert_eq!(said, [(message, Some(hint.to_owned()))], "{key} = {value}");
    }
    let good = format!("tags = {{ \"{}\" = \"{}\", \"Ärger_1.:/=+-@ x\" = \"\" }}", long(128), long(256));
    assert!(tag_errors(&good).is_empty());
}

#[test]
fn m05_tags_that_differ_only_in_case_are_refused_wherever_they_stand() {
    let said = |text: &str| Configuration::parse(text, "payinfra.toml", STACKS).unwrap_err().to_string();
    let text = GOOD.replacen("suffix =", "tags = { Team = \"a\" }\nsuffix =", 1);
    assert!(Configuration::parse(&text, "payinfra.toml", STACKS).is_ok());
    let text = text.replacen("environment = \"new\"\n", "environment = \"new\"\ntags = { team = \"b\" }\n", 1);
    assert_eq!(said(&text), "payinfra.toml:22:10: the tags `Team` and `team` differ only in case");
}

/// AWS accepts 50 tags; 5 required ones, the name, 4 owner tags and one of the resource's own leave 39.
#[test]
fn m05_too_many_tags_are_refused() {
    let tags = |count: usize| {
        let tags: Vec<_> = (1..=count).map(|number| format!("t{number} = \"x\"")).collect();
        format!("tags = {{ {} }}", tags.join(", "))
    };
    assert!(tag_errors(&tags(39)).is_empty());
    let hint = "AWS accepts 50 tags, of which 39 are available here".to_owned();
    assert_eq!(tag_errors(&tags(40)), [("too many tags: 40".to_owned(), Some(hint))]);
    let text = GOOD.replacen("environment = \"new\"\n", &format!("environment = \"new\"\n{}\n", tags(39)), 1);
    build(&parse(&text), "migration", "123456789012").unwrap();
}

/// One run shows all errors with their places; errors in the defaults are shown once.
#[test]
fn m05_all_wrong_tags_are_reported_at_once() {
    let text = GOOD
        .replacen("project = \"payments\"", "project = \"pay,ments\"\ntags = { \"a,b\" = \"x\" }", 1)
        .replacen("environment = \"old\"", "environment = \"o;d\"", 1)
        .replacen("environment = \"new\"", "environment = \"n;w\"\ntags = { \"aws:c\" = \"y!\" }", 1);
    let error = Configuration::parse(&text, "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(
        error.to_string(),
        "payinfra.toml:7:11: `project` has the character ','\n\
         payinfra.toml:8:10: the tag `a,b` has the character ','\n\
         payinfra.toml:18:15: `environment` has the character ';'\n\
         payinfra.toml:21:15: `environment` has the character ';'\n\
         payinfra.toml:22:10: the tag `aws:c` has the reserved prefix `aws:`\n\
         payinfra.toml:22:20: the value of the tag `aws:c` has the character '!'"
    );
}

#[test]
fn m05_a_time_that_is_none_is_refused() {
    let hint = "write date, time and time zone (RFC 3339), such as 2026-03-01T02:00:00Z";
    let good = "\"2026-03-01T02:00:00Z\"";
    check(good, "\"tomorrow\"", "\"tomorrow\"", "`tomorrow` is not a timestamp", hint);
    check(good, "2026-03-01", "2026-03-01", "`2026-03-01` is not a timestamp", hint);
}

#[test]
fn m05_a_time_is_written_as_tomls_own_or_as_a_string() {
    for written in ["2026-03-01T02:00:00Z", "2026-03-01T03:00:00+01:00", "\"2026-03-01T03:00:00+01:00\""] {
        let configuration = parse(&GOOD.replace("\"2026-03-01T02:00:00Z\"", written));
        assert_eq!(settings(&configuration, "legacy").cutover.to_string(), "2026-03-01T02:00:00Z");
    }
}

#[test]
fn m09_a_lookup_of_everything_is_refused() {
    check(
        "{ name = \"web\" }",
        "{}",
        "web",
        "this would match everything in the region",
        "add an id, a name or a tag to match",
    );
}

#[test]
fn a_period_that_aws_does_not_take_is_refused() {
    for (line, message) in [
        ("flow_log_retention_days = 91", "CloudWatch Logs does not support a retention of 91 days"),
        ("key_deletion_days = 6", "KMS does not support a waiting period of 6 days"),
    ] {
        let text = GOOD.replace("environment = \"new\"", &format!("environment = \"new\"\n{line}"));
        assert_eq!(Configuration::parse(&text, "payinfra.toml", STACKS).unwrap_err().message, message);
    }
}

/// Checks the error for `line` in the section `section` of the workspace migration.
#[track_caller]
fn check_in(section: &str, line: &str, at: &str, message: &str, hint: &str) {
    let good = "[workspaces.migration]\nenvironment = \"new\"\n";
    check(good, &format!("{good}[workspaces.migration.{section}]\n{line}\n"), at, message, hint);
}

/// The settings of the workspace migration with these lines.
fn with(lines: &str) -> Settings {
    let text = GOOD.replace("environment = \"new\"\n", &format!("environment = \"new\"\n{lines}\n"));
    settings(&parse(&text), "migration")
}

#[test]
fn sections_have_defaults_by_phase_and_a_workspace_goes_before_what_is_shared() {
    let (migration, production) = (with(""), with("phase = \"production\""));
    assert_eq!((migration.database.backup_retention_days, production.database.backup_retention_days), (7, 35));
    assert_eq!((migration.service.cpu, migration.service.memory), (512, 1_024));
    assert_eq!((production.service.cpu, production.service.memory), (1_024, 2_048));
    assert_eq!((migration.alarms.running_tasks, production.alarms.running_tasks), (2, 3));
    let shared = GOOD.replace("service.auth = \"none\"", "service = { auth = \"none\", min_tasks = 5, port = 9000 }");
    let both = parse(&format!("{shared}[workspaces.migration.service]\nport = 9001\n"));
    let service = settings(&both, "migration").service;
    assert_eq!((service.min_tasks, service.max_tasks, service.port), (5, 5, 9_001));
    let alarms =
        with("[defaults.alarms]\nsubscriptions = [{ protocol = \"email\", endpoint = \"a@example.com\" }]").alarms;
    assert_eq!(alarms.subscriptions[0].endpoint, "a@example.com");
}

/// X-04: a missing setting never makes the service unauthenticated.
#[test]
fn x04_who_may_use_the_service_is_always_said() {
    check(
        "service.auth = \"none\"\n",
        "",
        "legacy",
        "workspace `legacy` has no `service.auth`: it must be the ARN of a secret with API keys, or \"none\" for \
         unauthenticated access",
        "set it under [workspaces.legacy] or [defaults]",
    );
    let hint = "write the ARN of a Secrets Manager secret that is replicated to each region, or \"none\"";
    for wrong in [
        "off",
        "",
        "arn:aws:iam::123456789012:role/keys",
        "arn:aws:secretsmanager:us-east-1:1234:secret:keys-AbCdEf",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:",
    ] {
        let message = format!("`{wrong}` is not the ARN of a secret");
        check_in("service", &format!("auth = \"{wrong}\""), &format!("\"{wrong}\""), &message, hint);
    }
    let open = with("").service;
    assert_eq!(open.keys_in(&Region::new("us-east-1")), None);
    assert!(open.warning().is_some_and(|warning| warning.contains("anyone")));
    let secret = |region: &str| format!("arn:aws:secretsmanager:{region}:123456789012:secret:keys-AbCdEf");
    let closed = with(&format!("service.auth = \"{}\"", secret("us-east-1"))).service;
    assert_eq!(closed.keys_in(&Region::new("us-east-2")), Some(secret("us-east-2")));
    assert_eq!(closed.warning(), None);
}

/// X-07: anyone who knows a web endpoint can post to it, so it is never shown.
#[test]
fn x07_the_web_address_of_a_subscription_is_not_shown() {
    let subscription = |protocol: &str, endpoint: &str| {
        format!(
            "[workspaces.migration.alarms]\nsubscriptions = [{{ protocol = \"{protocol}\", endpoint = \"{endpoint}\" }}]"
        )
    };
    let workspace = with(&subscription("https", "https://example.com/t0ken"));
    assert_eq!(workspace.alarms.subscriptions[0].endpoint, "https://example.com/t0ken");
    let shown = format!("{workspace:?} {}", serde_json::json!(workspace.alarms));
    assert!(shown.contains("(secret)") && !shown.contains("t0ken"), "{shown}");
    let good = "environment = \"new\"\n";
    let text = GOOD.replacen(good, &format!("{good}{}\n", subscription("https", "ftp://t0ken")), 1);
    let error = Configuration::parse(&text, "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(error.message, "`(secret)` is not a valid endpoint for https");
    let shown = serde_json::json!(with(&subscription("email", "a@example.com")).alarms).to_string();
    assert!(shown.contains("a@example.com"), "{shown}");
}

#[test]
fn m11_a_database_that_aurora_global_does_not_offer_is_refused() {
    let memory = "use a memory-optimized class, such as db.r6g.large";
    for (line, at, message, hint) in [
        (
            "engine_version = \"9.6\"",
            "\"9.6\"",
            "Aurora Global Database does not support Aurora PostgreSQL 9.6",
            "use a version from 13 to 17, such as 16.6",
        ),
        (
            "engine_version = \"16\"",
            "\"16\"",
            "`16` is not a version of Aurora PostgreSQL",
            "write major and minor version, such as 16.6",
        ),
        (
            "instance_class = \"db.t4g.medium\"",
            "\"db.t4g",
            "Aurora Global Database does not support db.t4g.medium",
            memory,
        ),
        (
            "instance_class = \"r6g.large\"",
            "\"r6g",
            "`r6g.large` is not an instance class",
            "use a class such as db.r6g.large",
        ),
        (
            "name = \"my-payments\"",
            "\"my-",
            "`my-payments` is not a valid value of the database's `name`",
            "use up to 63 lower-case letters, digits and underscores, starting with a letter",
        ),
        (
            "username = \"admin\"",
            "\"admin\"",
            "PostgreSQL reserves the user name `admin`",
            "choose another name, such as payments",
        ),
        (
            "name = \"user\"",
            "\"user\"",
            "PostgreSQL reserves the database name `user`",
            "choose another name, such as payments",
        ),
    ] {
        check_in("database", line, at, message, hint);
    }
}

#[test]
fn m12_m14_backups_and_measurements_that_rds_does_not_make_are_refused() {
    for (line, at, message, hint) in [
        ("backup_retention_days = 0", "0", "invalid value 0 of `backup_retention_days`", "use 1 to 35"),
        (
            "backup_window = \"03:00\"",
            "\"03:00\"",
            "`03:00` is not a daily window",
            "write start and end in UTC, such as 03:00-04:00",
        ),
        (
            "backup_window = \"23:50-00:10\"",
            "\"23:50",
            "the window 23:50-00:10 is too short",
            "RDS requires at least half an hour",
        ),
        (
            "performance_insights_days = 30",
            "30",
            "Performance Insights does not support a retention of 30 days",
            "use 7, a multiple of 31 up to 713, or 731",
        ),
        ("monitoring_interval = 7", "7", "invalid value 7 of `monitoring_interval`", "use one of 1, 5, 10, 15, 30, 60"),
    ] {
        check_in("database", line, at, message, hint);
    }
    assert_eq!(with("database = { backup_window = \"23:50-00:20\" }").database.backup_window, "23:50-00:20");
}

#[test]
fn m15_m18_a_service_that_fargate_does_not_run_is_refused() {
    for (line, at, message, hint) in [
        (
            "cpu = 300",
            "300",
            "Fargate does not support tasks with 300 CPU units",
            "use one of 256, 512, 1024, 2048, 4096, 8192, 16384",
        ),
        (
            "memory = 512",
            "512",
            "Fargate does not support 512 MiB of memory with 512 CPU units",
            "use 1024 to 4096 in increments of 1024",
        ),
        (
            "cpu = 256\nmemory = 1536",
            "1536",
            "Fargate does not support 1536 MiB of memory with 256 CPU units",
            "use 512, 1024 or 2048",
        ),
        ("port = 0", "0", "invalid value 0 of `port`", "use 1 to 65535"),
        ("min_tasks = 0", "0", "invalid value 0 of `min_tasks`", "use 1 to 5000"),
        (
            "min_tasks = 4\nmax_tasks = 3",
            "3",
            "`max_tasks` (3) is less than `min_tasks` (4)",
            "raise `max_tasks` or lower `min_tasks`",
        ),
        ("cpu_target = 100", "100", "invalid value 100 of `cpu_target`", "use 10 to 95"),
        (
            "image = \"https://example.com/image\"",
            "\"https",
            "`https://example.com/image` is not a container image",
            "write the repository and a tag, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com/payments:1.0.0",
        ),
    ] {
        check_in("service", line, at, message, hint);
    }
}

#[test]
fn m16_m25_a_domain_or_certificate_that_cannot_be_is_refused() {
    check(
        "domain.zone = \"payments.test\"\n",
        "",
        "legacy",
        "workspace `legacy` has no `domain.zone`: it is the domain of the hosted zone, a domain of yours or below one",
        "set it under [workspaces.legacy] or [defaults]",
    );
    for (line, at, message, hint) in [
        (
            "zone = \"Example.com.\"",
            "\"Example",
            "`Example.com.` is not a domain",
            "write it in lower case and without a trailing dot, such as payments.your-company.com",
        ),
        (
            "zone = \"pay.example.com\"",
            "\"pay.",
            "`pay.example.com` cannot have a hosted zone: AWS reserves example.com",
            "use a domain of yours, or one below it",
        ),
        (
            "resolver = \"1.1.1.1\"",
            "\"1.1",
            "`1.1.1.1` is not an address with a port",
            "write the address of a DNS server, such as 1.1.1.1:53",
        ),
        (
            "certificates = { us-east-1 = \"arn:aws:acm:us-east-2:123456789012:certificate/a\" }",
            "\"arn",
            "the certificate for us-east-1 is in us-east-2",
            "use a certificate in the same region",
        ),
        (
            "certificates = { us-east-1 = \"a\" }",
            "\"a\"",
            "`a` is not the ARN of a certificate",
            "use an ARN such as arn:aws:acm:us-east-1:123456789012:certificate/ID",
        ),
        (
            "certificates = { us-west-2 = \"a\" }",
            "us-west-2",
            "`us-west-2` has a certificate, but is not listed in `regions`",
            "use the names in `regions`",
        ),
    ] {
        check_in("domain", line, at, message, hint);
    }
}

#[test]
fn m24_m27_a_threshold_or_a_subscription_that_cannot_be_is_refused() {
    check_in(
        "waf",
        "requests_per_5_minutes = 1",
        "1",
        "invalid value 1 of `requests_per_5_minutes`",
        "use 10 to 2000000000",
    );
    for (line, at, message, hint) in [
        ("cpu_percent = 101", "101", "invalid value 101 of `cpu_percent`", "use 1 to 100"),
        ("latency_ms = 0", "0", "invalid value 0 of `latency_ms`", "use 1 to 1000000"),
        ("running_tasks = 5", "5", "invalid value 5 of `running_tasks`", "use 1 to 4"),
        ("period_seconds = 90", "90", "CloudWatch does not support a period of 90 seconds", "use a multiple of 60"),
        (
            "subscriptions = [{ protocol = \"http\", endpoint = \"http://a\" }]",
            "{",
            "unsupported protocol `http` for alarms",
            "use email, email-json, https, lambda, sms or sqs",
        ),
        (
            "subscriptions = [{ protocol = \"email\", endpoint = \"somebody\" }]",
            "{",
            "`somebody` is not a valid endpoint for email",
            "write an endpoint such as a@example.com",
        ),
        (
            "subscriptions = [{ protocol = \"https\", endpoint = \"https://\" }]",
            "{",
            "`(secret)` is not a valid endpoint for https",
            "write an endpoint such as hooks.example.com/alarms with the scheme https",
        ),
        (
            "subscriptions = [{ protocol = \"sqs\", endpoint = \"arn:aws-cn:sqs:cn-north-1:123456789012:a\" }]",
            "{",
            "`arn:aws-cn:sqs:cn-north-1:123456789012:a` is not a valid endpoint for sqs",
            "write an endpoint such as arn:aws:sqs:us-east-1:123456789012:alarms",
        ),
    ] {
        check_in("alarms", line, at, message, hint);
    }
}

#[test]
fn m29_remote_outputs_say_whose_and_which() {
    let lines = "remote_outputs = { old = { workspace = \"legacy\", outputs = [\"vpc_id\"] } }";
    let text = GOOD.replace("environment = \"new\"\n", &format!("environment = \"new\"\n{lines}\n"));
    let remote = typed(&parse(&text), "migration").remote_outputs;
    let old = &remote["old"];
    assert_eq!(old.account, None);
    assert_eq!(
        (old.stack.as_str(), old.bucket.as_deref(), old.region.as_str()),
        ("migration", Some("states"), "us-east-1")
    );
    for (line, at, message, hint) in [
        (
            "workspace = \"migration\"\noutputs = [\"vpc_id\"]",
            "\"migration\"",
            "a workspace cannot read its own outputs",
            "set another workspace or stack",
        ),
        ("workspace = \"legacy\"\noutputs = []", "[]", "no outputs are listed", "list the outputs to read"),
        (
            "workspace = \"legacy\"\noutputs = [\"vpc/id\"]",
            "[",
            "`vpc/id` is not a valid output name",
            "output names consist of letters, digits and underscores",
        ),
        (
            "workspace = \"legacy\"\noutputs = [\"vpc_id\"]\nregion = \"here\"",
            "\"here\"",
            "`here` is not a region",
            "use a region name such as us-east-1",
        ),
        (
            "workspace = \"legacy\"\noutputs = [\"vpc_id\"]\naccount = \"1234\"",
            "\"1234\"",
            "`1234` is not an account id",
            "write twelve digits in quotes, such as \"123456789012\"",
        ),
    ] {
        check_in("remote_outputs.old", line, at, message, hint);
    }
}

#[test]
fn m29_remote_outputs_are_not_read_from_a_folder() {
    let remote = "remote_outputs = { old = { workspace = \"legacy\", outputs = [\"vpc_id\"] } }";
    let text = GOOD.replace("environment = \"new\"\n", &format!("environment = \"new\"\n{remote}\n"));
    let text = text.replace("bucket = \"states\"", "path = \".payinfra\"");
    let error = Configuration::parse(&text, "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(error.message, "remote outputs are read from a bucket, but the state is in a folder");
    let text = text.replace("{ workspace", "{ bucket = \"states\", workspace");
    assert!(Configuration::parse(&text, "payinfra.toml", STACKS).is_ok());
}

#[test]
fn m29_a_variable_that_stands_for_an_output_that_is_not_listed_is_refused() {
    check(
        "environment = \"new\"\n",
        "environment = \"new\"\nlegacy_network = { cidrs = [\"192.168.0.0/16\"], subnets = { vpc = \"remote.old.vpc_id\" } }",
        "\"remote.old.vpc_id\"",
        "`remote.old.vpc_id` is not listed in the remote outputs",
        "write remote.NAME.OUTPUT, and list OUTPUT under `remote_outputs`",
    );
}

#[test]
fn what_is_no_account_is_refused() {
    let error = Configuration::parse(&GOOD.replace("123456789012", "1234"), "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(error.message, "`1234` is not an account id");
    assert!(build(&parse(GOOD), "legacy", "1234").is_err());
}

#[test]
fn the_state_is_in_one_place() {
    let error =
        Configuration::parse(&GOOD.replace("[state]", "[state]\npath = \".\""), "payinfra.toml", STACKS).unwrap_err();
    assert_eq!(error.message, "the state is stored either in a folder or in a bucket, not in both");
}

#[test]
fn the_schema_is_what_editors_get() {
    insta::assert_json_snapshot!("schema", payinfra_stack::schema(&Migration));
}
