//! The payments service: the binary that the ECS tasks run, and a client of it that knows nothing of it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use payinfra_localstack::{Emulator, isolate};
use serde_json::Value;

use crate::built;

/// How long the service may take for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running service. It is killed when this is dropped.
pub struct Service {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: Receiver<String>,
}

/// An answer of the service.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The lines of the head after the first, in lower case.
    pub head: Vec<String>,
    /// The body.
    pub body: Value,
}

impl Service {
    /// Starts it with these variables, in the emulated AWS.
    #[must_use]
    pub fn start(aws: &Emulator, environment: &[(String, String)]) -> Self {
        let mut command = Command::new(built("payment-service"));
        isolate(&mut command, &aws.endpoint());
        command.envs(environment.iter().cloned()).env("BIND_ADDRESS", "127.0.0.1").env("PORT", "0");
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, log) = channel();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let first: Value = serde_json::from_str(&log.recv_timeout(PATIENCE).unwrap()).unwrap();
        assert_eq!(first["message"], "listening", "{first}");
        Self { process, address: first["address"].as_str().unwrap().parse().unwrap(), log }
    }

    /// One request on a connection of its own.
    #[must_use]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: payments\r\nConnection: close\r\n");
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        Answer::read(stream)
    }

    /// A connection.
    #[must_use]
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Asks for a payment.
    #[must_use]
    pub fn pay(&self, body: &str) -> Answer {
        self.send("POST", "/payments", &[("Content-Type", "application/json")], body)
    }

    /// Reads something.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    /// Sends SIGTERM, as ECS does.
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end, and returns the exit code and what it logged since it listened.
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

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Answer {
    /// The answer that is the rest of a connection.
    #[must_use]
    pub fn read(mut stream: TcpStream) -> Self {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut head = head.lines();
        let status = head.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.map(str::to_lowercase).collect(), body: serde_json::from_str(body).unwrap() }
    }

    /// A header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}
