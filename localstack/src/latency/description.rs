//! How descriptions show resources in progress.

use bytes::Bytes;
use hyper::{StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::{object, requested, table::Life};
use crate::{
    action::{Protocol, Request},
    answer::Answer,
    window::visit_json,
    xml::{Element, Node},
};

/// A resource as it was described.
#[derive(Debug, Clone)]
pub(super) enum Description {
    Xml(Element),
    Json(Value),
}

/// How a resource in progress is shown.
#[expect(clippy::struct_excessive_bools, reason = "the flags are independent")]
pub(super) struct Shown<'a> {
    pub(super) life: &'static Life,
    pub(super) id: &'a str,
    pub(super) status: &'static str,
    /// Whether it is described although the emulator no longer has it.
    pub(super) goes: bool,
    /// Whether it is hidden.
    pub(super) hidden: bool,
    /// Whether its time starts when a description first shows it as done.
    pub(super) waits_for_sight: bool,
    pub(super) before: Option<&'a Description>,
    /// A table's replica that is being created (true) or deleted.
    pub(super) replica: Option<&'a (String, bool)>,
    /// Whether it was described as done.
    pub(super) seen: bool,
}

impl Description {
    /// The resource with this id in a response.
    pub(super) fn find(life: &Life, id: &str, protocol: Protocol, answer: &Answer) -> Option<Self> {
        let mut found = None;
        match protocol {
            Protocol::Ec2 | Protocol::Query | Protocol::RestXml => {
                Element::parse(&answer.text())?.visit(&mut |element| {
                    if found.is_none() && is_of(life, id, element) && status_of(life, element).is_some() {
                        found = Some(Self::Xml(element.clone()));
                    }
                });
            }
            _ => visit_json(&mut serde_json::from_slice(&answer.body).ok()?, &mut |value| {
                let is = value.get(life.id).is_some_and(|is| is == id) && value.get(life.status).is_some();
                if found.is_none() && is {
                    found = Some(Self::Json(value.clone()));
                }
            }),
        }
        found
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Xml(element) => element.document(),
            Self::Json(value) => value.to_string(),
        }
    }

    /// All of its values, including the ids of resources that it uses.
    pub(super) fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        match self {
            Self::Xml(element) => element.clone().visit(&mut |element| texts.push(element.text())),
            Self::Json(value) => visit_json(&mut value.clone(), &mut |value| {
                texts.extend(value.as_str().map(str::to_owned));
            }),
        }
        texts.retain(|text| !text.is_empty());
        texts
    }
}

/// The request that describes a resource that another request names.
pub(super) fn question(request: &Request, describe: &str, life: &Life) -> Request {
    let mut question = Request { action: describe.to_owned(), ..request.clone() };
    if request.protocol == Protocol::Json {
        let asked = request.json();
        let body = if request.scope.service == "ecs" {
            json!({ "cluster": asked.get("cluster"), "services": [asked.get("service")], "include": ["TAGS"] })
        } else {
            object(life.id, asked.get(life.id).cloned().unwrap_or_default())
        };
        let target = request.header("x-amz-target").unwrap_or_default();
        let target = target.rsplit_once('.').map_or(String::new(), |(prefix, _)| format!("{prefix}.{describe}"));
        if let Ok(target) = target.parse() {
            question.headers.insert("x-amz-target", target);
        }
        question.body = Bytes::from(body.to_string());
    } else {
        let version = request.form("Version").unwrap_or_default();
        question.body = Bytes::from(format!("Action={describe}&Version={version}"));
    }
    question
}

/// Whether an element describes the resource with this id.
fn is_of(life: &Life, id: &str, element: &Element) -> bool {
    let mut children = element.elements();
    let says = |text: &str| text == id || text.strip_prefix("/change/") == Some(id);
    children.any(|child| child.name.eq_ignore_ascii_case(life.id) && says(&child.text()))
}

fn status_of(life: &Life, element: &Element) -> Option<String> {
    life.status.split('/').try_fold(element, |element, name| element.child(name)).map(Element::text)
}

fn set_status(life: &Life, element: &mut Element, status: &str) {
    let mut holder = Some(element);
    for name in life.status.split('/') {
        holder = holder.and_then(|holder| holder.child_mut(name));
    }
    if let Some(holder) = holder {
        holder.set_text(status);
    }
}

