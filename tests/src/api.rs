//! The payments API of the stack `global-payments`: API Gateway of the emulated AWS, which runs the real function, and an
//! independent client.

use std::fs;
use std::net::SocketAddr;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use payment_image::archive;
use serde_json::Value;

use crate::service::Answer;
use crate::{Bench, built};

/// The API of a region, with a client that has the API key.
#[derive(Clone, Debug)]
pub struct Api {
    /// The region.
    pub region: String,
    /// The host of its URL.
    pub host: String,
    address: SocketAddr,
    /// The path that the emulated AWS has for the host.
    root: String,
    /// The path of the stage.
    stage: String,
    key: String,
}

impl Api {
    /// The API in `region`, from the flat outputs of the stack. Its key's value is read from API Gateway.
    pub async fn of(bench: &Bench, outputs: &Value, region: &str) -> Self {
        let output = |name: &str| {
            let name = format!("{name}_{}", region.replace('-', "_"));
            outputs[&name].as_str().unwrap_or_else(|| panic!("no output {name}")).to_owned()
        };
        let url = output("api_url");
        let (host, stage) = url.strip_prefix("https://").and_then(|rest| rest.split_once('/')).unwrap();
        let id = host.split('.').next().unwrap();
        let client = aws_sdk_apigateway::Client::new(&bench.sdk(region));
        let key = client.get_api_key().api_key(output("api_key_id")).include_value(true).send().await.unwrap();
        Self {
            region: region.to_owned(),
            address: bench.aws.endpoint().strip_prefix("http://").unwrap().parse().unwrap(),
            stage: format!("/{stage}"),
            root: format!("/restapis/{id}/{stage}/_user_request_"),
            host: host.to_owned(),
            key: key.value.unwrap(),
        }
    }

    /// The value of the API key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The response to a request with these headers.
    #[must_use]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        Answer::to(self.address, method, &format!("{}{path}", self.root), headers, body).unwrap()
    }

    /// The response to a request without headers for a path of the host, which includes the stage.
    #[must_use]
    pub fn get_path(&self, path: &str) -> Answer {
        self.send("GET", path.strip_prefix(&self.stage).unwrap(), &[], "")
    }

    /// The response to a request for a payment.
    #[must_use]
    pub fn pay(&self, body: &str) -> Answer {
        self.send("POST", "/payments", &[("Content-Type", "application/json"), ("x-api-key", &self.key)], body)
    }

    /// The stored payment.
    #[must_use]
    pub fn get(&self, id: &str) -> Answer {
        self.send("GET", &format!("/payments/{id}"), &[("x-api-key", &self.key)], "")
    }
}

/// Writes the deployment package of `function`, a program that runs its binary, which is next to the running test: a
/// development build is larger than Lambda allows. It saves the environment for [`credentials`].
pub fn write_package(bench: &Bench, function: &str) {
    let (program, environment) = (built(function), bench.file("environment"));
    let script = format!("#!/bin/sh\nenv >'{}'-$AWS_REGION\nexec '{}'\n", environment.display(), program.display());
    fs::write(bench.file(&format!("{function}.zip")), archive(script.as_bytes()).unwrap()).unwrap();
}

/// The SDK configuration with the credentials of the function in `region`, which has run.
#[must_use]
pub fn credentials(bench: &Bench, region: &str) -> SdkConfig {
    let environment = fs::read_to_string(bench.file(&format!("environment-{region}"))).unwrap();
    let variable = |name: &str| {
        let found = environment.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {name}")).to_owned()
    };
    let (key, secret) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    let credentials = Credentials::new(key, secret, Some(variable("AWS_SESSION_TOKEN")), None, "function");
    let provider = SharedCredentialsProvider::new(credentials);
    bench.sdk(region).into_builder().credentials_provider(provider).build()
}
