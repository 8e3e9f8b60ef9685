//! An accepted payment is complete (M-30): clients that disconnect at random, transient failures of AWS, and a process
//! that is killed ten times leave no payment without an audit record, and none with two.
//!
//! `cargo test --workspace --test whole -- --ignored five_thousand` runs it in full and writes
//! `tests/results/payments.md`.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use payinfra_localstack::{Emulator, Fault, Match, Rule, When};
use payinfra_tests::service::{account, audited, is_audited, items, payment, raw, start};
use serde_json::Value;
use tokio::task::spawn_blocking;

/// The number of concurrent clients.
const CLIENTS: usize = 12;
/// The number of kills.
const KILLS: usize = 10;

/// The clients' observations.
#[derive(Default)]
struct Seen {
    /// Payments with a 200 response.
    accepted: Mutex<BTreeSet<String>>,
    /// Payments that `GET` returned as accepted before their audit record existed.
    early: Mutex<Vec<String>>,
    hung_up: AtomicUsize,
    asked: AtomicUsize,
}

/// A fixed seed.
fn random(seed: usize) -> usize {
    let mut number = (seed as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((number ^ (number >> 31)) >> 33).unwrap()
}

/// Sends `request`, all of it or the beginning, and reads the response or does not. A process that is being killed has
/// none.
fn talk(mut stream: TcpStream, request: &[u8], read: bool) -> Option<(u16, Value)> {
    stream.set_read_timeout(Some(Duration::from_mins(1))).ok()?;
    stream.write_all(request).ok()?;
    if !read {
        return None;
    }
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).ok()?;
        text.extend_from_slice(&buffer[..count]);
        let answer = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = answer.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            return Some((head.split(' ').nth(1)?.parse().ok()?, body));
        }
        if count == 0 {
            return None;
        }
    }
}

