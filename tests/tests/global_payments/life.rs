//! The life of the stack: applied, planned again, drifted, destroyed.

use crate::{EXAMPLE, bench};

/// G-01 to G-11: everything is created, nothing is planned afterwards, drift is found and repaired, and a destroy leaves
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn g01_g11_the_example_lives_and_leaves_nothing() {
    let bench = bench(EXAMPLE).await;
    bench.run(&["apply", "--yes"]).ok();
    bench.run(&["plan", "--exit-code"]).ok();
    bench.run(&["drift"]).ok();
    let outputs = bench.outputs("dev");
    for (output, start) in [
        ("api_url_us_east_1", "https://"),
        ("api_key_id_us_west_2", ""),
        ("payments_table_name", "payment-demo1-payments"),
        ("payments_table_arn_us_west_2", "arn:aws:dynamodb:us-west-2:"),
        ("audit_bucket_name_us_west_2", "payment-demo1-audit-us-west-2-"),
        ("processor_function_arn_us_east_1", "arn:aws:lambda:us-east-1:"),
        ("function_key_arn_us_west_2", "arn:aws:kms:us-west-2:"),
        ("processor_log_group_name_us_east_1", "/aws/lambda/payment-demo1-processor"),
        ("api_access_log_group_name_us_west_2", "payment-demo1-api-access"),
    ] {
        let value = outputs[output].as_str().unwrap();
        assert!(!value.is_empty() && value.starts_with(start), "{output}: {value}");
    }

    let lambda = aws_sdk_lambda::Client::new(&bench.sdk("us-west-2"));
    let name = "payment-demo1-processor";
    lambda.update_function_configuration().function_name(name).memory_size(1024).send().await.unwrap();
    let drift = bench.run(&["drift"]).expect(2);
    assert!(drift.stdout.contains("us-west-2/lambda.function/processor"), "{}", drift.stdout);
    bench.run(&["apply", "--yes"]).ok();
    let found = lambda.get_function_configuration().function_name(name).send().await.unwrap();
    assert_eq!(found.memory_size(), Some(512));

    bench.run(&["destroy", "--yes", "--accept-loss"]).ok();
    let orphans = bench.run(&["sweep"]).ok();
    assert!(orphans.stdout.contains("No orphaned resources"), "{}", orphans.stdout);
}
