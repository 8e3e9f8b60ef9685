//! Calls to AWS without an SDK, so that this crate builds in seconds. The emulators do not check signatures.

pub(crate) mod region;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use payinfra_localstack::Emulator;

/// A client of one emulated AWS.
pub(crate) struct Aws {
    endpoint: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A complete response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

impl Answer {
    /// The text of the first element with a name.
    pub(crate) fn value(&self, element: &str) -> Option<&str> {
        let (_, rest) = self.body.split_once(&format!("<{element}>"))?;
        Some(rest.split_once("</")?.0)
    }

    /// AWS's error code.
    pub(crate) fn code(&self) -> Option<&str> {
        self.value("Code")
    }
}

impl Aws {
    pub(crate) fn of(emulator: &Emulator) -> Self {
        // No idle connections: one that the gateway reset must not fail the next call.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { endpoint: emulator.endpoint(), client }
    }

    /// An EC2 call in us-east-1, and its response if there is one.
    pub(crate) async fn try_ec2(&self, form: &str) -> Result<Answer, String> {
        self.form("ec2", "us-east-1", form).await
    }

    /// An EC2 call in us-east-1, and its response.
    pub(crate) async fn ec2(&self, form: &str) -> Answer {
        self.try_ec2(form).await.expect("a response")
    }

    /// A call of a service with a query protocol, and its response.
    pub(crate) async fn form(&self, service: &str, region: &str, form: &str) -> Result<Answer, String> {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(service, region, "POST", "/", &headers, form).await
    }

    /// A call of a service with a JSON protocol, and its response.
    pub(crate) async fn json(&self, service: &str, target: &str, body: &str) -> Answer {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        self.send(service, "us-east-1", "POST", "/", &headers, body).await.expect("a response")
    }

    /// An S3 call, and its response.
    pub(crate) async fn s3(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send("s3", "us-east-1", method, path, headers, body).await.expect("a response")
    }

    /// Any signed request, and its response if there is one.
    pub(crate) async fn send(
        &self,
        service: &str,
        region: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, String> {
        let credential = format!("Credential=test/20260101/{region}/{service}/aws4_request");
        let mut request = Request::builder()
            .method(method.parse::<Method>().expect("a method"))
            .uri(format!("{}{path}", self.endpoint))
            .header("authorization", format!("AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request.body(Full::new(Bytes::from(body.to_owned()))).expect("a request")).await
    }

    /// Any request, signed or not.
    pub(crate) async fn answer(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let response = self.client.request(request).await.map_err(|error| format!("{error:?}"))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| format!("{error:?}"))?;
        Ok(Answer { status, body: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
    }

    /// The number of VPCs with this range.
    pub(crate) async fn vpcs(&self, cidr: &str) -> usize {
        let describe = format!("Action=DescribeVpcs&Filter.1.Name=cidr-block&Filter.1.Value.1={cidr}");
        self.ec2(&describe).await.body.matches("<vpcId>").count()
    }
}
