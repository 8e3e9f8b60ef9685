//! All mistakes in a configuration are reported at once, each with its line and column.

#![expect(clippy::unwrap_used, reason = "a test")]

use payinfra_stack::Configuration;
use payinfra_stacks::STACKS;

/// The problems in `text`, with hints.
fn problems(text: &str) -> String {
    let error = Configuration::parse(text, "payinfra.toml", STACKS).unwrap_err();
    let all = std::iter::once(&*error).chain(&error.others).map(|problem| {
        let (line, column) = problem.position.unwrap();
        let hint = problem.hint.as_deref().map_or_else(String::new, |hint| format!("\n       {hint}"));
        format!("{line}:{column}: {}{hint}\n", problem.message)
    });
    all.collect()
}

#[test]
fn values_that_are_not_valid() {
    let found = problems(
        r#"stack = "migration"
[state]
bucket = "states"
path = "folder"
[defaults]
environment = ""
project = "pay,ments"
key_deletion_days = 5
cutover = "tomorrow"
flow_log_retention_days = 91
tags = { "aws:a" = "b", Name = "n" }
sensitive = ["service.ports", "alarm"]
[workspaces.production]
weights = { us-east-1 = 50, us-west-2 = 60 }
[workspaces.production.remote_outputs.Old]
workspace = "Blue"
outputs = ["a/b", "c/d"]
account = "1234"
region = "here"
[workspaces.production.legacy_network]
cidrs = ["192.168.0.0", "10.0.0.0/8", "8.8.8.0/24"]
subnets = {}
security_groups = { A_b = {}, web = { id = "remote.old.a", vpc = "remote.other.b" } }
[workspaces.production.database]
engine_version = "9.6"
name = "My-Payments"
username = "admin"
instance_class = "db.t4g.medium"
backup_retention_days = 36
backup_window = "23:50-00:10"
performance_insights_days = 30
monitoring_interval = 7
[workspaces.production.service]
image = "https://example.com/image"
port = 0
auth = "off"
cpu = 1024
memory = 1000
min_tasks = 4
max_tasks = 3
cpu_target = 100
requests_per_target = 0
log_retention_days = 2
[workspaces.production.domain]
zone = "Example.com."
certificates = { us-east-1 = "a", us-west-2 = "b" }
[workspaces.production.alarms]
period_seconds = 90
periods = 25
replica_lag_ms = 0
global_lag_ms = 0
running_tasks = 0
cpu_percent = 101
memory_percent = 0
errors_5xx = -1
latency_ms = 0
unhealthy_hosts = -1
replication_latency_seconds = 0
replication_failures = -1
[[workspaces.production.alarms.subscriptions]]
protocol = "http"
endpoint = "http://a"
[[workspaces.production.alarms.subscriptions]]
protocol = "email"
endpoint = "somebody"
[workspaces.production.waf]
requests_per_5_minutes = 1
"#,
    );
    insta::assert_snapshot!(found);
}

#[test]
fn wrong_types_and_unknown_and_missing_keys() {
    let found = problems(
        r#"stack = "migration"
stacks = []
[aws]
account_ids = ["1", 2]
roles = "r"
[state]
region = 1
table = ["locks"]
[defaults]
suffix = 1
project = true
protect = "no"
regions = [{ cidr = 1 }, { name = "us-east-2", block = "10.1.0.0/16" }, 7]
remote_outputs = { old = { outputs = "vpc_id" }, other = {} }
tags = { Team = 1, Cost = "1", Area = false }
service = { ports = 1, port = 70000, cpu = "1024", architecture = "sparc" }
[workspaces.legacy]
phase = "later"
cutover = 1
nat = 1
weights = { us-east-1 = 256, us-east-2 = "all" }
legacy_network = { subnets = { ids = "subnet-1", name = 1 }, security_groups = { web = { name = 1, group = 2 } } }
database = { name = 1, username = 2, backup_window = 3.5 }
domain = { zone = [], create_zone = "no", certificates = { us-east-1 = 1 } }
alarms = { subscriptions = [{ protocol = 1 }, { endpoint = "a@example.com" }], periods = 1.5, latency_ms = "1" }
waf = { requests_per_5_minutes = "1", requests = 1 }
[workspaces.migration]
waf = 5
service = "none"
alarms = []
[workspaces]
production = 1
"#,
    );
    insta::assert_snapshot!(found);
}

#[test]
fn one_mistake_does_not_hide_those_elsewhere() {
    let found = problems(
        r#"stack = "migration"
[aws]
account_ids = ["1"]
[workspaces.blue]
service = { port = 0, memory = 1000 }
alarms = { running_tasks = 6000, periods = 0 }
database = { name = "" }
weights = { us-west-2 = 1 }
[workspaces.green]
phase = "legacy"
regions = [{ name = "here", cidr = "11.0.0.0/16" }, { name = "us-east-1" }, { name = "us-east-1", cidr = "10.1.0.0/17" }]
waf = { requests_per_5_minutes = 1 }
"#,
    );
    insta::assert_snapshot!(found);
}

#[test]
fn what_follows_from_an_invalid_size_is_not_reported() {
    for (service, message) in [
        ("min_tasks = 0, max_tasks = 9", "invalid value 0 of `min_tasks`"),
        ("min_tasks = 6000", "invalid value 6000 of `min_tasks`"),
        ("max_tasks = 0", "invalid value 0 of `max_tasks`"),
        ("min_tasks = 4, max_tasks = 3", "`max_tasks` (3) is less than `min_tasks` (4)"),
        ("cpu = 2000000000, memory = 1", "Fargate does not support tasks with 2000000000 CPU units"),
        ("strategy = \"native\", bake_minutes = 1441", "invalid value 1441 of `bake_minutes`"),
        ("strategy = \"native\", bake_minutes = -1", "invalid value -1 of `bake_minutes`"),
        ("bake_minutes = 5", "`bake_minutes` has no effect with the strategy `stepwise`"),
        ("memory = 1", "Fargate does not support 1 MiB of memory with 512 CPU units"),
    ] {
        let text = format!(
            "stack = \"migration\"\n[workspaces.legacy]\nenvironment = \"e\"\nproject = \"p\"\nsuffix = \"s\"\n\
             cutover = 2026-03-01T02:00:00Z\nalarms.running_tasks = 3\ndomain.zone = \"payments.test\"\nservice = {{ auth = \"none\", {service} }}\n"
        );
        let error = Configuration::parse(&text, "payinfra.toml", STACKS).unwrap_err();
        assert_eq!((error.message.as_str(), error.others.len()), (message, 0), "{error}");
    }
}

#[test]
fn all_mistakes_in_the_syntax() {
    let found = problems(
        "stack = \"migration\"\nstack = \"graph\"\n[aws\nprofile = a b\n[defaults]\nsuffix = \"abc\nproject = 1.2.3\n\n= 5\n[workspaces.a]\n[workspaces.a]\n",
    );
    insta::assert_snapshot!(found);
}
