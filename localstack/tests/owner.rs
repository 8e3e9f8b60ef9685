//! The emulated AWS accepts requests from programs of its owner, and not from web pages.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests")]
#![expect(dead_code, reason = "not all shared items are used here")]

mod support;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use payinfra_localstack::{Emulator, Fault, Faults, Rule};
use support::Aws;

const SCOPE: &str =
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/SERVICE/aws4_request, SignedHeaders=host, Signature=0";
const PAGE: &str = "https://evil.example";
const FORM: &str = "application/x-www-form-urlencoded";

/// Sends a request to an address, with only these headers and `Host`, unless it is one of them.
async fn send(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Response<Incoming> {
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http::<Full<Bytes>>();
    let mut request = Request::builder().method(method).uri(format!("{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8_lossy(&response.into_body().collect().await.unwrap().to_bytes()).into_owned()
}

fn scope(service: &str) -> String {
    SCOPE.replace("SERVICE", service)
}

/// The status of a request to create a VPC, and the number of VPCs with that range afterwards.
async fn create_vpc(emulator: &Emulator, headers: &[(&str, &str)]) -> (StatusCode, usize) {
    let ec2 = scope("ec2");
    let headers = [&[("authorization", ec2.as_str()), ("content-type", FORM)], headers].concat();
    let answer = send(&emulator.endpoint(), "POST", "/", &headers, "Action=CreateVpc&CidrBlock=10.66.0.0/16").await;
    (answer.status(), Aws::of(emulator).vpcs("10.66.0.0/16").await)
}

#[tokio::test]
async fn a_name_of_another_host_is_refused() {
    let emulator = Emulator::start().await.unwrap();
    let port = emulator.endpoint().rsplit_once(':').unwrap().1.to_owned();
    // A page whose own domain now resolves to 127.0.0.1 sends no `Origin` with its GETs, but its domain.
    for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1.evil.example", "localhost.evil.example"] {
        assert_eq!(create_vpc(&emulator, &[("host", host)]).await, (StatusCode::FORBIDDEN, 0), "{host}");
        let control = send(&emulator.endpoint(), "GET", "/_payinfra/calls", &[("host", host)], "").await;
        assert_eq!(control.status(), StatusCode::FORBIDDEN);
        assert!(text(control).await.contains("is not a loopback name"));
    }
    for (made, host) in
        [format!("localhost:{port}"), format!("api.localhost:{port}"), format!("[::1]:{port}")].iter().enumerate()
    {
        assert_eq!(create_vpc(&emulator, &[("host", host)]).await, (StatusCode::OK, made + 1), "{host}");
    }
}

#[tokio::test]
async fn a_web_page_is_refused() {
    let emulator = Emulator::start().await.unwrap();
    // Requests that a page can send without a CORS preflight: forms, and JSON declared as text.
    assert_eq!(create_vpc(&emulator, &[("origin", PAGE)]).await, (StatusCode::FORBIDDEN, 0));
    assert_eq!(create_vpc(&emulator, &[("origin", "null")]).await, (StatusCode::FORBIDDEN, 0));
    assert_eq!(create_vpc(&emulator, &[("sec-fetch-site", "cross-site")]).await, (StatusCode::FORBIDDEN, 0));
    // The signature in the query, which also works for images.
    let image = "/?Action=CreateVpc&CidrBlock=10.66.0.0/16&X-Amz-Credential=test/20260101/us-east-1/ec2/aws4_request";
    let answer = send(&emulator.endpoint(), "GET", image, &[("sec-fetch-site", "cross-site")], "").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let kms = scope("kms");
    let headers = [
        ("origin", PAGE),
        ("authorization", &kms),
        ("content-type", "text/plain"),
        ("x-amz-target", "TrentService.CreateKey"),
    ];
    let answer = send(&emulator.endpoint(), "POST", "/", &headers, "{}").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let asked = [("origin", PAGE), ("access-control-request-method", "PUT")];
    let preflight = send(&emulator.endpoint(), "OPTIONS", "/bucket/key", &asked, "").await;
    assert_eq!(preflight.status(), StatusCode::FORBIDDEN);
    assert!(preflight.headers().keys().all(|name| !name.as_str().starts_with("access-control-")));

    let aws = Aws::of(&emulator);
    assert_eq!(aws.vpcs("10.66.0.0/16").await, 0);
    assert!(!aws.json("kms", "TrentService.ListKeys", "{}").await.body.contains("KeyArn"));
    // None of these was recorded as a call.
    assert!(emulator.calls().iter().all(|call| !call.mutating));
}

#[tokio::test]
async fn a_page_that_is_allowed_is_answered_and_no_other() {
    const OURS: &str = "http://localhost:3000";
    let emulator = Emulator::builder().allow_origin(OURS).start().await.unwrap();
    assert_eq!(create_vpc(&emulator, &[("origin", PAGE)]).await, (StatusCode::FORBIDDEN, 0));
    assert_eq!(create_vpc(&emulator, &[("origin", OURS)]).await, (StatusCode::OK, 1));
    let s3 = scope("s3");
    let signed = [("origin", OURS), ("authorization", s3.as_str())];
    let answer = send(&emulator.endpoint(), "PUT", "/bucket", &signed, "").await;
    assert_eq!(
        (answer.status(), &answer.headers()["access-control-allow-origin"]),
        (StatusCode::OK, &OURS.parse().unwrap())
    );
    let asked = [("origin", OURS), ("access-control-request-method", "PUT")];
    let preflight = send(&emulator.endpoint(), "OPTIONS", "/bucket/key", &asked, "").await;
    assert_eq!(preflight.headers()["access-control-allow-origin"], OURS);
}

#[tokio::test]
async fn answers_are_for_no_page_to_read() {
    let emulator = Emulator::start().await.unwrap();
    for service in ["s3", "ec2"] {
        let scope = scope(service);
        let path = if service == "s3" { "/" } else { "/?Action=DescribeVpcs" };
        let answer = send(&emulator.endpoint(), "GET", path, &[("authorization", scope.as_str())], "").await;
        assert_eq!(answer.status(), StatusCode::OK);
        let names: Vec<_> = answer.headers().keys().map(|name| name.as_str().to_owned()).collect();
        assert!(names.iter().all(|name| !name.starts_with("access-control-")), "{service}: {names:?}");
    }
}

#[tokio::test]
async fn control_needs_the_token() {
    let emulator = Emulator::start().await.unwrap();
    emulator.faults([Rule { matches: payinfra_localstack::Match::any(), fault: Fault::Throttle }]);
    let wrong = format!("{}0", &emulator.token()[..63]);
    let wrong = if wrong == emulator.token() { wrong.replace('0', "1") } else { wrong };
    let none = serde_json::to_string(&Faults::default()).unwrap().leak();
    for token in [None, Some(wrong.as_str()), Some("")] {
        let headers: Vec<_> = token.iter().map(|token| ("x-payinfra-token", *token)).collect();
        for (method, path, body) in [
            ("GET", "status", ""),
            ("GET", "calls", ""),
            ("DELETE", "calls", ""),
            ("GET", "faults", ""),
            ("PUT", "faults", &*none),
            ("POST", "reset", ""),
            ("POST", "stop", ""),
        ] {
            let path = format!("/_payinfra/{path}");
            let answer = send(&emulator.endpoint(), method, &path, &headers, body).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {path} {token:?}");
        }
    }
    // It is still running, and its fault is still active.
    assert_eq!(emulator.status().await.unwrap().rules, 1);
    let headers = [("x-payinfra-token", emulator.token())];
    let answer = send(&emulator.endpoint(), "PUT", "/_payinfra/faults", &headers, none).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(emulator.status().await.unwrap().rules, 0);
}

#[tokio::test]
async fn the_emulators_behind_it_answer_the_gateway_only() {
    let emulator = Emulator::start().await.unwrap();
    let status = emulator.status().await.unwrap();
    assert_eq!(status.backends.len(), 2);
    for (address, service) in
        status.backends.iter().map(|backend| backend.rsplit_once(' ').unwrap().1).zip(["kms", "ec2"])
    {
        let scope = scope(service);
        for headers in [&[][..], &[("x-payinfra-gateway", "wrong")]] {
            let headers = [&[("authorization", scope.as_str()), ("content-type", FORM)], headers].concat();
            let answer = send(&format!("http://{address}"), "POST", "/", &headers, "Action=DescribeVpcs").await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{service}");
        }
    }
}
