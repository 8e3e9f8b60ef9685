//! G-12: payments over HTTP, through API Gateway and the running function, into tables and buckets.

use std::fs;

use payinfra_tests::Bench;
use payinfra_tests::api::Api;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{REGIONS, bench};

/// The applied example, and its APIs by region, read from the file of flat outputs.
async fn running() -> &'static (Bench, Vec<Api>) {
    static RUNNING: OnceCell<(Bench, Vec<Api>)> = OnceCell::const_new();
    let start = || async {
        let bench = bench().await;
        bench.run(&["apply", "--yes"]).ok();
        let outputs = fs::read_to_string(bench.file("cfn-outputs/flat-outputs.json")).unwrap();
        let outputs: Value = serde_json::from_str(&outputs).unwrap();
        let mut apis = Vec::new();
        for region in REGIONS {
            apis.push(Api::of(&bench, &outputs, region).await);
        }
        (bench, apis)
    };
    RUNNING.get_or_init(start).await
}

fn payment(id: &str) -> String {
    json!({ "transactionId": id, "customerId": "c-1", "amount": "12.50" }).to_string()
}

/// G-12: a payment is in the table and in the audit bucket of its home region, whichever region it was sent to.
#[tokio::test(flavor = "multi_thread")]
async fn g12_payments_are_taken_in_both_regions() {
    let (_bench, apis) = running().await;
    for (number, api) in apis.iter().enumerate() {
        let id = format!("order-{number}");
        let answer = api.pay(&payment(&id));
        assert_eq!(answer.status, 200, "{answer:?}");
        for api in apis {
            let stored = api.get(&id);
            assert_eq!(stored.status, 200, "{stored:?}");
        }
    }
}
