//! A test per requirement: the required resources exist, according to AWS's own responses instead of our reads.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test")]

mod compute;
mod database;
mod edge;
mod legacy;
mod monitoring;
mod network;
mod payments;
mod protection;
mod remote;
mod secrets;
mod security;
mod storage;
mod tags;
mod traffic;

use payinfra_tests::{Bench, policy, texts};
use tokio::sync::OnceCell;

/// A region, its CIDR block, and the other one's.
const SIDES: [(&str, &str, &str); 2] =
    [("us-east-1", "10.0.0.0/16", "10.1.0.0/16"), ("us-east-2", "10.1.0.0/16", "10.0.0.0/16")];
const ACCOUNT: &str = "123456789012";

/// The workspace `migration`, applied once for all tests; it ends with the process.
async fn migration() -> &'static Bench {
    static BENCH: OnceCell<Bench> = OnceCell::const_new();
    let applied = || async {
        let bench = Bench::new().await;
        bench.run(&["apply", "--workspace", "migration", "--yes"]).ok();
        bench
    };
    BENCH.get_or_init(applied).await
}

/// The ARN of the region's key for `purpose`, by its alias.
async fn key(bench: &Bench, region: &str, purpose: &str) -> String {
    let kms = aws_sdk_kms::Client::new(&bench.sdk(region));
    let alias = format!("alias/payment-{purpose}-migration-demo1");
    let key = kms.describe_key().key_id(alias).send().await.unwrap();
    key.key_metadata().unwrap().arn().unwrap().to_owned()
}
