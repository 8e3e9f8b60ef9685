//! Alarms, dashboards, events, and the audit trail.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_cloudtrail::types::{DataResource, EventSelector};
use aws_sdk_cloudwatch::types::{AlarmType, ComparisonOperator, MetricAlarm};
use payinfra_tests::Bench;
use serde_json::Value;

use crate::{ACCOUNT, SIDES, key, migration, texts};

/// The suffix of names.
const ENDING: &str = "migration-demo1";

fn cloudwatch(bench: &Bench, region: &str) -> aws_sdk_cloudwatch::Client {
    aws_sdk_cloudwatch::Client::new(&bench.sdk(region))
}

fn topic(region: &str) -> String {
    format!("arn:aws:sns:{region}:{ACCOUNT}:payment-alarms-{ENDING}")
}

/// M-23, X-03: one trail for all regions, which is logging, with digest files and encryption with our key, in the
/// primary region's audit bucket; it also records data events of the transaction logs.
#[tokio::test(flavor = "multi_thread")]
async fn m23_x03_one_trail_records_all_regions_into_the_audit_bucket() {
    let bench = migration().await;
    let cloudtrail = aws_sdk_cloudtrail::Client::new(&bench.sdk("us-east-1"));
    let trails = cloudtrail.describe_trails().include_shadow_trails(false).send().await.unwrap();
    assert_eq!(trails.trail_list().len(), 1);
    let trail = &trails.trail_list()[0];
    let arn = format!("arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/payment-trail-{ENDING}");
    assert_eq!(trail.trail_arn(), Some(&*arn));
    assert_eq!(trail.is_multi_region_trail(), Some(true));
    assert_eq!(trail.include_global_service_events(), Some(true));
    assert_eq!(trail.log_file_validation_enabled(), Some(true));
    let storage = key(bench, "us-east-1", "storage").await;
    assert_eq!(trail.kms_key_id(), Some(&*storage));
    let status = cloudtrail.get_trail_status().name(&arn).send().await.unwrap();
    assert_eq!(status.is_logging(), Some(true));

    let bucket = trail.s3_bucket_name().unwrap();
    assert!(bucket.starts_with(&format!("payment-audit-trail-{ENDING}-us-east-1-")), "{bucket}");
    let answer = bench.s3("us-east-1").get_bucket_policy().bucket(bucket).send().await.unwrap();
    let files = format!("arn:aws:s3:::{bucket}/cloudtrail/AWSLogs/{ACCOUNT}/*");
    let may = |policy: &str, action: &str, resource: &str| {
        let policy: Value = serde_json::from_str(policy).unwrap();
        let fits = |it: &&Value| {
            it["Effect"] == "Allow"
                && texts(&it["Principal"]["Service"]) == ["cloudtrail.amazonaws.com"]
                && texts(&it["Action"]).contains(&action)
                && texts(&it["Resource"]) == [resource]
                && texts(&it["Condition"]["StringEquals"]["aws:SourceArn"]) == [&*arn]
        };
        policy["Statement"].as_array().unwrap().iter().any(|it| fits(&it))
    };
    assert!(may(answer.policy().unwrap(), "s3:PutObject", &files), "{answer:?}");
    assert!(may(answer.policy().unwrap(), "s3:GetBucketAcl", &format!("arn:aws:s3:::{bucket}")), "{answer:?}");
    let kms = aws_sdk_kms::Client::new(&bench.sdk("us-east-1"));
    let answer = kms.get_key_policy().key_id(&storage).policy_name("default").send().await.unwrap();
    assert!(may(answer.policy().unwrap(), "kms:GenerateDataKey", "*"), "{answer:?}");

    let chosen = cloudtrail.get_event_selectors().trail_name(&arn).send().await.unwrap();
    let chosen = chosen.event_selectors();
    assert!(chosen.iter().all(|it| it.include_management_events() == Some(true)) && !chosen.is_empty());
    let objects = chosen.iter().flat_map(EventSelector::data_resources);
    let objects: BTreeSet<_> = objects.flat_map(DataResource::values).map(String::as_str).collect();
    for (region, ..) in SIDES {
        let start = format!("arn:aws:s3:::payment-transactions-{ENDING}-{region}-");
        assert!(objects.iter().any(|it| it.starts_with(&start) && it.ends_with('/')), "{start}: {objects:?}");
    }
    let there = aws_sdk_cloudtrail::Client::new(&bench.sdk("us-east-2"));
    let there = there.describe_trails().include_shadow_trails(false).send().await.unwrap();
    assert!(there.trail_list().is_empty(), "no second one");
}

