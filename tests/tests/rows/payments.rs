//! The payments path: from an HTTP request to the item and the audit record, in every region.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, BillingMode, PointInTimeRecoveryStatus, ReplicaStatus, SseStatus, SseType, StreamViewType,
};
use aws_sdk_s3::types::ServerSideEncryption;
use payinfra_tests::Bench;
use payinfra_tests::service::Service;
use payment_core::Homes;
use serde_json::{Value, json};

use crate::compute::definition;
use crate::{ACCOUNT, SIDES, key, migration};

const TABLE: &str = "payment-payments-migration-demo1";

fn dynamodb(bench: &Bench, region: &str) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&bench.sdk(region))
}

async fn item(bench: &Bench, region: &str, id: &str) -> Option<HashMap<String, AttributeValue>> {
    let key = AttributeValue::S(id.to_owned());
    let call = dynamodb(bench, region).get_item().table_name(TABLE).key("payment_id", key).consistent_read(true);
    call.send().await.unwrap().item
}

/// The service with the environment of the tasks in `region`.
async fn start(bench: &Bench, region: &str) -> Service {
    let definition = definition(bench, region).await;
    let container = &definition.container_definitions()[0];
    let environment = container.environment().iter();
    let environment = environment.map(|it| (it.name().unwrap().to_owned(), it.value().unwrap().to_owned()));
    Service::start(&bench.aws, &environment.collect::<Vec<_>>())
}

/// M-30, X-03, X-02: one table with a replica in the other region, each with its region's own key, point-in-time
/// recovery and the tags; pay per request, and an index by customer.
#[tokio::test(flavor = "multi_thread")]
async fn m30_x03_x02_the_table_is_in_both_regions_under_own_keys() {
    let bench = migration().await;
    let mut tags_of = Vec::new();
    for (region, other) in [("us-east-1", "us-east-2"), ("us-east-2", "us-east-1")] {
        let client = dynamodb(bench, region);
        let answer = client.describe_table().table_name(TABLE).send().await.unwrap();
        let table = answer.table().unwrap();
        let mode = table.billing_mode_summary().unwrap().billing_mode();
        assert_eq!(mode, Some(&BillingMode::PayPerRequest), "{region}");
        let sse = table.sse_description().unwrap();
        let expected = key(bench, region, "application").await;
        assert_eq!((sse.status(), sse.sse_type()), (Some(&SseStatus::Enabled), Some(&SseType::Kms)), "{region}");
        assert_eq!(sse.kms_master_key_arn(), Some(&expected[..]), "{region}");
        let stream = table.stream_specification().unwrap().stream_view_type();
        assert_eq!(stream, Some(&StreamViewType::NewAndOldImages), "{region}");
        let replicas = table.replicas().iter().map(|it| (it.region_name().unwrap(), it.replica_status().unwrap()));
        assert_eq!(replicas.collect::<Vec<_>>(), [(other, &ReplicaStatus::Active)], "{region}");
        let indexes = table.global_secondary_indexes().iter().filter_map(|index| index.index_name());
        let mut indexes: Vec<_> = indexes.collect();
        indexes.sort_unstable();
        assert_eq!(indexes, ["audit-pending", "by-customer"], "{region}");
        assert_eq!(table.deletion_protection_enabled(), Some(false), "{region}: only payinfra protects it");

        let backups = client.describe_continuous_backups().table_name(TABLE).send().await.unwrap();
        let backups = backups.continuous_backups_description().unwrap();
        let recovery = backups.point_in_time_recovery_description().unwrap().point_in_time_recovery_status();
        assert_eq!(recovery, Some(&PointInTimeRecoveryStatus::Enabled), "{region}");

        let arn = format!("arn:aws:dynamodb:{region}:{ACCOUNT}:table/{TABLE}");
        let tags = client.list_tags_of_resource().resource_arn(&arn).send().await.unwrap();
        let mut tags: Vec<_> = tags.tags().iter().map(|it| (it.key().to_owned(), it.value().to_owned())).collect();
        tags.sort();
        assert!(tags.contains(&("MigrationPhase".to_owned(), "migration".to_owned())), "{region}: {tags:?}");
        tags_of.push(tags);
    }
    assert_eq!(tags_of[0], tags_of[1]);
}

