//! Lost answers and broken connections between us and S3.

use payinfra_engine::{Class, Store};
use payinfra_localstack::{Fault, When};
use payinfra_state::S3Store;

use crate::bench::{BUCKET, Faults, aws, calls, config, fails, name};

#[tokio::test]
async fn an_answer_that_is_lost_is_settled_by_reading() {
    let faults = Faults::none().await;
    for (host, fault) in [
        ("lost-after", Fault::Reset { when: When::After }),
        ("lost-before", Fault::Reset { when: When::Before }),
        ("lost-503", Fault::Error { status: 503 }),
        ("lost-500", Fault::Error { status: 500 }),
        ("in-conflict", Fault::Error { status: 409 }),
        ("lost-slow-down", Fault::Throttle),
    ] {
        let store = S3Store::new(&config(host).await, BUCKET, "stack", &name());
        // The first attempt of each write is hit, and a read in between as well.
        faults.set([
            (calls(host, "s3", "PutObject").nth(1), fault.clone()),
            (calls(host, "s3", "GetObject").nth(1), Fault::Truncate),
        ]);
        let first = store.save(b"first", None).await.expect(host);
        faults.set([(calls(host, "s3", "PutObject").nth(1), fault)]);
        let second = store.save(b"second", Some(&first)).await.expect(host);
        let stored = store.load().await.unwrap().unwrap();
        assert_eq!((&stored.bytes[..], &stored.version), (&b"second"[..], &second), "{host}");
        fails(store.save(b"third", Some(&first)).await, Class::Stale);
    }
}

#[tokio::test]
async fn a_lost_answer_is_not_taken_for_somebody_elses_write() {
    let _faults = Faults::none().await;
    let workspace = name();
    let ours = S3Store::new(&config("cut").await, BUCKET, "stack", &workspace);
    let theirs = S3Store::new(&config("quick").await, BUCKET, "stack", &workspace);
    let version = theirs.save(b"before", None).await.unwrap();
    let mut hold = aws().await.hold(calls("cut", "s3", "PutObject").nth(1), When::Before);
    let over = version.clone();
    let save = tokio::spawn(async move { ours.save(b"ours", Some(&over)).await });
    let stopped = hold.next().await.unwrap();
    theirs.save(b"theirs", Some(&version)).await.unwrap();
    stopped.reset();
    fails(save.await.unwrap(), Class::Stale);
    assert_eq!(theirs.load().await.unwrap().unwrap().bytes, b"theirs");
}

#[tokio::test]
async fn patience_has_an_end() {
    let faults = Faults::none().await;
    let store = S3Store::new(&config("patient").await, BUCKET, "stack", &name());
    faults.set([(calls("patient", "s3", "PutObject"), Fault::Error { status: 500 })]);
    let error = fails(store.save(b"never", None).await, Class::Ambiguous);
    assert_eq!(error.get_call(), Some("s3:PutObject"));
    assert_eq!(store.load().await.unwrap(), None);
}

#[tokio::test]
async fn a_missing_bucket_is_told_with_what_to_do() {
    let store = S3Store::new(&config("test").await, "payinfra-state-nowhere", "stack", "one");
    let load = fails(store.load().await, Class::Failed);
    let save = fails(store.save(b"state", None).await, Class::Failed);
    let kept = fails(store.kept().await, Class::Failed);
    for error in [load, save, kept] {
        assert!(error.message().contains("payinfra-state-nowhere"), "{error}");
        assert!(error.get_hint().unwrap().contains("payinfra bootstrap"), "{error}");
    }
}