/// M-27, X-03: in each region a topic that is encrypted with our key, to which alarms and events of this account may
/// publish.
#[tokio::test(flavor = "multi_thread")]
async fn m27_x03_alarms_go_to_an_encrypted_topic() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let sns = aws_sdk_sns::Client::new(&bench.sdk(region));
        let answer = sns.get_topic_attributes().topic_arn(topic(region)).send().await.unwrap();
        let attributes = answer.attributes().unwrap();
        let application = key(bench, region, "application").await;
        assert_eq!(attributes.get("KmsMasterKeyId"), Some(&application), "{region}");
        let policy: Value = serde_json::from_str(&attributes["Policy"]).unwrap();
        let mut services = BTreeSet::new();
        for statement in policy["Statement"].as_array().unwrap() {
            assert_eq!(texts(&statement["Action"]), ["sns:Publish"], "{region}");
            assert_eq!(texts(&statement["Resource"]), [topic(region)], "{region}");
            services.extend(texts(&statement["Principal"]["Service"]));
        }
        assert_eq!(services, BTreeSet::from(["cloudwatch.amazonaws.com", "events.amazonaws.com"]), "{region}");

        let kms = aws_sdk_kms::Client::new(&bench.sdk(region));
        let answer = kms.get_key_policy().key_id(&application).policy_name("default").send().await.unwrap();
        let policy: Value = serde_json::from_str(answer.policy().unwrap()).unwrap();
        let publishers = |it: &&Value| texts(&it["Principal"]["Service"]).contains(&"cloudwatch.amazonaws.com");
        let statement = policy["Statement"].as_array().unwrap().iter().find(publishers).unwrap();
        assert!(texts(&statement["Principal"]["Service"]).contains(&"events.amazonaws.com"), "{region}");
        assert_eq!(texts(&statement["Action"]), ["kms:Decrypt", "kms:GenerateDataKey"], "{region}");
        let context = &statement["Condition"]["StringEquals"]["kms:EncryptionContext:aws:sns:topicArn"];
        assert_eq!(texts(context), [topic(region)], "{region}");
    }
}

/// The alarms of a region, by their names without the common part.
async fn alarms(bench: &Bench, region: &str) -> BTreeMap<String, MetricAlarm> {
    let answer = cloudwatch(bench, region).describe_alarms().max_records(100).send().await.unwrap();
    let alarms = answer.metric_alarms().iter().filter_map(|alarm| {
        let name = alarm.alarm_name()?.strip_prefix("payment-alarm-")?.strip_suffix(&format!("-{ENDING}"))?;
        Some((name.to_owned(), alarm.clone()))
    });
    alarms.collect()
}

/// Namespace, metric and statistic; comparison and threshold.
type Seen<'a> = (&'a str, &'a str, &'a str, ComparisonOperator, f64);

fn seen(alarm: &MetricAlarm) -> Seen<'_> {
    let statistic = alarm.statistic().map(aws_sdk_cloudwatch::types::Statistic::as_str);
    (
        alarm.namespace().unwrap(),
        alarm.metric_name().unwrap(),
        statistic.or(alarm.extended_statistic()).unwrap(),
        alarm.comparison_operator().unwrap().clone(),
        alarm.threshold().unwrap(),
    )
}

fn dimensions(alarm: &MetricAlarm) -> BTreeMap<&str, &str> {
    alarm.dimensions().iter().filter_map(|it| Some((it.name()?, it.value()?))).collect()
}

/// The resources in a region, by the services' own lists: their names in metrics, by dimension.
async fn subjects(bench: &Bench, region: &str) -> BTreeMap<&'static str, BTreeSet<String>> {
    let last = |arn: &str, after: &str| arn.split_once(after).unwrap().1.to_owned();
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&bench.sdk(region));
    let balancers = elb.describe_load_balancers().send().await.unwrap();
    let balancers = balancers.load_balancers().iter().filter_map(|it| it.load_balancer_arn());
    let groups = elb.describe_target_groups().send().await.unwrap();
    let groups = groups.target_groups().iter().filter_map(|it| it.target_group_arn());
    let groups = groups.map(|arn| format!("targetgroup/{}", last(arn, "targetgroup/"))).collect();
    let rds = aws_sdk_rds::Client::new(&bench.sdk(region)).describe_db_clusters().send().await.unwrap();
    let databases = rds.db_clusters().iter().filter_map(|it| it.db_cluster_identifier().map(str::to_owned)).collect();
    let ecs = aws_sdk_ecs::Client::new(&bench.sdk(region));
    let clusters = ecs.list_clusters().send().await.unwrap();
    let mut services = BTreeSet::new();
    for cluster in clusters.cluster_arns() {
        let found = ecs.list_services().cluster(cluster).send().await.unwrap();
        services.extend(found.service_arns().iter().filter_map(|arn| arn.rsplit('/').next().map(str::to_owned)));
    }
    let clusters = clusters.cluster_arns().iter().filter_map(|arn| arn.rsplit('/').next().map(str::to_owned));
    BTreeMap::from([
        ("LoadBalancer", balancers.map(|arn| last(arn, "loadbalancer/")).collect()),
        ("TargetGroup", groups),
        ("DBClusterIdentifier", databases),
        ("ClusterName", clusters.collect()),
        ("ServiceName", services),
        ("SourceRegion", BTreeSet::from(["us-east-1".to_owned()])),
    ])
}