/// M-30: a request to the service in either region stores the payment, which is then in both, and an audit record with
/// the region's storage key; the service returns it. A repeat of the request gets the same response and writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn m30_a_payment_over_http_is_stored_in_both_regions_and_audited() {
    let bench = migration().await;
    let outputs = bench.outputs("migration");
    for (region, ..) in SIDES {
        let service = start(bench, region).await;
        assert_eq!(service.get("/health").body, json!({ "status": "ok", "region": region, "phase": "migration" }));
        assert_eq!(service.get("/health?deep").status, 200);

        // An id of each region: the service that receives the request is not always in the id's region.
        let mut ids = (1..).map(|number| format!("order-{number}.{region}"));
        let homes = Homes::new(SIDES.map(|(region, ..)| region)).unwrap();
        let id = ids.find(|id| homes.of(id) == region).unwrap();
        let other = ids.find(|id| homes.of(id) != region).unwrap();
        assert_eq!(
            service.pay(&json!({ "transactionId": other, "customerId": "c", "amount": 1 }).to_string()).status,
            200
        );
        let away = item(bench, region, &other).await.unwrap();
        assert_eq!(
            (away["region"].as_s().unwrap().as_str(), away["audit"].as_s().unwrap().as_str()),
            (homes.of(&other), "written")
        );
        let body =
            json!({ "transactionId": id, "customerId": "c-42", "amount": 1234.5, "currency": "EUR" }).to_string();
        let first = service.pay(&body);
        assert_eq!(first.status, 200, "{first:?}");
        for (name, value) in
            [("transactionId", &id[..]), ("customerId", "c-42"), ("amount", "1234.50"), ("currency", "EUR")]
        {
            assert_eq!(first.body[name], value, "{first:?}");
        }
        for (side, ..) in SIDES {
            let item = item(bench, side, &id).await.unwrap();
            let text = |name: &str| item[name].as_s().unwrap().as_str();
            assert_eq!((text("customer_id"), text("amount"), text("currency")), ("c-42", "1234.50", "EUR"), "{side}");
            assert_eq!((text("region"), text("phase")), (region, "migration"), "{side}");
            assert_eq!(text("accepted_at"), first.body["acceptedAt"], "{side}");
        }

        let bucket = outputs[format!("audit_trail_bucket_name_{}", region.replace('-', "_"))].as_str().unwrap();
        let s3 = bench.s3(region);
        let listed = s3.list_object_versions().bucket(bucket).prefix("payments/").send().await.unwrap();
        let ours = listed.versions().iter().filter(|it| it.key().unwrap().contains(&id)).collect::<Vec<_>>();
        assert_eq!(ours.len(), 1, "{ours:?}");
        let object = s3.get_object().bucket(bucket).key(ours[0].key().unwrap()).send().await.unwrap();
        assert_eq!(object.server_side_encryption(), Some(&ServerSideEncryption::AwsKms), "{bucket}");
        assert_eq!(object.ssekms_key_id(), Some(&key(bench, region, "storage").await[..]), "{bucket}");
        let record: Value = serde_json::from_slice(&object.body.collect().await.unwrap().to_vec()).unwrap();
        for (name, value) in [("event", "payment.accepted"), ("transactionId", &id[..]), ("amount", "1234.50")] {
            assert_eq!(record[name], value, "{record}");
        }
        assert_eq!(
            record["contentHash"],
            format!("sha256:{}", item(bench, region, &id).await.unwrap()["content_hash"].as_s().unwrap())
        );

        let again = service.pay(&body.replace("1234.5", "1234.50"));
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(service.get(&format!("/payments/{id}")).body, first.body);
        let listed = s3.list_object_versions().bucket(bucket).prefix("payments/").send().await.unwrap();
        assert_eq!(listed.versions().iter().filter(|it| it.key().unwrap().contains(&id)).count(), 1);
    }
}

