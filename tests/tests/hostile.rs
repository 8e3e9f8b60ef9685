//! The payments service and hostile clients (P-09): malformed and smuggled requests, incomplete requests, card numbers
//! in all fields, and too many connections. There is never a 5xx, nothing invalid is stored, and other clients are
//! served.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use payinfra_tests::service::{Service, audited, items, payment, raw, running};
use payment_core::card;
use serde_json::{Value, json};

/// A fixed seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((number ^ (number >> 31)) >> 33).unwrap() % limit
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// Sends only these bytes, and returns the statuses of all responses until the connection ends.
fn statuses(service: &Service, bytes: &[u8]) -> Vec<u16> {
    let mut stream = service.connect();
    // The service may have closed the connection already.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    // A JSON body does not contain such a line.
    let status = |part: &str| part.get(..3).and_then(|status| status.parse().ok());
    text.split("HTTP/1.1 ").skip(1).filter_map(status).collect()
}

fn assert_well(service: &Service) {
    assert_eq!(service.get("/health").status, 200);
}

/// P-09: requests that two programs could parse differently get at most one response each, and no 5xx.
#[tokio::test(flavor = "multi_thread")]
async fn p09_smuggled_requests_are_not_followed() {
    let (aws, service) = running().await;
    let smuggled = payment("smuggled");
    let hidden = format!("POST /payments HTTP/1.1\r\nHost: p\r\nContent-Length: {}\r\n\r\n{smuggled}", smuggled.len());
    let length = hidden.len();
    for head in [
        format!("Content-Length: {length}\r\nContent-Length: 0"),
        format!("Content-Length: 0, {length}"),
        format!("Content-Length: +{length}"),
        "Content-Length: -1".to_owned(),
        "Content-Length: 0x5".to_owned(),
        format!("Content-Length: 1{}", "0".repeat(400)),
        "Content-Length: ".to_owned(),
        "Transfer-Encoding: chunked, identity".to_owned(),
        "Transfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding: identity".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
        "Transfer-Encoding: \"chunked\"".to_owned(),
        "Transfer-Encoding : chunked".to_owned(),
        "Transfer-Encoding:\r\n chunked".to_owned(),
        " Transfer-Encoding: chunked".to_owned(),
        "Transfer-Encoding\u{0}: chunked".to_owned(),
        format!("Content-Length: {length}\rTransfer-Encoding: chunked"),
        format!("Content-Length : {length}"),
        format!("X: y\u{0}\r\nContent-Length: {length}"),
    ] {
        let request = format!("POST /payments HTTP/1.1\r\nHost: p\r\n{head}\r\n\r\n{hidden}");
        let answers = statuses(&service, request.as_bytes());
        assert!(
            answers.len() <= 1 && answers.iter().all(|status| (400..500).contains(status)),
            "{head:?}: {answers:?}"
        );
        assert!(items(&aws).await.is_empty(), "{head:?}");
    }
    // If both are present, the chunked encoding counts (RFC 9112, 6.3), and the bytes after it are a separate request
    // of the same client.
    let both = "POST /payments HTTP/1.1\r\nHost: p\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(statuses(&service, both.as_bytes()), [400]);
    for chunks in ["5\r\n", "g\r\n\r\n", "-1\r\n\r\n", "ffffffffffffffffff\r\n", "5;\r\nabc", "0\r\nX"] {
        let request = format!("POST /payments HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let answers = statuses(&service, request.as_bytes());
        assert!(answers.len() <= 1 && answers.iter().all(|status| *status == 400), "{chunks:?}: {answers:?}");
    }
    assert_well(&service);
}

/// P-09: 2,000 malformed requests.
#[tokio::test(flavor = "multi_thread")]
async fn p09_two_thousand_broken_requests_have_no_5xx() {
    let (_aws, service) = running().await;
    let body = payment("t-broken");
    let long = "a".repeat(70_000);
    let (many, digits) = ("X: y\r\n".repeat(300), "9".repeat(400));
    let wholes = [
        String::from_utf8(raw(&body)).unwrap(),
        "GET /payments/t-1 HTTP/1.1\r\nHost: p\r\n\r\n".to_owned(),
        "GET /health?deep HTTP/1.1\r\nHost: p\r\nAccept: */*\r\n\r\n".to_owned(),
        format!(
            "POST /payments HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ),
        format!("GET /{long} HTTP/1.1\r\nHost: p\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: p\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: p\r\n{many}\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET http://other/payments/t HTTP/1.1\r\nHost: p\r\n\r\n".to_owned(),
        "CONNECT other:443 HTTP/1.1\r\nHost: p\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\n\r\n".to_owned(),
        "GET /health\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}".to_owned(),
        String::from_utf8(raw(r#"{"transactionId":"t","transactionId":"u","customerId":"c","amount":1}"#)).unwrap(),
        String::from_utf8(raw(&format!(r#"{{"transactionId":"t","customerId":"c","amount":{digits}}}"#))).unwrap(),
        String::from_utf8(raw(&format!(r#"{{"transactionId":"t","customerId":"c","amount":0.{digits}}}"#))).unwrap(),
        String::from_utf8(raw(&format!(r#"{{"transactionId":"t","customerId":"c","amount":1e{digits}}}"#))).unwrap(),
        String::from_utf8(raw(&"[".repeat(10_000))).unwrap(),
        String::from_utf8(raw(r#"{"transactionId":"\ud800","customerId":"c","amount":1}"#)).unwrap(),
    ];
    let mut random = Random(1);
    let mut seen = BTreeMap::<u16, usize>::new();
    for number in 0..2_000 {
        let mut bytes = wholes[number % wholes.len()].clone().into_bytes();
        // The first round is unmodified.
        for _ in 0..(number / wholes.len()).min(1 + random.below(3)) {
            let at = random.below(bytes.len().min(400));
            let kind = random.below(5);
            let piece: &[u8] =
                random.one(&[b"\r\n", b"\0", b"\xff\xfe", b" ", b":", b"\n", b"\r", b"0", b"\t", b"%00", b"\x80"]);
            match kind {
                0 => drop(bytes.splice(at..at, piece.iter().copied())),
                1 => drop(bytes.remove(at)),
                2 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                3 => bytes.truncate(at + 1),
                _ => {
                    let copy = bytes[at..bytes.len().min(at + 1 + random.below(30))].to_vec();
                    drop(bytes.splice(at..at, copy));
                }
            }
        }
        for status in statuses(&service, &bytes) {
            *seen.entry(status).or_default() += 1;
            assert!(status < 500, "{status}: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
    assert!(seen.len() >= 5, "{seen:?}");
    assert_well(&service);
    service.terminate();
    let (code, lines) = service.ended();
    assert_eq!(code, Some(0));
    assert!(!lines.iter().any(|line| line.to_string().contains("panicked")));
}

/// P-09: a request that is truncated at any byte stores nothing, and a client that disconnects there affects no others.
#[tokio::test(flavor = "multi_thread")]
async fn p09_a_request_cut_at_any_byte_stores_nothing() {
    let (aws, service) = running().await;
    let whole = raw(&payment("t-cut"));
    for end in 0..whole.len() {
        let answers = statuses(&service, &whole[..end]);
        assert!(answers.len() <= 1 && answers.iter().all(|status| (400..500).contains(status)), "{end}: {answers:?}");
        let mut stream = service.connect();
        stream.write_all(&whole[..end]).unwrap();
        drop(stream);
    }
    assert!(items(&aws).await.is_empty());
    assert_eq!(statuses(&service, &whole), [200]);
    assert_well(&service);
}

/// P-09: more incomplete requests than the maximum number of connections do not block others, and time out after ten
/// seconds.
#[tokio::test(flavor = "multi_thread")]
async fn p09_half_sent_heads_keep_nobody_out() {
    let (_aws, service) = running().await;
    let halves: Vec<TcpStream> = (0..1_030)
        .map(|number| {
            let mut stream = service.connect();
            // The first ones may have been closed to make room.
            let _ = stream.write_all(format!("GET /payments/t-{number} HTTP/1.1\r\nHost: p").as_bytes());
            stream
        })
        .collect();
    for number in 0..20 {
        let begun = Instant::now();
        assert_well(&service);
        assert_eq!(service.pay(&payment(&format!("t-{number}"))).status, 200);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    // The last incomplete request times out after ten seconds, and not after the idle timeout.
    let begun = Instant::now();
    let mut last = halves.last().unwrap();
    let mut rest = Vec::new();
    let _ = last.read_to_end(&mut rest);
    assert!(rest.is_empty() && begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_well(&service);
}

const CARDS: [&str; 6] = [
    "4111111111111111",
    "5555555555554444",
    "378282246310005",
    "30569309025904",
    "6011111111111117",
    "3530111333300000",
];

/// A disguised card number.
fn disguise(random: &mut Random) -> String {
    let zeros = [0x30, 0x660, 0x966, 0xff10, 0x1d7ce, 0x1d7f6];
    let between = random.one(&["", " ", "-", ".", "\u{200b}", "\u{a0}", " - ", "x", "\u{301}"]).to_owned();
    let (zero, mixed) = (zeros[random.below(zeros.len())], random.below(2) == 0);
    let (before, after) = (random.one(&["", "0", "card ", "99"]), random.one(&["", "7", " thanks"]));
    let digits = random.one(&CARDS).chars().enumerate().map(|(place, digit)| {
        let zero = if mixed { zeros[random.below(zeros.len())] } else { zero };
        let digit = char::from_u32(zero + digit.to_digit(10).unwrap()).unwrap();
        if place == 0 { digit.to_string() } else { format!("{between}{digit}") }
    });
    format!("{before}{}{after}", digits.collect::<String>())
}

/// The same, in characters that are valid in ids, paths and headers.
fn plain(random: &mut Random) -> String {
    let between = random.one(&["", "-", ".", "_", "a", "x-y"]).to_owned();
    let before = random.one(&["", "0", "t-", "99"]).to_owned();
    let digits: Vec<_> = random.one(&CARDS).chars().map(String::from).collect();
    format!("{before}{}", digits.join(&between))
}

/// P-09: a card number in any field, in 200 disguises, is rejected, and is in no item, no object and no log line.
#[tokio::test(flavor = "multi_thread")]
async fn p09_a_card_number_is_kept_nowhere() {
    let (aws, service) = running().await;
    let mut random = Random(7);
    for number in 0..200 {
        let (hidden, id) = (disguise(&mut random), plain(&mut random));
        for (field, text) in [
            ("transactionId", &id),
            ("customerId", &id),
            ("amount", &id),
            ("currency", &hidden),
            ("description", &hidden),
            ("note", &hidden),
        ] {
            let mut body = json!({ "transactionId": format!("t-{number}-{field}"), "customerId": "c", "amount": 1 });
            body[field] = json!(text);
            let answer = service.pay(&body.to_string());
            assert_eq!(answer.status, 400, "{field}: {text:?}");
        }
        // Unknown headers: the payment is accepted, and the number is not stored.
        let body = payment(&format!("kept-{number}"));
        let answer = service.send("POST", "/payments", &[("X-Correlation-Id", &id), ("User-Agent", &id)], &body);
        assert_eq!((answer.status, answer.header("x-correlation-id") == Some(&id)), (200, false), "{id}");
        assert_eq!(service.get(&format!("/payments/{id}")).status, 404);
        let encoded = id.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"));
        assert_eq!(service.get(&format!("/payments/{encoded}?{id}")).status, 404);
        assert_eq!(service.send(&format!("M{}", id.replace('.', "")), "/payments", &[], "").status, 405);
    }
    let stored = items(&aws).await;
    assert_eq!(stored.len(), 200);
    let texts = stored.iter().flat_map(|item| item.values()).map(|value| value.as_s().unwrap().clone());
    let mut kept: Vec<String> = texts.chain(audited(&aws).await).collect();
    kept.extend(aws.calls().iter().map(|call| call.action.clone()));
    service.terminate();
    for line in service.ended().1 {
        let Value::Object(fields) = line else { continue };
        let texts = fields.into_iter().filter(|(name, _)| name != "timestamp");
        kept.extend(texts.filter_map(|(_, value)| value.as_str().map(str::to_owned)));
    }
    for text in kept {
        // Timestamps and hashes have many digits too.
        let looks =
            CARDS.iter().any(|card| text.chars().filter(char::is_ascii_digit).collect::<String>().contains(card));
        assert!(!looks && (text.len() > 40 || text.contains('T') || !card::is_in(&text)), "{text}");
    }
}
