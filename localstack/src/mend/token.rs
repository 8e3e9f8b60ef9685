//! Idempotency tokens, which the emulators ignore: the same token returns the same resource.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    action::{Protocol, Request},
    answer::{self, Answer},
};

/// Successful calls with a token.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    calls: Mutex<HashMap<String, Slot>>,
}

/// The first call with a token; locked while it is in progress, so that a repeat waits for its response.
pub(crate) type Slot = Arc<tokio::sync::Mutex<Option<(String, Answer)>>>;

impl Tokens {
    /// The location of a request's token, if AWS supports one for the operation.
    pub(crate) fn slot(&self, request: &Request) -> Option<Slot> {
        let token = token(request)?;
        let scope = &request.scope;
        let key = format!("{} {} {} {token}", scope.service, scope.region, request.action);
        Some(Arc::clone(self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default()))
    }

    pub(crate) fn clear(&self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The response to a repeat of an earlier call.
pub(crate) fn repeated(request: &Request, earlier: Option<&(String, Answer)>) -> Option<Answer> {
    let (body, answer) = earlier?;
    if *body == same(request) {
        return Some(answer.clone());
    }
    let code = match request.protocol {
        Protocol::Ec2 => "IdempotentParameterMismatch",
        _ => "InvalidParameterException",
    };
    Some(answer::error(request, 400, code, "The token was used with other parameters"))
}

/// The parameters that must be equal in a repeat.
pub(crate) fn same(request: &Request) -> String {
    let mut parameters = request.parameters();
    if parameters.is_empty() {
        return String::from_utf8_lossy(&request.body).into_owned();
    }
    parameters.sort();
    format!("{parameters:?}")
}

fn token(request: &Request) -> Option<String> {
    match (request.protocol, request.scope.service.as_str(), request.action.as_str()) {
        (Protocol::Ec2, ..) => request.form("ClientToken"),
        (Protocol::Json, "ecs", "CreateService" | "CreateTaskSet" | "RunTask") => {
            request.json().get("clientToken").and_then(|token| token.as_str().map(str::to_owned))
        }
        (Protocol::Json, "acm", "RequestCertificate") => {
            request.json().get("IdempotencyToken").and_then(|token| token.as_str().map(str::to_owned))
        }
        _ => None,
    }
    .filter(|token| !token.is_empty())
}