/// M-30, P-09: the same id with other content is rejected in both regions, and so is an invalid body, with the reason;
/// nothing of it is stored.
#[tokio::test(flavor = "multi_thread")]
async fn m30_p09_other_content_and_wrong_bodies_are_refused() {
    let bench = migration().await;
    let [(one, ..), (other, ..)] = SIDES;
    let services = [start(bench, one).await, start(bench, other).await];
    let body = |amount: &str| format!(r#"{{"transactionId":"taken","customerId":"c-1","amount":{amount}}}"#);
    assert_eq!(services[0].pay(&body("10")).status, 200);
    for service in &services {
        let answer = service.pay(&body("10.01"));
        let error = "a different payment with this transactionId exists";
        assert_eq!((answer.status, answer.body), (409, json!({ "error": error, "transactionId": "taken" })));
    }
    for side in ["us-east-1", "us-east-2"] {
        assert_eq!(item(bench, side, "taken").await.unwrap()["amount"], AttributeValue::S("10.00".to_owned()));
    }
    for (body, field, reason) in [
        ("{}", "transactionId", "transactionId is missing"),
        (r#"{"transactionId":"wrong"}"#, "customerId", "customerId is missing"),
        (r#"{"transactionId":"wrong","customerId":"c"}"#, "amount", "amount is missing"),
        (
            r#"{"transactionId":"wrong","customerId":"c","amount":"ten"}"#,
            "amount",
            "amount must be a decimal number such as 12.50, without exponent or sign",
        ),
        (
            r#"{"transactionId":"wrong","customerId":"c","amount":0.001}"#,
            "amount",
            "amount must have at most 2 decimals in USD",
        ),
    ] {
        let answer = services[1].pay(body);
        assert_eq!((answer.status, answer.body), (400, json!({ "error": reason, "field": field })), "{body}");
    }
    assert_eq!(item(bench, "us-east-1", "wrong").await, None);
    assert_eq!(services[1].get("/payments/wrong").status, 404);
}

/// M-30, M-02, M-03: the next phase adds the other region's replica to the existing table with its content, and
/// reverting the phase only removes the replica.
#[tokio::test(flavor = "multi_thread")]
async fn m30_m02_m03_the_copy_comes_and_goes_with_the_phase() {
    let bench = Bench::new().await;
    let legacy = bench.configuration();
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    let name = "payment-payments-legacy-demo1";
    let (near, far) = (dynamodb(&bench, "us-east-1"), dynamodb(&bench, "us-east-2"));
    let put = near.put_item().table_name(name).item("payment_id", AttributeValue::S("before".to_owned()));
    put.send().await.unwrap();
    assert!(far.describe_table().table_name(name).send().await.is_err());
    let made = near.describe_table().table_name(name).send().await.unwrap().table.unwrap().table_id;

    bench.configure(&legacy.replace("phase = \"legacy\"", "phase = \"migration\""));
    bench.run(&["apply", "--workspace", "legacy", "--yes"]).ok();
    let get = far.get_item().table_name(name).key("payment_id", AttributeValue::S("before".to_owned()));
    assert!(get.send().await.unwrap().item.is_some(), "the replica has the earlier content");

    bench.configure(&legacy);
    bench.run(&["apply", "--workspace", "legacy", "--yes", "--accept-loss"]).ok();
    assert!(far.describe_table().table_name(name).send().await.is_err());
    let table = near.describe_table().table_name(name).send().await.unwrap().table.unwrap();
    assert_eq!((table.table_id, table.item_count), (made, Some(1)), "the table itself was kept");
}