pub(super) fn show_xml(request: &Request, answer: &mut Answer, shown: &mut [Shown<'_>]) {
    let parsed = Element::parse(&answer.text()).filter(|_| answer.is_success());
    let is_answered = parsed.is_some();
    let mut root = parsed.unwrap_or_else(|| empty(request));
    let mut changed = false;
    for it in shown {
        let mut present = false;
        root.visit(&mut |element| {
            if !it.hidden && is_of(it.life, it.id, element) && status_of(it.life, element).is_some() {
                set_status(it.life, element, it.status);
                present = true;
            }
        });
        changed |= present && is_answered;
        let describe = it.life.describes.iter().find(|(describe, ..)| *describe == request.action);
        let (Some((_, list, item)), Some(Description::Xml(before)), true) = (describe, it.before, it.goes) else {
            continue;
        };
        let mut before = before.clone();
        (*item).clone_into(&mut before.name);
        set_status(it.life, &mut before, it.status);
        if present || !asks_for(request, it, &before, is_answered) {
            continue;
        }
        let mut listed = false;
        root.visit(&mut |element| {
            if element.name == *list && !listed {
                listed = true;
                element.children.push(Node::Element(before.clone()));
            }
        });
        if !listed {
            let list = Element::of(list, [before]);
            let inner = format!("{}Result", request.action);
            match root.child_mut(&inner) {
                Some(result) => result.children.push(Node::Element(list)),
                None => root.children.push(Node::Element(list)),
            }
        }
        changed = true;
    }
    if !changed {
        return;
    }
    keep_status_filter(request, &mut root);
    answer.status = StatusCode::OK;
    if let Ok(xml) = "text/xml".parse() {
        answer.headers.insert(CONTENT_TYPE, xml);
    }
    answer.body = Bytes::from(root.document());
}

/// An empty response to a request for descriptions.
fn empty(request: &Request) -> Element {
    let (action, id) = (&request.action, "00000000-0000-0000-0000-000000000000");
    let mut of_request = Element::of(if request.protocol == Protocol::Ec2 { "requestId" } else { "RequestId" }, []);
    of_request.set_text(id);
    let children = match request.protocol {
        Protocol::Ec2 => vec![of_request],
        _ => vec![Element::of(&format!("{action}Result"), []), Element::of("ResponseMetadata", [of_request])],
    };
    Element::of(&format!("{action}Response"), children)
}

/// Whether a request asks for a resource that the emulator no longer has.
fn asks_for(request: &Request, it: &Shown<'_>, before: &Element, is_answered: bool) -> bool {
    let named = requested(it.life, request);
    if !named.is_empty() {
        return named.iter().any(|(id, _)| id == it.id) && filters_accept(request, before);
    }
    is_answered && filters_accept(request, before)
}

/// Whether a resource matches all filters.
fn filters_accept(request: &Request, before: &Element) -> bool {
    let texts = Description::Xml(before.clone()).texts();
    filters(request).iter().all(|(_, values)| values.iter().any(|value| texts.contains(value)))
}

/// The filters of a request: names and values.
fn filters(request: &Request) -> Vec<(String, Vec<String>)> {
    let parameters = request.parameters();
    let names = parameters.iter().filter(|(key, _)| key.starts_with("Filter") && key.ends_with(".Name"));
    let values = |key: &str| {
        let prefix = format!("{}.Value", key.trim_end_matches(".Name"));
        parameters.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(_, value)| value.clone()).collect()
    };
    names.map(|(key, name)| (name.clone(), values(key))).collect()
}

/// Removes resources with another status than requested from EC2's list.
fn keep_status_filter(request: &Request, root: &mut Element) {
    let filters = filters(request);
    let wanted = filters.iter().find(|(name, _)| ["state", "vpc-endpoint-state"].contains(&&name[..]));
    if let (Some((_, wanted)), Protocol::Ec2) = (wanted, request.protocol) {
        root.retain(&mut |element| {
            let state = element.value("state").filter(|_| element.name == "item" && element.child("tagSet").is_some());
            state.is_none_or(|state| wanted.contains(&state))
        });
    }
}

pub(super) fn show_json(request: &Request, answer: &mut Answer, shown: &mut [Shown<'_>]) {
    let parsed: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let Some(mut root) = parsed.filter(|_| answer.is_success() || shown.iter().any(|it| it.goes)) else { return };
    let mut changed = false;
    for it in shown {
        let mut present = false;
        visit_json(&mut root, &mut |value| {
            let is = value.get(it.life.id).is_some_and(|id| id == it.id) && value.get(it.life.status).is_some();
            if is && answer.is_success() {
                present = true;
                set_json(it, value);
            }
        });
        changed |= present;
        let describe = it.life.describes.iter().find(|(describe, ..)| *describe == request.action);
        let (Some((_, list, item)), Some(Description::Json(before)), true) = (describe, it.before, it.goes) else {
            continue;
        };
        if present || !request.text().contains(it.id.rsplit('/').next().unwrap_or_default()) {
            continue;
        }
        let mut before = before.clone();
        before[it.life.status] = it.status.into();
        if list.is_empty() {
            root = object(item, before);
        } else if let Some(items) = root.get_mut(*list).and_then(Value::as_array_mut) {
            items.push(before);
            root["failures"] = json!([]);
        }
        changed = true;
    }
    if changed {
        answer.status = StatusCode::OK;
        answer.headers.remove("x-amzn-errortype");
        answer.body = Bytes::from(root.to_string());
    }
}

fn set_json(it: &mut Shown<'_>, value: &mut Value) {
    match (it.life.service, it.goes) {
        // The emulator shows the progress of a deployment.
        ("ecs", false) => {}
        ("acm", _) if it.waits_for_sight && value[it.life.status] != "ISSUED" => {}
        ("acm", _) => {
            it.seen = true;
            value["Status"] = it.status.into();
            for option in value["DomainValidationOptions"].as_array_mut().into_iter().flatten() {
                option["ValidationStatus"] = it.status.into();
            }
        }
        _ => value[it.life.status] = it.status.into(),
    }
    let Some((region, comes)) = it.replica else { return };
    let of = |replica: &Value| replica.get("RegionName").is_some_and(|name| name == region);
    let replicas = value.as_object_mut().map(|table| table.entry("Replicas").or_insert_with(|| json!([])));
    let Some(replicas) = replicas.and_then(Value::as_array_mut) else { return };
    let status = if *comes { "CREATING" } else { "DELETING" };
    match replicas.iter_mut().find(|replica| of(replica)) {
        Some(replica) => replica["ReplicaStatus"] = status.into(),
        None => replicas.push(json!({ "RegionName": region, "ReplicaStatus": status })),
    }
}