/// M-27: for each failure of a region there is an alarm on the metrics of its resources, with the configured
/// thresholds, which notifies the region's topic when it starts and when it ends.
#[tokio::test(flavor = "multi_thread")]
async fn m27_each_region_has_alarms_on_database_service_and_load_balancer() {
    use ComparisonOperator::{GreaterThanThreshold as Above, LessThanThreshold as Below};
    let bench = migration().await;
    for (region, ..) in SIDES {
        let alarms = alarms(bench, region).await;
        let subjects = subjects(bench, region).await;
        let mut expected: Vec<(&str, Seen<'_>)> = vec![
            ("balancer-5xx", ("AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "Sum", Above, 5.0)),
            ("cpu-blue", ("AWS/ECS", "CPUUtilization", "Average", Above, 80.0)),
            ("cpu-green", ("AWS/ECS", "CPUUtilization", "Average", Above, 80.0)),
            ("latency", ("AWS/ApplicationELB", "TargetResponseTime", "p99", Above, 0.2)),
            ("memory-blue", ("AWS/ECS", "MemoryUtilization", "Average", Above, 80.0)),
            ("memory-green", ("AWS/ECS", "MemoryUtilization", "Average", Above, 80.0)),
            ("replica-lag", ("AWS/RDS", "AuroraReplicaLagMaximum", "Maximum", Above, 100.0)),
            ("running-tasks", ("ECS/ContainerInsights", "TaskCount", "Minimum", Below, 2.0)),
            ("target-5xx", ("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Sum", Above, 5.0)),
            ("unhealthy-hosts-blue", ("AWS/ApplicationELB", "UnHealthyHostCount", "Maximum", Above, 0.0)),
            ("unhealthy-hosts-green", ("AWS/ApplicationELB", "UnHealthyHostCount", "Maximum", Above, 0.0)),
        ];
        if region == "us-east-2" {
            let lag = ("AWS/RDS", "AuroraGlobalDBReplicationLag", "Maximum", Above, 100.0);
            expected.push(("global-lag", lag));
        } else {
            assert!(!alarms.contains_key("global-lag"), "the primary region has no lag");
        }
        for (name, expected) in expected {
            let alarm = alarms.get(name).unwrap_or_else(|| panic!("{region} has no alarm {name}"));
            assert_eq!(seen(alarm), expected, "{name} in {region}");
            assert_eq!(alarm.alarm_actions(), [topic(region)], "{name} in {region}");
            assert_eq!(alarm.ok_actions(), [topic(region)], "{name} in {region}");
            assert_eq!((alarm.period(), alarm.evaluation_periods()), (Some(60), Some(3)), "{name} in {region}");
            let silent = ["running-tasks", "global-lag"].contains(&name);
            let missing = if silent { "breaching" } else { "notBreaching" };
            assert_eq!(alarm.treat_missing_data(), Some(missing), "{name} in {region}");
            for (dimension, value) in dimensions(alarm) {
                let there = &subjects[dimension];
                assert!(there.contains(value), "{name} in {region}: {dimension} {value} is not among {there:?}");
            }
        }
        for (name, dimension) in [("unhealthy-hosts", "TargetGroup"), ("cpu", "ServiceName"), ("memory", "ServiceName")]
        {
            let colours = ["blue", "green"].map(|it| dimensions(&alarms[&format!("{name}-{it}")])[dimension]);
            assert_ne!(colours[0], colours[1], "{name} in {region}");
        }
    }
}

/// M-27, M-20: the destination monitors replication latency, the source monitors failures.
#[tokio::test(flavor = "multi_thread")]
async fn m27_the_replication_of_buckets_is_watched_in_both_directions() {
    let bench = migration().await;
    for (region, other) in [("us-east-1", "us-east-2"), ("us-east-2", "us-east-1")] {
        let alarms = alarms(bench, region).await;
        for kind in ["audit-trail", "transactions"] {
            let bucket = |region| format!("payment-{kind}-{ENDING}-{region}-");
            let both = [
                (format!("{kind}-copies-from-{other}"), "ReplicationLatency", "Maximum", 900.0, other, region),
                (format!("{kind}-copies-to-{other}"), "OperationsFailedReplication", "Sum", 0.0, region, other),
            ];
            for (name, metric, statistic, threshold, from, to) in both {
                let alarm = alarms.get(&name).unwrap_or_else(|| panic!("{region} has no alarm {name}"));
                let above = ComparisonOperator::GreaterThanThreshold;
                assert_eq!(seen(alarm), ("AWS/S3", metric, statistic, above, threshold), "{name}");
                let dimensions = dimensions(alarm);
                assert!(dimensions["SourceBucket"].starts_with(&bucket(from)), "{name}: {dimensions:?}");
                assert!(dimensions["DestinationBucket"].starts_with(&bucket(to)), "{name}: {dimensions:?}");
                let rules = bench.s3(from).get_bucket_replication().bucket(dimensions["SourceBucket"]);
                let rules = rules.send().await.unwrap();
                let rules = rules.replication_configuration().unwrap().rules();
                assert!(rules.iter().any(|it| it.id() == Some(dimensions["RuleId"])), "{name}: {dimensions:?}");
                assert_eq!(alarm.treat_missing_data(), Some("ignore"), "S3 publishes only while it replicates");
                assert_eq!(alarm.alarm_actions(), [topic(region)], "{name}");
            }
        }
    }
}

/// M-27, M-25: each region's health check has an alarm, in the region where Route 53 publishes its metrics.
#[tokio::test(flavor = "multi_thread")]
async fn m27_health_checks_are_watched() {
    let bench = migration().await;
    let route53 = aws_sdk_route53::Client::new(&bench.sdk("us-east-1"));
    let checks = route53.list_health_checks().send().await.unwrap();
    let checks: BTreeSet<_> = checks.health_checks().iter().map(|check| check.id().to_owned()).collect();
    let alarms = alarms(bench, "us-east-1").await;
    let mut watched = BTreeSet::new();
    for (region, ..) in SIDES {
        let alarm = &alarms[&format!("health-{region}")];
        let below = ComparisonOperator::LessThanThreshold;
        assert_eq!(seen(alarm), ("AWS/Route53", "HealthCheckStatus", "Minimum", below, 1.0), "{region}");
        assert_eq!(alarm.treat_missing_data(), Some("breaching"), "{region}");
        assert_eq!(alarm.alarm_actions(), [topic("us-east-1")], "an alarm notifies a topic in its own region");
        watched.insert(dimensions(alarm)["HealthCheckId"].to_owned());
    }
    assert_eq!(watched, checks);
}

/// M-27: a composite alarm over the serious ones shows that a region is not fit for traffic.
#[tokio::test(flavor = "multi_thread")]
async fn m27_one_alarm_says_that_a_region_is_not_fit_for_traffic() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let name = format!("payment-alarm-region-{ENDING}");
        let call = cloudwatch(bench, region).describe_alarms().alarm_names(name);
        let answer = call.alarm_types(AlarmType::CompositeAlarm).send().await.unwrap();
        let alarm = &answer.composite_alarms()[0];
        assert_eq!(alarm.alarm_actions(), [topic(region)], "{region}");
        let rule = alarm.alarm_rule().unwrap();
        let mut serious = vec!["running-tasks", "target-5xx", "balancer-5xx", "latency"];
        serious.extend((region == "us-east-2").then_some("global-lag"));
        let serious = serious.iter().map(|name| format!("ALARM(\"payment-alarm-{name}-{ENDING}\")"));
        assert_eq!(rule, serious.collect::<Vec<_>>().join(" OR "), "{region}");
    }
}

