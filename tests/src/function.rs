//! The functions: their binaries, with a runtime API as Lambda's, and events as API Gateway's and DynamoDB's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use payinfra_localstack::{Emulator, isolate};
use serde_json::{Value, json};

use crate::built;
use crate::service::{BUCKET, TABLE};

/// The time limit for a response: after the deadline of its event, or after the start.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running function: one execution environment, which handles one event at a time. Dropping it kills it.
pub struct Function {
    process: Child,
    events: Sender<(String, Duration)>,
    answers: Receiver<(String, Value)>,
    log: Receiver<String>,
}

impl Function {
    /// Starts the payments function with the emulated AWS and these additional variables.
    #[must_use]
    pub fn start(aws: &Emulator, variables: &[(&str, &str)]) -> Self {
        Self::launch(&built("payment-processor"), &aws.endpoint(), variables)
    }

    /// Starts `program`, a payments function, with the AWS at `endpoint` and these additional variables.
    #[must_use]
    pub fn launch(program: &Path, endpoint: &str, variables: &[(&str, &str)]) -> Self {
        let own = [("PAYMENTS_TABLE", TABLE), ("AUDIT_BUCKET", BUCKET), ("PHASE", "primary")];
        Self::run(program, endpoint, &[&own[..], variables].concat())
    }

    /// Starts the function `binary` with the emulated AWS and these variables.
    #[must_use]
    pub fn of(binary: &str, aws: &Emulator, variables: &[(&str, &str)]) -> Self {
        Self::run(&built(binary), &aws.endpoint(), variables)
    }

    fn run(program: &Path, endpoint: &str, variables: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut command = Command::new(program);
        isolate(&mut command, endpoint);
        command.env("AWS_LAMBDA_RUNTIME_API", listener.local_addr().unwrap().to_string());
        command.env("AWS_REGION", "us-east-1").envs(variables.iter().copied());
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, log) = channel();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let (events, queue) = channel();
        let (answer, answers) = channel();
        let queue = Arc::new(Mutex::new(queue));
        // The function may open further connections. The thread ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (queue, answer) = (Arc::clone(&queue), answer.clone());
                thread::spawn(move || runtime(stream, &queue, &answer));
            }
        });
        Self { process, events, answers, log }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Handles an event with this much time left; returns the path of the response, such as `response` or `error`.
    #[must_use]
    pub fn invoke(&self, event: &str, left: Duration) -> (String, Value) {
        self.events.send((event.to_owned(), left)).unwrap();
        self.answers.recv_timeout(left + PATIENCE).unwrap()
    }

    /// The next response, or the error of the start.
    #[must_use]
    pub fn answer(&self) -> (String, Value) {
        self.answers.recv_timeout(PATIENCE).unwrap()
    }

    /// A request within 10 seconds: the status, the headers and the body of its response.
    #[must_use]
    pub fn request(&self, event: &Value) -> (u64, Value, Value) {
        self.request_within(event, Duration::from_secs(10))
    }

    /// A request with this much time left. Its response is one of those in the API description.
    #[must_use]
    pub fn request_within(&self, event: &Value, left: Duration) -> (u64, Value, Value) {
        let (path, answer) = self.invoke(&event.to_string(), left);
        assert_eq!(path, "response", "{answer}");
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        let status = answer["statusCode"].as_u64().unwrap();
        assert!(is_documented(status, &body), "{status}: {body}");
        (status, answer["headers"].clone(), body)
    }

    /// A batch of the table's stream: the sequence numbers of the records that failed.
    #[must_use]
    pub fn stream(&self, records: &[Value]) -> Vec<String> {
        let (path, answer) = self.invoke(&json!({ "Records": records }).to_string(), Duration::from_secs(10));
        assert_eq!(path, "response", "{answer}");
        let failures = answer["batchItemFailures"].as_array().unwrap();
        failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
    }

    /// Kills it, and returns its log.
    #[must_use]
    pub fn kill(mut self) -> Vec<Value> {
        self.process.kill().unwrap();
        let lines = std::iter::from_fn(|| self.log.recv_timeout(PATIENCE).ok());
        lines.filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a route in `lambda/openapi-function.json` has this status, with the members of this body.
fn is_documented(status: u64, body: &Value) -> bool {
    let document = include_str!("../../lambda/openapi-function.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let paths = document["paths"].as_object().unwrap().values();
    let responses = paths.flat_map(|path| path.as_object().unwrap().values()).filter_map(|operation| {
        operation["responses"][status.to_string()]["content"]["application/json"]["schema"]["$ref"].as_str()
    });
    responses.filter_map(|schema| document.pointer(&schema[1..])).any(|schema| {
        let members = body.as_object().unwrap();
        let known = members.keys().all(|name| schema["properties"].get(name).is_some());
        known && schema["required"].as_array().unwrap().iter().all(|name| members.contains_key(name.as_str().unwrap()))
    })
}

/// Serves one connection of the runtime API.
fn runtime(mut stream: TcpStream, events: &Mutex<Receiver<(String, Duration)>>, answers: &Sender<(String, Value)>) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).unwrap_or_default() == 0 {
            return;
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim_end().to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let path = first.split(' ').nth(1).unwrap();
        let (head, body) = if path.ends_with("/invocation/next") {
            // The test may end first.
            let Ok((event, left)) = events.lock().unwrap().recv() else { return };
            let deadline = (SystemTime::now() + left).duration_since(UNIX_EPOCH).unwrap().as_millis();
            let head =
                format!("200 OK\r\nlambda-runtime-aws-request-id: r-1\r\nlambda-runtime-deadline-ms: {deadline}");
            (head, event)
        } else {
            let kind = path.rsplit('/').next().unwrap().to_owned();
            let _ = answers.send((kind, serde_json::from_slice(&body).unwrap()));
            ("202 Accepted".to_owned(), "{}".to_owned())
        };
        let text = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

/// A request, in the form of a proxy integration of a REST API.
#[must_use]
pub fn request(method: &str, path: &str, body: &str) -> Value {
    json!({
        "resource": "/{proxy+}",
        "httpMethod": method,
        "path": path,
        "headers": { "X-Correlation-Id": "call-7" },
        "queryStringParameters": null,
        "body": if body.is_empty() { Value::Null } else { body.into() },
        "isBase64Encoded": false,
    })
}

/// A request, in the form of a proxy integration of an HTTP API with payload format 2.0.
#[must_use]
pub fn request_2(method: &str, path: &str, body: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": format!("{method} {path}"),
        "rawPath": path,
        "headers": { "x-correlation-id": "call-7" },
        "requestContext": { "accountId": "000000000000", "http": { "method": method, "path": path }, "timeEpoch": 1 },
        "body": if body.is_empty() { Value::Null } else { body.into() },
        "isBase64Encoded": false,
    })
}

/// The record of a new item in the stream of a table with the partition key `key`.
#[must_use]
pub fn inserted(key: &str, id: &str, sequence: &str) -> Value {
    json!({
        "eventID": sequence,
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": { "Keys": { key: { "S": id } }, "SequenceNumber": sequence },
    })
}
