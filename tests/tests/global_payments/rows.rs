//! A test per requirement: the required resources exist, according to AWS's own responses instead of our reads.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_apigateway::types::QuotaPeriodType;
use aws_sdk_cloudwatchlogs::types::{MetricFilter, MetricTransformation};
use aws_sdk_dynamodb::types::{
    BillingMode, ContinuousBackupsStatus, KeyType, PointInTimeRecoveryStatus, ReplicaStatus, StreamSpecification,
};
use aws_sdk_lambda::types::LastUpdateStatus;
use aws_sdk_s3::types::{BucketVersioningStatus, ReplicationRuleStatus, ServerSideEncryption};
use payinfra_tests::{policy, texts};
use serde_json::Value;

use crate::{REGIONS, running};

const FUNCTION: &str = "payment-demo1-processor";

/// The role of the region's function.
fn role(region: &str) -> String {
    format!("payment-demo1-processor-{region}")
}

/// G-01: methods with a key, a validator and models, preflight methods, a usage plan with limits, and both logs.
#[tokio::test(flavor = "multi_thread")]
async fn g01_the_api_has_its_methods_models_limits_and_logs() {
    let running = running().await;
    for region in REGIONS {
        let client = aws_sdk_apigateway::Client::new(&running.bench.sdk(region));
        let api = running.output("api_id", region);
        let found = client.get_rest_api().rest_api_id(api).send().await.unwrap();
        assert_eq!(found.name(), Some("payment-demo1-api"));
        assert_eq!(found.endpoint_configuration().unwrap().types()[0].as_str(), "REGIONAL");

        let resources = client.get_resources().rest_api_id(api).embed("methods").send().await.unwrap();
        let mut methods = BTreeSet::new();
        for resource in resources.items() {
            for verb in resource.resource_methods().into_iter().flat_map(HashMap::keys) {
                let path = resource.path().unwrap().to_owned();
                let method = client.get_method().rest_api_id(api).resource_id(resource.id().unwrap()).http_method(verb);
                let method = method.send().await.unwrap_or_else(|error| panic!("{path} {verb}: {error:?}"));
                if verb == "OPTIONS" {
                    let answer = &method.method_integration().unwrap().integration_responses().unwrap()["204"];
                    let origin =
                        &answer.response_parameters().unwrap()["method.response.header.Access-Control-Allow-Origin"];
                    assert_eq!(origin, "'*'", "{path}");
                } else {
                    assert!(method.request_validator_id().is_some(), "{path} {verb}");
                    assert_eq!(method.method_integration().unwrap().r#type().unwrap().as_str(), "AWS_PROXY");
                    let responses = method.method_responses().unwrap();
                    assert!(
                        responses["200"].response_models().unwrap().contains_key("application/json"),
                        "{path} {verb}"
                    );
                }
                methods.insert((path, verb.clone(), method.api_key_required() == Some(true)));
            }
        }
        let expected = [
            ("/health", "GET", false),
            ("/health", "OPTIONS", false),
            ("/payments", "OPTIONS", false),
            ("/payments", "POST", true),
            ("/payments/{payment_id}", "GET", true),
            ("/payments/{payment_id}", "OPTIONS", false),
        ];
        assert_eq!(methods, expected.map(|(path, verb, key)| (path.to_owned(), verb.to_owned(), key)).into());
        let model = client.get_model().rest_api_id(api).model_name("NewPayment").send().await.unwrap();
        let schema: Value = serde_json::from_str(model.schema().unwrap()).unwrap();
        assert_eq!(schema["required"], serde_json::json!(["transactionId", "customerId", "amount"]));

        let stage = client.get_stage().rest_api_id(api).stage_name("v1").send().await.unwrap();
        assert!(!stage.cache_cluster_enabled());
        let access = stage.access_log_settings().unwrap();
        assert!(access.destination_arn().unwrap().ends_with("log-group:payment-demo1-api-access"), "{access:?}");
        assert!(!access.format().unwrap().contains("apiKey\""), "the key is not logged");
        let settings = &stage.method_settings().unwrap()["*/*"];
        assert_eq!((settings.logging_level(), settings.data_trace_enabled()), (Some("ERROR"), false));
        assert!(settings.metrics_enabled() && !settings.caching_enabled() && settings.throttling_rate_limit() > 0.0);

        let plans = client.get_usage_plans().send().await.unwrap();
        let plan = plans.items().iter().find(|plan| plan.api_stages().iter().any(|stage| stage.api_id() == Some(api)));
        let plan = plan.unwrap();
        assert!(plan.throttle().unwrap().rate_limit() > 0.0);
        assert_eq!(plan.quota().unwrap().period(), Some(&QuotaPeriodType::Day));
        let keys = client.get_usage_plan_keys().usage_plan_id(plan.id().unwrap()).send().await.unwrap();
        assert_eq!(keys.items()[0].id(), Some(running.output("api_key_id", region)));
    }
}

/// G-03, G-10: the function in private subnets, with its own key and destination, behind an alias.
#[tokio::test(flavor = "multi_thread")]
async fn g03_g10_the_function_is_private_encrypted_and_reports_failures() {
    let running = running().await;
    for region in REGIONS {
        let client = aws_sdk_lambda::Client::new(&running.bench.sdk(region));
        let found = client.get_function().function_name(FUNCTION).send().await.unwrap().configuration.unwrap();
        assert_eq!(found.memory_size(), Some(512));
        assert_eq!(found.runtime().unwrap().as_str(), "provided.al2023");
        assert_eq!(found.last_update_status(), Some(&LastUpdateStatus::Successful));
        assert_eq!(found.kms_key_arn(), Some(running.output("function_key_arn", region)));
        assert!(found.role().unwrap().ends_with(&role(region)), "{found:?}");
        assert_eq!(
            found.logging_config().unwrap().log_group(),
            Some(running.output("processor_log_group_name", region))
        );
        let alias = client.get_alias().function_name(FUNCTION).name("live").send().await.unwrap();
        assert_ne!(alias.function_version(), Some("$LATEST"));

        let ec2 = running.bench.ec2(region);
        let subnets = ec2.describe_subnets().set_subnet_ids(Some(found.vpc_config().unwrap().subnet_ids().to_vec()));
        let subnets = subnets.send().await.unwrap();
        assert_eq!(subnets.subnets().len(), 3);
        let private = |subnet: &aws_sdk_ec2::types::Subnet| subnet.map_public_ip_on_launch() == Some(false);
        assert!(subnets.subnets().iter().all(private));
        let vpc = running.output("vpc_id", region);
        let filter = aws_sdk_ec2::types::Filter::builder().name("vpc-id").values(vpc).build();
        let endpoints = ec2.describe_vpc_endpoints().filters(filter).send().await.unwrap();
        let kind = |endpoint: &aws_sdk_ec2::types::VpcEndpoint| {
            let service = endpoint.service_name().unwrap().rsplit('.').next().unwrap().to_owned();
            (service, endpoint.vpc_endpoint_type().unwrap().as_str().to_owned())
        };
        let found: BTreeSet<_> = endpoints.vpc_endpoints().iter().map(kind).collect();
        let expected = ["kms Interface", "logs Interface", "ssm Interface", "s3 Gateway", "dynamodb Gateway"];
        let pair = |pair: &str| pair.split_once(' ').map(|(one, two)| (one.to_owned(), two.to_owned())).unwrap();
        assert_eq!(found, expected.map(pair).into());

        let mappings =
            client.list_event_source_mappings().function_name(format!("{FUNCTION}:live")).send().await.unwrap();
        let [mapping] = mappings.event_source_mappings() else { panic!("{mappings:?}") };
        let destination = mapping.destination_config().unwrap().on_failure().unwrap().destination();
        assert_eq!(destination, Some(running.output("alarm_topic_arn", region)));
    }
}

/// G-04: the key, the index, the replica, and recovery, with a key of each region.
#[tokio::test(flavor = "multi_thread")]
async fn g04_the_table_is_global_encrypted_and_recoverable() {
    let running = running().await;
    for (region, other) in [(REGIONS[0], REGIONS[1]), (REGIONS[1], REGIONS[0])] {
        let client = aws_sdk_dynamodb::Client::new(&running.bench.sdk(region));
        let name = running.output("payments_table_name", region);
        let table = client.describe_table().table_name(name).send().await.unwrap().table.unwrap();
        let keys: Vec<_> =
            table.key_schema().iter().map(|key| (key.attribute_name(), key.key_type().clone())).collect();
        assert_eq!(keys, [("payment_id", KeyType::Hash), ("timestamp", KeyType::Range)]);
        let index = &table.global_secondary_indexes()[0];
        assert_eq!(index.key_schema()[0].attribute_name(), "status");
        assert_eq!(table.billing_mode_summary().unwrap().billing_mode(), Some(&BillingMode::PayPerRequest));
        assert_eq!(table.stream_specification().map(StreamSpecification::stream_enabled), Some(true));
        assert_eq!(
            table.sse_description().unwrap().kms_master_key_arn(),
            Some(running.output("table_key_arn", region))
        );
        let replicas =
            table.replicas().iter().filter(|replica| replica.replica_status() == Some(&ReplicaStatus::Active));
        let replicas: BTreeSet<_> = replicas.filter_map(|replica| replica.region_name()).collect();
        assert!(replicas.contains(other), "{region}: {replicas:?}");
        let backups = client.describe_continuous_backups().table_name(name).send().await.unwrap();
        let backups = backups.continuous_backups_description().unwrap();
        assert_eq!(backups.continuous_backups_status(), &ContinuousBackupsStatus::Enabled);
        let recovery = backups.point_in_time_recovery_description().unwrap();
        assert_eq!(recovery.point_in_time_recovery_status(), Some(&PointInTimeRecoveryStatus::Enabled), "{region}");
    }
}

/// G-05: versions, the region's key, archiving, replication to the other region, and a policy for the function's role only.
#[tokio::test(flavor = "multi_thread")]
async fn g05_the_audit_bucket_is_versioned_encrypted_archived_and_replicated() {
    let running = running().await;
    for (region, other) in [(REGIONS[0], REGIONS[1]), (REGIONS[1], REGIONS[0])] {
        let s3 = running.bench.s3(region);
        let bucket = running.output("audit_bucket_name", region);
        let versioning = s3.get_bucket_versioning().bucket(bucket).send().await.unwrap();
        assert_eq!(versioning.status(), Some(&BucketVersioningStatus::Enabled));
        let encryption = s3.get_bucket_encryption().bucket(bucket).send().await.unwrap();
        let rule = encryption.server_side_encryption_configuration().unwrap().rules()[0].clone();
        let default = rule.apply_server_side_encryption_by_default.unwrap();
        assert_eq!(default.sse_algorithm(), &ServerSideEncryption::AwsKms);
        assert_eq!(default.kms_master_key_id(), Some(running.output("storage_key_arn", region)));
        let lifecycle = s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await.unwrap();
        assert!(lifecycle.rules().iter().any(|rule| !rule.transitions().is_empty()), "{lifecycle:?}");
        let replication = s3.get_bucket_replication().bucket(bucket).send().await.unwrap();
        let rule = &replication.replication_configuration().unwrap().rules()[0];
        assert_eq!(rule.status(), &ReplicationRuleStatus::Enabled);
        let destination = rule.destination().unwrap();
        assert_eq!(destination.bucket(), format!("arn:aws:s3:::{}", running.output("audit_bucket_name", other)));
        let key = destination.encryption_configuration().unwrap().replica_kms_key_id();
        assert_eq!(key, Some(running.output("storage_key_arn", other)));

        let policy = s3.get_bucket_policy().bucket(bucket).send().await.unwrap();
        let policy: Value = serde_json::from_str(policy.policy().unwrap()).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let denies = |statement: &&Value| {
            let text = statement.to_string();
            statement["Effect"] == "Deny" && text.contains("s3:PutObject") && text.contains(&role(region))
        };
        assert!(statements.iter().any(|statement| denies(&statement)), "{policy:#}");
    }
}

/// G-06: business metrics, alarms that notify, and log groups that expire after a week.
#[tokio::test(flavor = "multi_thread")]
async fn g06_metrics_alarms_and_logs() {
    let running = running().await;
    for region in REGIONS {
        let sdk = running.bench.sdk(region);
        let logs = aws_sdk_cloudwatchlogs::Client::new(&sdk);
        let filters = logs.describe_metric_filters().log_group_name(running.output("processor_log_group_name", region));
        let filters = filters.send().await.unwrap();
        let metrics = filters.metric_filters().iter().flat_map(MetricFilter::metric_transformations);
        let metrics: BTreeSet<_> = metrics.map(MetricTransformation::metric_name).collect();
        assert_eq!(metrics, ["Approved", "ApprovedAmount", "Declined"].into());

        let groups = logs.describe_log_groups().send().await.unwrap();
        for output in ["processor_log_group_name", "api_access_log_group_name", "api_execution_log_group_name"] {
            let name = running.output(output, region);
            let group = groups.log_groups().iter().find(|group| group.log_group_name() == Some(name)).unwrap();
            assert_eq!(group.retention_in_days(), Some(7), "{name}");
            assert_eq!(group.kms_key_id(), Some(running.output("logs_key_arn", region)), "{name}");
        }

        let client = aws_sdk_cloudwatch::Client::new(&sdk);
        let alarms = client.describe_alarms().send().await.unwrap();
        let names: BTreeSet<_> = alarms.metric_alarms().iter().filter_map(|alarm| alarm.metric_name()).collect();
        let metric = |alarm: &&aws_sdk_cloudwatch::types::MetricAlarm, name: &str| {
            let queried = alarm.metrics().iter().filter_map(|query| query.metric_stat()?.metric()?.metric_name());
            alarm.metric_name() == Some(name) || queried.into_iter().any(|metric| metric == name)
        };
        for name in ["5XXError", "Errors", "Duration", "Throttles"] {
            assert!(alarms.metric_alarms().iter().any(|alarm| metric(&alarm, name)), "{region} {name}: {names:?}");
        }
        let topic = running.output("alarm_topic_arn", region);
        let notifies =
            |alarm: &aws_sdk_cloudwatch::types::CompositeAlarm| alarm.alarm_actions().contains(&topic.to_owned());
        let metric_notifies =
            |alarm: &aws_sdk_cloudwatch::types::MetricAlarm| alarm.alarm_actions().contains(&topic.to_owned());
        assert!(alarms.metric_alarms().iter().any(metric_notifies) || alarms.composite_alarms().iter().any(notifies));
        let sns = aws_sdk_sns::Client::new(&sdk);
        sns.get_topic_attributes().topic_arn(topic).send().await.unwrap();
    }
}

/// G-07: the role of a function has separate statements for table, bucket, keys and logs, none of them for everything.
#[tokio::test(flavor = "multi_thread")]
async fn g07_the_role_of_a_function_has_exactly_its_permissions() {
    let running = running().await;
    let iam = aws_sdk_iam::Client::new(&running.bench.sdk("us-east-1"));
    for region in REGIONS {
        let role = role(region);
        let names = iam.list_role_policies().role_name(&role).send().await.unwrap();
        let mut services = BTreeSet::new();
        for name in names.policy_names() {
            let found = iam.get_role_policy().role_name(&role).policy_name(name).send().await.unwrap();
            let policy = policy(found.policy_document());
            for statement in policy["Statement"].as_array().unwrap() {
                if statement["Effect"] == "Deny" {
                    continue;
                }
                let actions = texts(&statement["Action"]);
                for action in &actions {
                    assert!(!action.contains('*'), "{action}");
                    services.insert(action.split(':').next().unwrap().to_owned());
                }
                let network = actions.iter().all(|action| action.starts_with("ec2:"));
                let everything = texts(&statement["Resource"]).contains(&"*");
                assert!(!everything || network, "{statement:#}");
            }
        }
        for service in ["dynamodb", "s3", "kms", "logs"] {
            assert!(services.contains(service), "{role}: {services:?}");
        }
    }
}

/// G-08: keys that rotate, with policies for their services.
#[tokio::test(flavor = "multi_thread")]
async fn g08_keys_rotate_and_serve_their_services() {
    let running = running().await;
    for region in REGIONS {
        let kms = aws_sdk_kms::Client::new(&running.bench.sdk(region));
        for purpose in ["application", "function", "logs", "storage", "table"] {
            let key = running.output(&format!("{purpose}_key_arn"), region);
            let rotation = kms.get_key_rotation_status().key_id(key).send().await.unwrap();
            assert!(rotation.key_rotation_enabled(), "{purpose}");
        }
        let policy = kms.get_key_policy().key_id(running.output("logs_key_arn", region)).send().await.unwrap();
        assert!(policy.policy().unwrap().contains(&format!("logs.{region}.amazonaws.com")));
    }
}

/// G-09: the names of the table and of the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn g09_parameters_have_the_names_of_table_and_bucket() {
    let running = running().await;
    for region in REGIONS {
        let ssm = aws_sdk_ssm::Client::new(&running.bench.sdk(region));
        let parameters = ssm.get_parameters_by_path().path("/").recursive(true).send().await.unwrap();
        let values: BTreeSet<_> = parameters.parameters().iter().filter_map(|parameter| parameter.value()).collect();
        for output in ["payments_table_name", "audit_bucket_name"] {
            assert!(values.contains(running.output(output, region)), "{output}: {values:?}");
        }
    }
}

/// G-11: the outputs, without the key itself.
#[tokio::test(flavor = "multi_thread")]
async fn g11_outputs_do_not_contain_the_key() {
    let running = running().await;
    for region in REGIONS {
        for output in [
            "api_url",
            "api_key_id",
            "payments_table_name",
            "payments_table_arn",
            "audit_bucket_name",
            "processor_function_name",
            "processor_function_arn",
            "table_key_arn",
            "processor_log_group_name",
        ] {
            assert!(!running.output(output, region).is_empty(), "{output}");
        }
    }
    let (outputs, state) = (running.outputs.to_string(), running.bench.state("dev").to_string());
    for api in &running.apis {
        assert!(!outputs.contains(api.key()) && !state.contains(api.key()), "the key is a secret");
    }
}
