//! The life of the stack: applied, planned again, drifted, destroyed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{EXAMPLE, STRONG, bench};

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

/// G-09, G-11: the value of the API key is in API Gateway and in an encrypted parameter, and `output --show-sensitive`
/// reads it; nothing else that the runs print or store has it.
#[tokio::test(flavor = "multi_thread")]
async fn g09_g11_the_value_of_the_api_key_is_only_in_aws() {
    let bench = bench(EXAMPLE).await;
    let texts = |arguments: &[&str]| {
        let outcome = bench.run(arguments).ok();
        outcome.stdout.clone() + &outcome.stderr
    };
    let mut told = texts(&["apply", "--yes", "-vv"]);
    let outputs = bench.outputs("dev");
    let mut values = BTreeMap::new();
    for region in ["us-east-1", "us-west-2"] {
        let output = format!("api_key_id_{}", region.replace('-', "_"));
        let call = aws_sdk_apigateway::Client::new(&bench.sdk(region)).get_api_key();
        let key = call.api_key(outputs[&output].as_str().unwrap()).include_value(true).send().await.unwrap();
        let call = aws_sdk_ssm::Client::new(&bench.sdk(region)).get_parameter().name("/payment-demo1-api-key");
        let parameter = call.with_decryption(true).send().await.unwrap().parameter.unwrap();
        assert_eq!((parameter.r#type.unwrap().as_str(), &parameter.value), ("SecureString", &key.value), "{region}");
        values.insert(format!("{output}.value"), key.value.unwrap());
    }

    for command in [&["plan", "--json"][..], &["drift"], &["output"], &["output", "--json"], &["state", "pull"]] {
        told.push_str(&texts(command));
    }
    let s3 = bench.s3("us-east-1");
    let bucket = "payinfra-state-123456789012";
    let objects = s3.list_objects_v2().bucket(bucket).send().await.unwrap().contents.unwrap();
    for object in &objects {
        let call = s3.get_object().bucket(bucket).key(object.key().unwrap()).send().await.unwrap();
        told.push_str(&String::from_utf8_lossy(&call.body.collect().await.unwrap().to_vec()));
    }
    assert!(told.contains("apigateway.api-key") && objects.len() > 1);
    assert!(values.values().all(|value| value.len() >= 20 && !told.contains(value)));

    let shown: BTreeMap<String, String> =
        serde_json::from_str(&bench.run(&["output", "--json", "--show-sensitive"]).ok().stdout).unwrap();
    for (output, value) in &values {
        assert_eq!(&shown[output], value);
        let one = bench.run(&["output", output, "--show-sensitive"]).ok();
        assert_eq!(one.stdout.trim(), value);
        let hidden = bench.run(&["output", output]).expect(1);
        assert!(hidden.stderr.contains(&format!("output `{output}` not found")), "{}", hidden.stderr);
    }
    // Of the other resources, only the path of the health check is a secret argument.
    let without: BTreeMap<String, Value> = serde_json::from_str(&bench.run(&["output", "--json"]).ok().stdout).unwrap();
    let added: Vec<_> = shown.keys().filter(|output| !without.contains_key(*output)).collect();
    assert_eq!(added.iter().filter(|output| output.starts_with("api_key")).count(), 2, "{added:?}");
    assert!(
        added.iter().all(|output| output.starts_with("api_key") || output.ends_with(".resource_path")),
        "{added:?}"
    );

    // What others write is drift, and is repaired.
    let ssm = aws_sdk_ssm::Client::new(&bench.sdk("us-west-2"));
    let call = ssm.put_parameter().name("/payment-demo1-api-key").value("theirs").overwrite(true);
    call.send().await.unwrap();
    let drift = bench.run(&["drift"]).expect(2);
    assert!(drift.stdout.contains("us-west-2/ssm.api-key-parameter/api-key"), "{}", drift.stdout);
    bench.run(&["apply", "--yes"]).ok();
    let call = ssm.get_parameter().name("/payment-demo1-api-key").with_decryption(true);
    let repaired = call.send().await.unwrap().parameter.unwrap().value;
    assert_eq!(repaired.as_ref(), values.get("api_key_id_us_west_2.value"));
}

/// G-04: a strongly consistent table with a witness, in both regions; nothing is planned afterwards, and it goes as a whole.
#[tokio::test(flavor = "multi_thread")]
async fn g04_a_strongly_consistent_table_lives_and_leaves_nothing() {
    let bench = bench(&EXAMPLE.replace("[defaults.api]", &format!("{STRONG}\n[defaults.api]"))).await;
    bench.run(&["apply", "--yes"]).ok();
    bench.run(&["plan", "--exit-code"]).ok();
    bench.run(&["drift"]).ok();
    for region in ["us-east-1", "us-west-2"] {
        let call =
            aws_sdk_dynamodb::Client::new(&bench.sdk(region)).describe_table().table_name("payment-demo1-payments");
        let found = call.send().await.unwrap().table.unwrap();
        assert_eq!(found.multi_region_consistency().unwrap().as_str(), "STRONG", "{region}");
        let witnesses: Vec<_> = found.global_table_witnesses().iter().filter_map(|it| it.region_name()).collect();
        assert_eq!(witnesses, ["us-east-2"], "{region}");
        let call = aws_sdk_lambda::Client::new(&bench.sdk(region)).get_function_configuration();
        let function = call.function_name("payment-demo1-processor").send().await.unwrap();
        assert_eq!(function.environment.unwrap().variables.unwrap()["CONSISTENCY"], "strong", "{region}");
    }
    // Before anything of the function changes.
    bench.configure(EXAMPLE);
    let refused = bench.run(&["apply", "--yes"]).expect(1);
    let expected = "the consistency of the table `payment-demo1-payments` cannot be changed";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    bench.run(&["destroy", "--yes", "--accept-loss"]).ok();
    let orphans = bench.run(&["sweep"]).ok();
    assert!(orphans.stdout.contains("No orphaned resources"), "{}", orphans.stdout);
}
