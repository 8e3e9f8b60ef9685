//! The invariant checker over the whole life of a workspace: no call leaves requests without a healthy target, or data
//! that is written in one region without a copy in the other.

#![expect(clippy::unwrap_used, reason = "a test")]

use payinfra_tests::{Bench, example};

const MIGRATION: [&str; 2] = ["--workspace", "migration"];

/// The stores that the payment service writes to.
const STORES: [&str; 3] =
    ["payment-payments-migration-demo1", "payment-audit-trail-migration-*", "payment-transactions-migration-*"];

fn run(bench: &Bench, command: &str) {
    bench.run(&bench.consenting(&[&[command], &MIGRATION[..]].concat())).expect(0);
}

/// M-03, M-20, M-25: from nothing to two regions, with another image and other weights, and back to nothing.
#[tokio::test(flavor = "multi_thread")]
async fn m03_m20_m25_two_regions_serve_without_interruption() {
    let bench = Bench::new().await;
    bench.follow(&STORES).await;
    run(&bench, "apply");
    assert_eq!(bench.violations().await, Vec::<String>::new(), "apply");
    let image = "# image = \"public.ecr.aws/payinfra/payment-service:1.0.0\"";
    let next = image.trim_start_matches("# ").replace("1.0.0", "1.0.1");
    bench.configure(&example().replace(image, &next));
    run(&bench, "apply");
    assert_eq!(bench.violations().await, Vec::<String>::new(), "another image");

    // What somebody else breaks is found.
    let s3 = bench.s3("us-east-1");
    let buckets = s3.list_buckets().send().await.unwrap();
    let names = buckets.buckets().iter().filter_map(|bucket| bucket.name());
    let bucket = names.into_iter().find(|name| name.starts_with("payment-audit-trail-migration-demo1-us-east-1"));
    s3.delete_bucket_replication().bucket(bucket.unwrap()).send().await.unwrap();
    let broken = format!("bucket {} in us-east-1 is written to, but not replicated to us-east-2", bucket.unwrap());
    let violations = bench.violations().await;
    assert!(violations.len() == 1 && violations[0].ends_with(&broken), "{violations:?}");

    bench.follow(&[]).await;
    run(&bench, "destroy");
    assert_eq!(bench.violations().await, Vec::<String>::new(), "destroy");
}
