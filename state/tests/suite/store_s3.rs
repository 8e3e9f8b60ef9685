//! Lost responses and broken connections to S3, buckets of others, and versions.

use payinfra_engine::{Class, Error, Store};
use payinfra_localstack::{ACCOUNT_ID, Fault, When};
use payinfra_state::S3Store;

use crate::bench::{BUCKET, Faults, aws, calls, config, fails, name};
use crate::owners::{BLIND, CLOSED, OPEN, SEALED, plain};

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
        let store = S3Store::new(&config(host).await, ACCOUNT_ID, BUCKET, "stack", &name());
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
    let ours = S3Store::new(&config("cut").await, ACCOUNT_ID, BUCKET, "stack", &workspace);
    let theirs = S3Store::new(&config("quick").await, ACCOUNT_ID, BUCKET, "stack", &workspace);
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
    let store = S3Store::new(&config("patient").await, ACCOUNT_ID, BUCKET, "stack", &name());
    faults.set([(calls("patient", "s3", "PutObject"), Fault::Error { status: 500 })]);
    let error = fails(store.save(b"never", None).await, Class::Ambiguous);
    assert_eq!(error.get_call(), Some("s3:PutObject"));
    assert_eq!(store.load().await.unwrap(), None);
}

#[tokio::test]
async fn a_missing_bucket_is_told_with_what_to_do() {
    let store = S3Store::new(&config("test").await, ACCOUNT_ID, "payinfra-state-nowhere", "stack", "one");
    let load = fails(store.load().await, Class::Failed);
    let save = fails(store.save(b"state", None).await, Class::Failed);
    let kept = fails(store.kept().await, Class::Failed);
    let versions = fails(store.versions().await, Class::Failed);
    for error in [load, save, kept, versions] {
        assert!(error.message().contains("payinfra-state-nowhere"), "{error}");
        assert!(error.get_hint().unwrap().contains("payinfra bootstrap"), "{error}");
    }
}

/// The error of every call of the store.
async fn failures(store: &S3Store, class: Class) -> Vec<Error> {
    vec![
        fails(store.load().await, class),
        fails(store.save(b"secret", None).await, class),
        fails(store.keep("1.json", b"secret").await, class),
        fails(store.kept().await, class),
        fails(store.recall("1.json").await, class),
        fails(store.versions().await, class),
        fails(store.load_version("null").await, class),
        fails(store.append(1, b"secret").await, class),
        fails(store.entries(0).await, class),
        fails(store.entry(1).await, class),
        fails(store.prune(1).await, class),
    ]
}

#[tokio::test]
async fn a_bucket_of_another_account_is_neither_read_nor_written() {
    let config = config("test").await;
    for kind in [OPEN, CLOSED] {
        let bucket = format!("{kind}{}", name());
        // For the emulator it is ours; it does not emulate a closed one.
        let s3 = plain(&config);
        if kind == OPEN {
            s3.create_bucket().bucket(&bucket).send().await.unwrap();
        }
        let store = S3Store::new(&config, ACCOUNT_ID, &bucket, "stack", "one");
        for error in failures(&store, Class::Foreign).await {
            assert!(error.message().contains(&format!("`{bucket}` does not belong to account")), "{error}");
            assert!(error.message().contains("nothing was read or written"), "{error}");
            assert!(error.get_call().is_some_and(|call| call.starts_with("s3:")), "{error}");
            let hint = error.get_hint().unwrap();
            assert!(hint.contains("`bucket` in `[state]`") && hint.contains("of your own"), "{hint}");
        }
        if kind == OPEN {
            let there = s3.list_objects_v2().bucket(&bucket).send().await.unwrap();
            assert!(there.contents().is_empty(), "{there:?}");
        }
    }
}

#[tokio::test]
async fn a_lack_of_permissions_is_not_blamed_on_a_stranger() {
    let bucket = format!("{SEALED}{}", name());
    let seen = config("test").await;
    plain(&seen).create_bucket().bucket(&bucket).send().await.unwrap();
    let store = S3Store::new(&seen, ACCOUNT_ID, &bucket, "stack", "one");
    for error in failures(&store, Class::Denied).await {
        assert_eq!((error.message(), error.get_code()), ("Access Denied", Some("AccessDenied")));
    }
    // Without permission to list buckets, the cause is unknown, so both are shown.
    let store = S3Store::new(&config(BLIND).await, ACCOUNT_ID, &format!("{CLOSED}{}", name()), "stack", "one");
    for error in failures(&store, Class::Denied).await {
        assert!(
            error.message().contains("the credentials lack a permission, or the bucket does not belong"),
            "{error}"
        );
        assert!(error.get_hint().unwrap().contains("`bucket` in `[state]`"), "{error}");
    }
}

#[tokio::test]
async fn versions_lead_back_to_what_was_deleted() {
    let (config, workspace) = (config("test").await, name());
    let store = S3Store::new(&config, ACCOUNT_ID, BUCKET, "stack", &workspace);
    assert!(store.versions().await.unwrap().is_empty());
    // Another object with the same prefix is not a version.
    let beside = format!("stack/{workspace}/state.json.bak");
    let s3 = plain(&config);
    s3.put_object().bucket(BUCKET).key(&beside).body(b"other".to_vec().into()).send().await.unwrap();
    assert!(store.versions().await.unwrap().is_empty());

    let first = store.save(b"first", None).await.unwrap();
    store.save(b"second one", Some(&first)).await.unwrap();
    let there = store.versions().await.unwrap();
    assert_eq!(there.iter().map(|it| (it.size, it.deleted)).collect::<Vec<_>>(), [(10, false), (5, false)]);
    for (version, bytes) in there.iter().zip([&b"second one"[..], b"first"]) {
        assert_eq!(store.load_version(&version.id).await.unwrap().unwrap(), bytes);
        assert!(version.modified.starts_with("20") && version.modified.ends_with('Z'), "{version:?}");
    }
    let key = format!("stack/{workspace}/state.json");
    s3.delete_object().bucket(BUCKET).key(&key).send().await.unwrap();
    assert_eq!(store.load().await.unwrap(), None);
    let lost = store.versions().await.unwrap();
    let kinds: Vec<_> = lost.iter().map(|it| it.deleted).collect();
    assert_eq!(kinds, [true, false, false]);
    assert_eq!(lost[1..], there[..]);
    assert_eq!(store.load_version(&lost[0].id).await.unwrap(), None);
    // A deleted state is written again like a first one.
    let back = store.load_version(&lost[1].id).await.unwrap().unwrap();
    store.save(&back, None).await.unwrap();
    assert_eq!(store.load().await.unwrap().unwrap().bytes, b"second one");
    assert_eq!(store.versions().await.unwrap().len(), 4);
}

#[tokio::test]
async fn all_pages_of_versions_are_read() {
    let (config, workspace) = (config("test").await, name());
    let store = S3Store::new(&config, ACCOUNT_ID, BUCKET, "stack", &workspace);
    let key = format!("stack/{workspace}/state.json");
    let s3 = plain(&config);
    // The page size of S3 is a thousand.
    let writes = (0..1010).map(|_| s3.put_object().bucket(BUCKET).key(&key).body(b"state".to_vec().into()).send());
    for written in futures_util::future::join_all(writes).await {
        written.unwrap();
    }
    let there = store.versions().await.unwrap();
    assert_eq!(there.len(), 1010);
    let ids: std::collections::BTreeSet<_> = there.iter().map(|version| &version.id).collect();
    assert_eq!(ids.len(), 1010);
}
