//! The permissions of the functions' roles, checked by the emulated AWS.

use std::fmt::Debug;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_lambda::primitives::Blob;
use payinfra_tests::api::credentials;
use payinfra_tests::load::Ledger;
use tokio::task::block_in_place;

use crate::{EXAMPLE, REGIONS, Running};

/// Policies that AWS accepts.
const BUCKET_POLICY: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::any/*"}]}"#;

/// Whether a call was denied; otherwise what happened, with its name.
fn denied<T: Debug, E: ProvideErrorMetadata + Debug>(name: &str, result: Result<T, E>) -> Option<String> {
    match result {
        // SNS has a code of its own.
        Err(error)
            if error.code().is_some_and(|code| code.starts_with("AccessDenied") || code == "AuthorizationError") =>
        {
            None
        }
        other => Some(format!("{name}: {other:?}")),
    }
}

/// Calls that the function does not need. Returns those that were not denied, and the number of calls.
async fn others(running: &Running, function: &SdkConfig, region: &str) -> (Vec<String>, usize) {
    let (table, bucket) = (running.output("payments_table_name", region), running.output("audit_bucket_name", region));
    let topic = running.output("alarm_topic_arn", region);
    let (storage, sealed) = (running.output("storage_key_arn", region), running.output("table_key_arn", region));
    let name = running.output("processor_function_name", region);
    let group = running.output("processor_log_group_name", region);
    let s3 = aws_sdk_s3::config::Builder::from(function).force_path_style(true).build();
    let s3 = aws_sdk_s3::Client::from_conf(s3);
    let dynamodb = aws_sdk_dynamodb::Client::new(function);
    let kms = aws_sdk_kms::Client::new(function);
    let lambda = aws_sdk_lambda::Client::new(function);
    let logs = aws_sdk_cloudwatchlogs::Client::new(function);
    let ssm = aws_sdk_ssm::Client::new(function);
    let secrets = aws_sdk_secretsmanager::Client::new(function);
    let sns = aws_sdk_sns::Client::new(function);
    let events = aws_sdk_eventbridge::Client::new(function);
    let trails = aws_sdk_cloudtrail::Client::new(function);
    let api = aws_sdk_apigateway::Client::new(function);
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let number = || AttributeValue::N("1".to_owned());
    let mut all = Vec::new();
    macro_rules! call {
        ($client:ident.$action:ident() $(.$set:ident($($value:expr),*))*) => {
            all.push(denied(stringify!($client.$action), $client.$action()$(.$set($($value),*))*.send().await));
        };
    }
    call!(dynamodb.delete_table().table_name(table));
    call!(dynamodb.delete_item().table_name(table).key("payment_id", text("a")).key("timestamp", number()));
    call!(dynamodb.update_item().table_name(table).key("payment_id", text("a")).key("timestamp", number()));
    call!(dynamodb.scan().table_name(table));
    call!(dynamodb.update_table().table_name(table).deletion_protection_enabled(false));
    call!(dynamodb.put_item().table_name("another").item("payment_id", text("a")));
    call!(dynamodb.list_tables());
    call!(s3.get_object().bucket(bucket).key("payments/a"));
    call!(s3.delete_object().bucket(bucket).key("payments/a"));
    call!(s3.put_object().bucket(bucket).key("elsewhere/a").body(b"a".to_vec().into()));
    call!(s3.list_objects_v2().bucket(bucket));
    call!(s3.delete_bucket().bucket(bucket));
    call!(s3.put_bucket_policy().bucket(bucket).policy(BUCKET_POLICY));
    call!(kms.schedule_key_deletion().key_id(storage));
    call!(kms.disable_key().key_id(sealed));
    call!(kms.create_key());
    call!(kms.list_keys());
    call!(lambda.update_function_configuration().function_name(name).memory_size(128));
    call!(lambda.delete_function().function_name(name));
    call!(lambda.get_function().function_name(name));
    call!(lambda.invoke().function_name(name).payload(Blob::new("{}")));
    call!(logs.delete_log_group().log_group_name(group));
    call!(logs.describe_log_groups());
    call!(ssm.get_parameter().name("/payment-demo1/table-name"));
    call!(ssm.put_parameter().name("/another").value("a"));
    call!(secrets.list_secrets());
    call!(secrets.create_secret().name("another").secret_string("a"));
    call!(sns.delete_topic().topic_arn(topic));
    call!(sns.create_topic().name("another"));
    call!(sns.list_topics());
    call!(events.list_rules());
    call!(trails.describe_trails());
    call!(api.get_rest_apis());
    call!(api.get_api_keys());
    let count = all.len();
    (all.into_iter().flatten().collect(), count)
}

/// G-07, X-04: with checked permissions, the functions take payments, and may do nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn g07_x04_a_function_can_do_what_it_needs_and_nothing_else() {
    let running = Running::start(EXAMPLE).await;
    running.bench.aws.control().check_permissions(true).await.unwrap();
    let ledger = Ledger::default();
    let counts = block_in_place(|| ledger.send(&running.apis, 4, 10));
    assert!(counts.accepted > 25 && counts.failed == 0, "{counts:?}");
    let problems = ledger.audit(&running.bench, &running.places()).await;
    assert!(problems.is_empty(), "{problems:#?}");
    for region in REGIONS {
        let (allowed, count) = others(&running, &credentials(&running.bench, region), region).await;
        assert!(allowed.is_empty(), "{allowed:#?}");
        assert!(count >= 30);
    }
}