/// A connection to the current process, as soon as it accepts one.
async fn connect(address: &Mutex<SocketAddr>) -> TcpStream {
    loop {
        let here = *address.lock().unwrap();
        if let Ok(stream) = TcpStream::connect(here) {
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Sends payments and reads, as impatient clients do.
async fn client(
    aws: Arc<Emulator>,
    address: Arc<Mutex<SocketAddr>>,
    seen: Arc<Seen>,
    next: Arc<AtomicUsize>,
    count: usize,
) {
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number >= count {
            return;
        }
        let id = format!("t-{number}");
        let (request, stream) = (raw(&payment(&id)), connect(&address).await);
        // A quarter disconnect after the request is sent, a tenth in the middle.
        let (whole, read) = match random(number) % 20 {
            0 | 1 => (random(number + count) % request.len(), false),
            2..=6 => (request.len(), false),
            _ => (request.len(), true),
        };
        seen.hung_up.fetch_add(usize::from(!read), Ordering::SeqCst);
        let answer = spawn_blocking(move || talk(stream, &request[..whole], read)).await.unwrap();
        if answer.is_some_and(|(status, _)| status == 200) {
            seen.accepted.lock().unwrap().insert(id.clone());
        }
        if number.is_multiple_of(3) {
            let id = format!("t-{}", number - random(number) % (number + 1).min(40));
            let request = format!("GET /payments/{id} HTTP/1.1\r\nHost: p\r\n\r\n");
            let stream = connect(&address).await;
            let found = spawn_blocking(move || talk(stream, request.as_bytes(), true)).await.unwrap();
            if let Some((200, found)) = found
                && found["status"] == "accepted"
            {
                seen.asked.fetch_add(1, Ordering::SeqCst);
                let day = found["acceptedAt"].as_str().unwrap()[..10].replace('-', "/");
                if !is_audited(&aws, &day, &id).await {
                    seen.early.lock().unwrap().push(id);
                }
            }
        }
    }
}

/// Runs `count` payments, and returns a row of the table.
async fn run(count: usize) -> String {
    let begun = Instant::now();
    let aws = Arc::new(account().await);
    // One call of each kind in fifty fails, half of them after they took effect.
    let fails = [("dynamodb", "PutItem"), ("dynamodb", "UpdateItem"), ("s3", "PutObject")].into_iter().flat_map(
        |(service, action)| {
            let every = |every| Match { every: Some(every), ..Match::action(service, action) };
            [
                Rule { matches: every(97), fault: Fault::Error { status: 503 } },
                Rule { matches: every(103), fault: Fault::Reset { when: When::After } },
            ]
        },
    );
    aws.faults(fails);
    let mut service = start(&aws, &[]);
    let (seen, next) = (Arc::new(Seen::default()), Arc::new(AtomicUsize::new(0)));
    let address = Arc::new(Mutex::new(service.address));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(client(Arc::clone(&aws), Arc::clone(&address), Arc::clone(&seen), Arc::clone(&next), count))
        })
        .collect();
    let mut lines = Vec::new();
    for kill in 1..=KILLS {
        // The last process is killed during the last payments.
        while next.load(Ordering::SeqCst) < count * kill / (KILLS + 1) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        lines.extend(service.kill());
        service = start(&aws, &[]);
        *address.lock().unwrap() = service.address;
    }
    for client in clients {
        client.await.unwrap();
    }
    let done = Instant::now();
    let pending = loop {
        let stored = items(&aws).await;
        let pending = stored.iter().filter(|item| !item.contains_key("audit")).count();
        // Sweeps run every minute, and one may fail.
        if pending == 0 || done.elapsed() > Duration::from_secs(75) {
            break pending;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    let waited = done.elapsed();
    service.terminate();
    let (code, rest) = service.ended();
    assert_eq!(code, Some(0));
    lines.extend(rest);

    let stored: BTreeSet<String> =
        items(&aws).await.iter().map(|item| item["payment_id"].as_s().unwrap().clone()).collect();
    let keys = audited(&aws).await;
    let of_keys: BTreeSet<_> =
        keys.iter().map(|key| key.rsplit_once('-').unwrap().0.rsplit_once('/').unwrap().1.to_owned()).collect();
    assert_eq!(pending, 0, "payments without their audit record after {waited:?}");
    assert_eq!(of_keys, stored, "each stored payment has an audit record");
    assert_eq!(keys.len(), stored.len(), "and only one");
    let accepted = seen.accepted.lock().unwrap();
    assert!(accepted.is_subset(&stored), "accepted payments are stored");
    assert_eq!(*seen.early.lock().unwrap(), Vec::<String>::new(), "accepted before the audit record existed");
    let logged: BTreeSet<_> = lines
        .iter()
        .filter(|line| line["outcome"] == "accepted" || line["outcome"] == "repeated")
        .map(|line| line["transaction_id"].as_str().unwrap().to_owned())
        .collect();
    assert!(accepted.is_subset(&logged), "accepted payments are logged");
    let repaired = lines.iter().filter(|line| line["outcome"] == "repaired").count();
    let (hung_up, asked) = (seen.hung_up.load(Ordering::SeqCst), seen.asked.load(Ordering::SeqCst));
    assert!(
        hung_up > count / 5 && asked > count / 20 && accepted.len() > count / 6,
        "{hung_up} {asked} {}",
        accepted.len()
    );
    format!(
        "| {count} | {hung_up} | {KILLS} | {} | {} | {} | {repaired} | {asked} | 0 | 0 | {} s |",
        stored.len(),
        keys.len(),
        accepted.len(),
        begun.elapsed().as_secs(),
    )
}

/// M-30: a few hundred.
#[tokio::test(flavor = "multi_thread")]
async fn m30_every_stored_payment_has_one_audit_record_whoever_hangs_up_or_dies() {
    run(400).await;
}

/// M-30: 5,000.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; see the command at the top of this file"]
async fn m30_five_thousand_payments() {
    let line = run(5_000).await;
    let text = format!(
        "# Payments with disconnecting clients, AWS failures and kills\n\n\
         `cargo test --workspace --test whole -- --ignored five_thousand`\n\n\
         One in fifty calls of DynamoDB and S3 fails, half of them after they took effect. *Early* are payments that\n\
         `GET` returned as accepted before their audit record existed; *twice* are payments with two audit records.\n\n\
         | payments | disconnected | kills | stored | audited | accepted | repaired | asked | early | twice | time |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n{line}\n"
    );
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("results/payments.md"), text).unwrap();
}
