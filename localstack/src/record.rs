//! The record of all API calls.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::action::Request;

/// One call to AWS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Its number in order of arrival, from 1.
    pub sequence: u64,
    /// The time of arrival, in milliseconds since 1970.
    pub at: u64,
    /// The duration for the client in milliseconds; `None` while the call is in progress.
    pub milliseconds: Option<f64>,
    /// The signing name: `ec2`, `s3`, `monitoring`.
    pub service: String,
    /// The region of the signature.
    pub region: String,
    /// The operation: `CreateVpc`.
    pub action: String,
    /// Whether the operation changes something.
    pub mutating: bool,
    /// The client's access key, which distinguishes the clients of a shared emulated AWS.
    pub access_key: String,
    /// The HTTP status; `None` without a response.
    pub status: Option<u16>,
    /// AWS's error code.
    pub error: Option<String>,
    /// The injected faults: `reset-after`, `throttle`.
    pub fault: Option<String>,
    /// Why AWS's model of the service refuses the request: members, constraints and values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
    /// The watched words that its request contains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
}

/// All calls since the start or the last [`clear`](Self::clear).
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    calls: Mutex<Vec<Call>>,
    watched: Mutex<Vec<String>>,
}

impl Recorder {
    /// Records a call, and returns its number.
    pub(crate) fn begin(&self, request: &Request) -> Call {
        let mentions = self.mentioned(request);
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let call = Call {
            sequence: calls.last().map_or(1, |last| last.sequence + 1),
            at: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            milliseconds: None,
            service: request.scope.service.clone(),
            region: request.scope.region.clone(),
            action: request.action.clone(),
            mutating: request.is_mutating(),
            access_key: request.scope.access_key.clone(),
            status: None,
            error: None,
            fault: None,
            violation: None,
            mentions,
        };
        calls.push(call.clone());
        call
    }

    /// From now on, records which of `words` each request contains.
    pub(crate) fn watch(&self, words: Vec<String>) {
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }

    fn mentioned(&self, request: &Request) -> Vec<String> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if watched.is_empty() {
            return Vec::new();
        }
        let text = request.text();
        // A bucket may appear only in the host name.
        let host = request.header("host").unwrap_or_default();
        watched.iter().filter(|word| text.contains(*word) || host.contains(*word)).cloned().collect()
    }

    /// Records the end of a call.
    pub(crate) fn end(&self, ended: Call, took: Duration) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let index = calls.binary_search_by_key(&ended.sequence, |call| call.sequence);
        // The record may have been cleared in the meantime, and the number reused.
        if let Some(index) = index.ok().filter(|index| calls[*index].at == ended.at) {
            calls[index] = Call { milliseconds: Some((took.as_secs_f64() * 1e6).round() / 1e3), ..ended };
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn clear(&self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
