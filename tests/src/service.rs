//! The payments service: the binary of the ECS tasks, and an independent client.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::CreateBucketConfiguration;
use payinfra_localstack::{Emulator, isolate};
use serde_json::{Value, json};

use crate::built;

/// The table of [`running`].
pub const TABLE: &str = "payments";
/// The index of tables with a sort key: the status and the time.
pub const BY_STATUS: &str = "by-status";
/// The bucket of [`running`].
pub const BUCKET: &str = "audit-of-payments";

/// The time limit for every operation of the service.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running service. Dropping it kills it.
pub struct Service {
    process: Child,
    /// Its address.
    pub address: SocketAddr,
    log: Receiver<String>,
}

/// A response of the service.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header lines, in lower case.
    pub head: Vec<String>,
    /// The body.
    pub body: Value,
}

impl Service {
    /// Starts it with these variables, with the emulated AWS.
    #[must_use]
    pub fn start(aws: &Emulator, environment: &[(String, String)]) -> Self {
        Self::launch(&aws.endpoint(), environment).unwrap()
    }

    /// Starts it with these variables and the endpoint of an emulated AWS.
    ///
    /// # Errors
    /// If it ends before it listens, with its last line.
    pub fn launch(endpoint: &str, environment: &[(String, String)]) -> Result<Self, String> {
        let mut command = Command::new(built("payment-service"));
        isolate(&mut command, endpoint);
        // Authentication and TLS are off, unless the test enables them.
        let says = |names: [&str; 2]| environment.iter().any(|(name, _)| names.contains(&&name[..]));
        if !says(["API_KEYS", "API_KEYS_SECRET"]) {
            command.env("AUTH", "none");
        }
        command.env("TLS", "none").envs(environment.iter().cloned()).env("BIND_ADDRESS", "127.0.0.1").env("PORT", "0");
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, log) = channel();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut last = String::new();
        while let Ok(text) = log.recv_timeout(PATIENCE) {
            let line: Value = serde_json::from_str(&text).unwrap();
            match line["address"].as_str() {
                Some(address) if line["message"] == "listening" => {
                    return Ok(Self { process, address: address.parse().unwrap(), log });
                }
                _ => last = text,
            }
        }
        let _ = process.kill();
        let _ = process.wait();
        Err(last)
    }

    /// One request on its own connection.
    #[must_use]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        Answer::to(self.address, method, path, headers, body).unwrap()
    }

    /// A connection.
    #[must_use]
    pub fn connect(&self) -> TcpStream {
        connect(self.address).unwrap()
    }

    /// Sends a request for a payment.
    #[must_use]
    pub fn pay(&self, body: &str) -> Answer {
        self.send("POST", "/payments", &[("Content-Type", "application/json")], body)
    }

    /// Sends a GET request.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    /// Sends SIGTERM, as ECS does.
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Kills it, and returns the log since it started to listen.
    #[must_use]
    pub fn kill(mut self) -> Vec<Value> {
        self.process.kill().unwrap();
        // The last line may be incomplete.
        let lines = std::iter::from_fn(|| self.log.recv_timeout(PATIENCE).ok());
        lines.filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }

    /// Waits until it ends, and returns the exit code and the log since it started to listen.
    #[must_use]
    pub fn ended(mut self) -> (Option<i32>, Vec<Value>) {
        // Its standard output ends with it.
        let mut lines = Vec::new();
        while let Ok(line) = self.log.recv_timeout(PATIENCE) {
            lines.push(serde_json::from_str(&line).unwrap());
        }
        (self.process.wait().unwrap().code(), lines)
    }
}

/// An emulated AWS with a table and a bucket, and the service with them.
pub async fn running() -> (Emulator, Service) {
    let aws = account().await;
    let service = start(&aws, &[]);
    (aws, service)
}

/// An emulated AWS with a table and a bucket.
pub async fn account() -> Emulator {
    account_with("payment_id").await
}

/// An emulated AWS with a table that has this key, in the form of `PAYMENTS_KEY`, and a bucket.
pub async fn account_with(key: &str) -> Emulator {
    let aws = Emulator::start().await.unwrap();
    make_table_with(&aws, "us-east-1", key).await;
    make_bucket(&aws, "us-east-1", BUCKET).await;
    aws
}

/// The service with the table and the bucket, and these additional variables.
#[must_use]
pub fn start(aws: &Emulator, variables: &[(&str, &str)]) -> Service {
    let common = [("PAYMENTS_TABLE", TABLE), ("AUDIT_BUCKET", BUCKET), ("PHASE", "legacy")];
    let all = common.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Service::start(aws, &all.collect::<Vec<_>>())
}

/// Creates the table in a region, with the key `payment_id`.
pub async fn make_table(aws: &Emulator, region: &'static str) {
    make_table_with(aws, region, "payment_id").await;
}