/// M-27: a failed deployment and a database failover notify the region's topic.
#[tokio::test(flavor = "multi_thread")]
async fn m27_failed_deployments_and_failovers_tell_the_topic() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let subjects = subjects(bench, region).await;
        let events = aws_sdk_eventbridge::Client::new(&bench.sdk(region));
        for (name, source) in [("deployments", "aws.ecs"), ("databases", "aws.rds")] {
            let name = format!("payment-{name}-{ENDING}");
            let rule = events.describe_rule().name(&name).send().await.unwrap();
            assert_eq!(rule.state().map(aws_sdk_eventbridge::types::RuleState::as_str), Some("ENABLED"), "{name}");
            let pattern: Value = serde_json::from_str(rule.event_pattern().unwrap()).unwrap();
            assert_eq!(texts(&pattern["source"]), [source], "{name} in {region}");
            if source == "aws.ecs" {
                assert_eq!(texts(&pattern["detail"]["eventName"]), ["SERVICE_DEPLOYMENT_FAILED"], "{region}");
                let services = texts(&pattern["resources"]);
                assert_eq!(services.len(), 2, "both colours");
                for service in services {
                    assert!(subjects["ServiceName"].contains(service.rsplit('/').next().unwrap()), "{service}");
                }
            } else {
                assert!(texts(&pattern["detail"]["EventCategories"]).contains(&"failover"), "{region}");
                let cluster = texts(&pattern["detail"]["SourceIdentifier"])[0];
                assert!(subjects["DBClusterIdentifier"].contains(cluster), "{cluster}");
            }
            let targets = events.list_targets_by_rule().rule(&name).send().await.unwrap();
            let targets: Vec<_> = targets.targets().iter().map(aws_sdk_eventbridge::types::Target::arn).collect();
            assert_eq!(targets, [topic(region)], "{name} in {region}");
        }
    }
}

