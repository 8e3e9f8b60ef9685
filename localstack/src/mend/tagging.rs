//! Combines the tagging APIs of all emulators, because AWS's tagging API covers all services.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{action::Request, answer::Answer, backend::Backend, gateway::Gateway};

/// The maximum number of pages to read from one emulator.
const PAGES: usize = 1000;

/// Sends the request to every emulator, and merges the responses.
pub(crate) async fn answer(gateway: &Gateway, request: &Request) -> Answer {
    if request.action == "TagResources" || request.action == "UntagResources" {
        return change(gateway, request).await;
    }
    let mut merged: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut last = None;
    for &backend in gateway.profile.backends() {
        let mut asked = request.json();
        for _ in 0..PAGES {
            let answer = send(gateway, backend, request, &asked).await;
            if !answer.is_success() {
                // An emulator without this API has no resources to return.
                tracing::debug!("{} has no {}: {}", backend.name(), request.action, answer.text());
                last.get_or_insert(answer);
                break;
            }
            let page: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            for (key, value) in page.as_object().into_iter().flatten() {
                let known = merged.entry(key.clone()).or_default();
                let items = value.as_array().into_iter().flatten();
                known.extend(items.filter(|item| !known.contains(item)).cloned().collect::<Vec<_>>());
            }
            last = Some(answer);
            match page.get("PaginationToken").and_then(Value::as_str).filter(|token| !token.is_empty()) {
                Some(token) => asked["PaginationToken"] = token.into(),
                None => break,
            }
        }
    }
    let Some(mut answer) = last else {
        return crate::answer::failed(request, 503);
    };
    if !merged.is_empty() {
        let mut body = json!(merged);
        body["PaginationToken"] = "".into();
        answer.status = hyper::StatusCode::OK;
        answer.body = Bytes::from(body.to_string());
    }
    answer
}

/// Sends each resource's tags to the emulator that has the resource.
async fn change(gateway: &Gateway, request: &Request) -> Answer {
    let asked = request.json();
    let mut by_backend: BTreeMap<Backend, Vec<Value>> = BTreeMap::new();
    for arn in asked.get("ResourceARNList").and_then(Value::as_array).into_iter().flatten() {
        let service = arn.as_str().and_then(|arn| arn.split(':').nth(2)).unwrap_or_default();
        if let Some(backend) = gateway.profile.backend(service) {
            by_backend.entry(backend).or_default().push(arn.clone());
        }
    }
    let mut failed = serde_json::Map::new();
    for (backend, arns) in by_backend {
        let mut asked = asked.clone();
        asked["ResourceARNList"] = arns.into();
        let answer = send(gateway, backend, request, &asked).await;
        if !answer.is_success() {
            return answer;
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        failed.extend(body.get("FailedResourcesMap").and_then(Value::as_object).cloned().unwrap_or_default());
    }
    Answer::json(hyper::StatusCode::OK, &json!({ "FailedResourcesMap": failed }))
}

async fn send(gateway: &Gateway, backend: Backend, request: &Request, body: &Value) -> Answer {
    let request = Request { body: Bytes::from(body.to_string()), ..request.clone() };
    gateway.forward(&request, Some(backend)).await
}