/// Creates the table in a region, with a key in the form of `PAYMENTS_KEY`. With a sort key, it has the index
/// [`BY_STATUS`].
pub async fn make_table_with(aws: &Emulator, region: &'static str, key: &str) {
    let attribute =
        |name: &str, kind| AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap();
    let part = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let (id, timestamp) = key.split_once(',').map_or((key, None), |(id, timestamp)| (id, Some(timestamp)));
    let mut call = dynamodb(aws, region).create_table().table_name(TABLE).billing_mode(BillingMode::PayPerRequest);
    call = call.attribute_definitions(attribute(id, ScalarAttributeType::S)).key_schema(part(id, KeyType::Hash));
    if let Some(timestamp) = timestamp {
        let index = GlobalSecondaryIndex::builder().index_name(BY_STATUS).key_schema(part("status", KeyType::Hash));
        let all = Projection::builder().projection_type(ProjectionType::All).build();
        let index = index.key_schema(part(timestamp, KeyType::Range)).projection(all);
        call = call.attribute_definitions(attribute(timestamp, ScalarAttributeType::N));
        call = call.attribute_definitions(attribute("status", ScalarAttributeType::S));
        call = call.key_schema(part(timestamp, KeyType::Range)).global_secondary_indexes(index.build().unwrap());
    }
    call.send().await.unwrap();
}

/// The items of the index [`BY_STATUS`] with a status.
pub async fn with_status(aws: &Emulator, status: &str) -> Vec<HashMap<String, AttributeValue>> {
    let call = dynamodb(aws, "us-east-1").query().table_name(TABLE).index_name(BY_STATUS);
    let call = call.key_condition_expression("#status = :status").expression_attribute_names("#status", "status");
    let call = call.expression_attribute_values(":status", AttributeValue::S(status.to_owned()));
    call.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap()
}

/// Writes an item into the table.
pub async fn put(aws: &Emulator, item: impl IntoIterator<Item = (&str, AttributeValue)>) {
    let item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    dynamodb(aws, "us-east-1").put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
}

fn dynamodb(aws: &Emulator, region: &'static str) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&sdk(aws).into_builder().region(Region::from_static(region)).build())
}

/// Creates a bucket in a region.
pub async fn make_bucket(aws: &Emulator, region: &'static str, name: &str) {
    let sdk = sdk(aws).into_builder().region(Region::from_static(region)).build();
    let config = aws_sdk_s3::config::Builder::from(&sdk).force_path_style(true).build();
    let call = aws_sdk_s3::Client::from_conf(config).create_bucket().bucket(name);
    let place = CreateBucketConfiguration::builder().location_constraint(region.into()).build();
    call.set_create_bucket_configuration((region != "us-east-1").then_some(place)).send().await.unwrap();
}

/// The keys in the audit bucket, once for each write.
pub async fn audited(aws: &Emulator) -> Vec<String> {
    let pages = s3(aws).list_object_versions().bucket(BUCKET);
    let (mut keys, mut next) = (Vec::new(), None);
    loop {
        let page = pages.clone().set_key_marker(next).send().await.unwrap();
        keys.extend(page.versions().iter().filter_map(|version| version.key().map(str::to_owned)));
        next = page.next_key_marker().map(str::to_owned);
        if next.is_none() {
            return keys;
        }
    }
}

/// Whether there is an audit record of a payment that was accepted on `day`.
pub async fn is_audited(aws: &Emulator, day: &str, id: &str) -> bool {
    let found = s3(aws).list_objects_v2().bucket(BUCKET).prefix(format!("payments/{day}/{id}-")).send().await.unwrap();
    !found.contents().is_empty()
}

/// Puts an object into the bucket, and returns its entity tag.
pub async fn put_object(aws: &Emulator, key: &str, body: &'static [u8]) -> String {
    let call = s3(aws).put_object().bucket(BUCKET).key(key).body(ByteStream::from_static(body));
    call.send().await.unwrap().e_tag().unwrap().trim_matches('"').to_owned()
}

/// The items of the table.
pub async fn items(aws: &Emulator) -> Vec<HashMap<String, AttributeValue>> {
    let scan = dynamodb(aws, "us-east-1").scan().table_name(TABLE).into_paginator().items();
    scan.send().collect::<Result<_, _>>().await.unwrap()
}

fn s3(aws: &Emulator) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(&sdk(aws)).force_path_style(true).build();
    aws_sdk_s3::Client::from_conf(config)
}

fn sdk(aws: &Emulator) -> SdkConfig {
    crate::sdk(&aws.endpoint(), "test", "us-east-1")
}

/// The body of a request for a payment.
#[must_use]
pub fn payment(id: &str) -> String {
    json!({ "transactionId": id, "customerId": "c-1", "amount": 12.5 }).to_string()
}

/// The bytes of a request for a payment.
#[must_use]
pub fn raw(body: &str) -> Vec<u8> {
    format!("POST /payments HTTP/1.1\r\nHost: payments\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection to a service.
fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Answer {
    /// The response to one request on its own connection to a service.
    ///
    /// # Errors
    /// If there is none.
    pub fn to(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> io::Result<Self> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
        let mut stream = connect(address)?;
        stream.write_all(text.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Self::parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, text))
    }

    /// The response, from the rest of a connection.
    #[must_use]
    pub fn read(mut stream: TcpStream) -> Self {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Self::parse(&text).unwrap()
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut head = head.lines();
        let status = head.next()?.split(' ').nth(1)?.parse().ok()?;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).ok()? };
        Some(Self { status, head: head.map(str::to_lowercase).collect(), body })
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}