/// M-27, M-02: a dashboard per region shows both regions, their alarms, and the phase.
#[tokio::test(flavor = "multi_thread")]
async fn m27_a_dashboard_per_region_shows_both_regions_and_the_phase() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let name = format!("payment-dashboard-{region}-{ENDING}");
        let answer = cloudwatch(bench, region).get_dashboard().dashboard_name(&name).send().await.unwrap();
        let body: Value = serde_json::from_str(answer.dashboard_body().unwrap()).unwrap();
        let widgets = body["widgets"].as_array().unwrap();
        let text = widgets.iter().find(|it| it["type"] == "text").unwrap()["properties"]["markdown"].as_str().unwrap();
        assert!(text.contains("Phase **migration**"), "{text}");
        let rows = |widget: &Value| widget["properties"]["metrics"].as_array().cloned().unwrap_or_default();
        let phase = widgets.iter().find(|it| it["properties"]["title"] == "Phase: migration").unwrap();
        for (metric, per_region) in [
            ("RequestCount", 1),
            ("TargetResponseTime", 1),
            ("TaskCount", 1),
            ("CPUUtilization", 2),
            ("AuroraReplicaLagMaximum", 1),
        ] {
            let shown = widgets.iter().find(|it| rows(it).iter().any(|row| row[1] == metric)).unwrap();
            assert_eq!(rows(shown).len(), 2 * per_region, "{metric}, of both regions");
        }
        let shown: BTreeSet<_> = rows(phase).iter().map(|row| row[8]["region"].as_str().unwrap().to_owned()).collect();
        assert_eq!(shown, SIDES.map(|(region, ..)| region.to_owned()).into(), "{name}");
        let states = widgets.iter().filter(|it| it["type"] == "alarm");
        let states: BTreeSet<_> = states.flat_map(|it| texts(&it["properties"]["alarms"])).collect();
        for (other, ..) in SIDES {
            let fit = format!("arn:aws:cloudwatch:{other}:{ACCOUNT}:alarm:payment-alarm-region-{ENDING}");
            assert!(states.contains(&*fit), "{name}: {states:?}");
        }
    }
}

/// M-27: each apply publishes the phase, in each region; if that fails, the apply still succeeds.
#[tokio::test(flavor = "multi_thread")]
async fn m27_each_apply_publishes_the_phase() {
    let bench = migration().await;
    for (region, ..) in SIDES {
        let found = cloudwatch(bench, region).list_metrics().namespace("payinfra").send().await.unwrap();
        let found: Vec<_> = found.metrics().iter().filter(|it| it.metric_name() == Some("MigrationPhase")).collect();
        assert_eq!(found.len(), 1, "{region}");
        let dimensions = found[0].dimensions().iter().filter_map(|it| Some((it.name()?, it.value()?)));
        let expected = [("Phase", "migration"), ("Stack", "migration"), ("Workspace", "migration")];
        assert_eq!(dimensions.collect::<BTreeMap<_, _>>(), expected.into(), "{region}");
    }
}
