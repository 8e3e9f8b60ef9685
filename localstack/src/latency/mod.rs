//! Simulates AWS's latency: of responses, of created resources until they can be used, and of deleted ones until they
//! are gone.
//!
//! The emulators complete everything immediately. This module delays the effect: descriptions show the earlier status
//! until AWS's time has passed, deleted resources are still described, and resources that they use cannot be deleted.

mod description;
mod table;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    action::{Protocol, Request},
    answer::{self, Answer},
    fault::{Fault, matches},
    latency::{
        description::{Description, Shown},
        table::{ANSWER, ANSWERS, BUSY, Becomes, Change, HELD, LIVES, Life, ROLE, WEB_ACL, replica},
    },
    resource::answered,
    xml::Element,
};

/// Delays the effects of changes.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    under_way: Vec<UnderWay>,
    /// New web ACLs, and the times until which they cannot be used.
    web_acls: Vec<(String, Instant)>,
    waits: Vec<Wait>,
    /// The number of changes in Route 53.
    record_changes: u64,
}

/// A change in progress.
struct UnderWay {
    life: &'static Life,
    change: &'static Change,
    /// The region; empty for EC2, whose ids are unique.
    region: String,
    id: String,
    /// The end; `None` until the time starts.
    until: Option<Instant>,
    lasts: Duration,
    /// The earlier description.
    before: Option<Description>,
    /// The resources that cannot be deleted before this is done.
    holds: Vec<String>,
    /// A table's replica that is being created (true) or deleted.
    replica: Option<(String, bool)>,
}

impl std::fmt::Debug for UnderWay {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {} until {:?}", self.change.action, self.id, self.until)
    }
}

/// A change with latency.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    /// The signing name.
    pub service: String,
    /// The operation that started it.
    pub action: String,
    /// The id of the resource.
    pub id: String,
    /// The duration from the call on, with the factor applied.
    pub seconds: f64,
}

impl Latency {
    /// The latency of the response to a request.
    pub(crate) fn of(request: &Request, scale: f64) -> Duration {
        let row = ANSWERS
            .iter()
            .find(|(service, action, _)| *service == request.scope.service && matches(action, &request.action));
        seconds(row.map_or(ANSWER, |(_, _, seconds)| *seconds) * scale)
    }

    /// The duration for which a new role cannot be used.
    pub(crate) fn window(request: &Request, scale: f64) -> Option<Fault> {
        let role = request.scope.service == "iam" && request.action == "CreateRole";
        role.then_some(Fault::RoleNotAssumable { seconds: ROLE * scale })
    }

    /// The changes with latency since the last [`clear`](Self::clear), in order.
    pub(crate) fn waits(&self) -> Vec<Wait> {
        self.lock().waits.clone()
    }

    /// The request to send before a call is forwarded, to find out what the call will delete.
    pub(crate) fn question(request: &Request) -> Option<Request> {
        let goes = |change: &Change| matches!(change.becomes, Becomes::Gone | Becomes::GoneButHolding);
        let life = LIVES.iter().find(|life| {
            let mut changes = life.changes.iter();
            life.service == request.scope.service
                && changes.any(|change| change.action == request.action && goes(change))
        })?;
        let mut describes = life.describes.iter();
        // The kind for peerings, if it is one.
        let noun = request.action.trim_start_matches("Delete");
        let own = describes.clone().find(|(action, ..)| action.contains(noun));
        let (describe, ..) = own.or_else(|| describes.next())?;
        Some(description::question(request, describe, life))
    }

    /// The error for a call that is not possible yet.
    pub(crate) fn refuse(&self, request: &Request) -> Option<Answer> {
        let mut state = self.lock();
        state.expire();
        let (service, action) = (request.scope.service.as_str(), request.action.as_str());
        let refused = |code: &str, message: &str| Some(answer::error(request, 400, code, message));
        if (service, action) == ("wafv2", "AssociateWebACL") {
            let text = request.text();
            if state.web_acls.iter().any(|(arn, _)| text.contains(arn)) {
                let message = "AWS WAF couldn't retrieve the resource that you requested. Retry your request.";
                return refused("WAFUnavailableEntityException", message);
            }
        }
        if let Some((_, _, code)) = BUSY.iter().find(|row| (row.0, row.1) == (service, action)) {
            let mut under_way = state.under_way.iter();
            // A request may also name other resources.
            let own = |it: &&UnderWay| it.life.service == service && is_own(action, it.life);
            if let Some(busy) = under_way.find(|it| own(it) && named(request, it.life, &it.id, &it.region)) {
                let id = &busy.id;
                return refused(
                    code,
                    &format!("{id} is not currently in the available state: {}", busy.change.meanwhile),
                );
            }
        }
        let (_, _, parameter, code) = HELD.iter().find(|row| (row.0, row.1) == (service, action))?;
        let thing = match request.protocol {
            Protocol::Json => request.json().get(*parameter)?.as_str()?.to_owned(),
            _ => request.form(parameter)?,
        };
        let is_thing = |text: &String| *text == thing || text.ends_with(&format!("/{thing}"));
        let holder = state.under_way.iter().find(|it| it.id != thing && it.holds.iter().any(is_thing))?;
        refused(code, &format!("{thing} has dependencies and cannot be deleted: {} is being deleted", holder.id))
    }

    /// Records the change that a call started, and shows changes in progress in its response. `before` is the response
    /// to [`question`](Self::question).
    pub(crate) fn edit(&self, request: &Request, answer: &mut Answer, before: Option<&Answer>, scale: f64) {
        let mut state = self.lock();
        state.expire();
        if answer.is_success() {
            state.begin(request, answer, before, scale);
        }
        state.show(request, answer);
    }

    /// Completes all changes.
    pub(crate) fn clear(&self) {
        *self.lock() = State::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn expire(&mut self) {
        let now = Instant::now();
        self.under_way.retain(|it| it.until.is_none_or(|until| until > now));
        self.web_acls.retain(|(_, until)| *until > now);
    }

    fn begin(&mut self, request: &Request, answer: &mut Answer, before: Option<&Answer>, scale: f64) {
        let (service, action) = (request.scope.service.as_str(), request.action.as_str());
        if (service, action) == ("wafv2", "CreateWebACL") {
            let arn = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
            if let Some(arn) = arn.pointer("/Summary/ARN").and_then(Value::as_str) {
                self.web_acls.push((arn.to_owned(), Instant::now() + seconds(WEB_ACL * scale)));
            }
        }
        if (service, action) == ("route53", "ChangeResourceRecordSets") {
            self.number(answer);
        }
        let lives = LIVES.iter().filter(|life| life.service == service);
        for life in lives.filter(|life| life.changes.iter().any(|change| change.action == action)) {
            for (id, region) in ids(life, request, answer) {
                let old = before.and_then(|before| Description::find(life, &id, request.protocol, before));
                let text = old.as_ref().map(Description::text).unwrap_or_default();
                let mut changes = life.changes.iter();
                let Some(change) = changes.find(|change| change.action == action && (change.when)(request, &text))
                else {
                    continue;
                };
                self.take(request, life, change, (id, region), old, scale);
            }
        }
    }

    fn take(
        &mut self,
        request: &Request,
        life: &'static Life,
        change: &'static Change,
        (id, region): (String, String),
        before: Option<Description>,
        scale: f64,
    ) {
        let lasts = seconds(change.seconds * scale);
        let until = (change.becomes != Becomes::ReadySinceSeen).then(|| Instant::now() + lasts);
        let holds = match &before {
            Some(before) => before.texts(),
            // A global cluster is kept until its last member has left it.
            None if change.action == "RemoveFromGlobalCluster" => {
                request.parameters().into_iter().map(|(_, value)| value).collect()
            }
            None => Vec::new(),
        };
        let (comes, goes) = (replica(request, "Create"), replica(request, "Delete"));
        let replica = comes.clone().map(|region| (region, true)).or(goes.map(|region| (region, false)));
        self.under_way.retain(|it| (&it.id, &it.region) != (&id, &region) || !std::ptr::eq(it.life, life));
        let wait = Wait {
            service: life.service.to_owned(),
            action: change.action.to_owned(),
            id: id.clone(),
            seconds: lasts.as_secs_f64(),
        };
        self.waits.push(wait);
        let mut begun = vec![UnderWay { life, change, region, id, until, lasts, before, holds, replica }];
        if let (Some(region), Some(created)) = (comes, life.changes.first().filter(|_| life.service == "dynamodb")) {
            let id = begun[0].id.clone();
            begun.push(UnderWay {
                life,
                change: created,
                region,
                id,
                until,
                lasts,
                before: None,
                holds: Vec::new(),
                replica: None,
            });
        }
        self.under_way.extend(begun);
    }

    /// Gives a change of records its own id, as AWS does.
    fn number(&mut self, answer: &mut Answer) {
        let Some(mut root) = Element::parse(&answer.text()) else { return };
        self.record_changes += 1;
        if let Some(id) = root.child_mut("ChangeInfo").and_then(|info| info.child_mut("Id")) {
            id.set_text(&format!("/change/C{:020}", self.record_changes));
            answer.body = Bytes::from(root.document());
        }
    }

    fn show(&mut self, request: &Request, answer: &mut Answer) {
        let (service, action) = (request.scope.service.as_str(), request.action.as_str());
        let tells = |life: &Life| {
            life.service == service
                && (life.describes.iter().any(|(describe, ..)| *describe == action)
                    || life.changes.iter().any(|change| change.action == action))
        };
        let region = request.scope.region.as_str();
        let mut about: Vec<&mut UnderWay> = self
            .under_way
            .iter_mut()
            .filter(|it| tells(it.life) && (it.region.is_empty() || it.region == region))
            .collect();
        if about.is_empty() {
            return;
        }
        let mut shown: Vec<Shown> = about.iter().map(|it| it.shown()).collect();
        match request.protocol {
            Protocol::Ec2 | Protocol::Query | Protocol::RestXml => description::show_xml(request, answer, &mut shown),
            Protocol::Json | Protocol::RestJson => description::show_json(request, answer, &mut shown),
            Protocol::S3 | Protocol::Cbor => {}
        }
        let seen: Vec<bool> = shown.iter().map(|shown| shown.seen).collect();
        for (it, seen) in about.iter_mut().zip(seen) {
            if seen && it.until.is_none() {
                it.until = Some(Instant::now() + it.lasts);
            }
        }
    }
}

impl UnderWay {
    fn shown(&self) -> Shown<'_> {
        Shown {
            life: self.life,
            id: &self.id,
            status: self.change.meanwhile,
            goes: self.change.becomes == Becomes::Gone,
            hidden: self.change.becomes == Becomes::GoneButHolding,
            waits_for_sight: self.until.is_none(),
            before: self.before.as_ref(),
            replica: self.replica.as_ref(),
            seen: false,
        }
    }
}

/// Whether an operation acts on a kind itself, rather than only naming it.
fn is_own(action: &str, life: &Life) -> bool {
    let nouns =
        life.describes.iter().map(|(describe, ..)| describe.trim_start_matches("Describe").trim_end_matches('s'));
    nouns.into_iter().any(|noun| action.ends_with(noun))
}

/// Whether a request identifies a resource by its kind's identifier.
fn named(request: &Request, life: &Life, id: &str, region: &str) -> bool {
    requested(life, request).iter().any(|(named, of)| named == id && of == region)
}

/// The ids, with their regions, that a call changed.
fn ids(life: &Life, request: &Request, answer: &Answer) -> Vec<(String, String)> {
    let requested = requested(life, request);
    if !requested.is_empty() {
        return requested;
    }
    let found = answered(answer, life.id);
    found.map(|id| place(life, id, &request.scope.region)).into_iter().collect()
}

/// The ids, with their regions, that a request names.
fn requested(life: &Life, request: &Request) -> Vec<(String, String)> {
    let values = match request.protocol {
        Protocol::Json | Protocol::RestJson => {
            request.json().get(life.id).and_then(Value::as_str).map(str::to_owned).into_iter().collect()
        }
        _ => {
            let named = |key: &str| {
                let key = key.split('.').next().unwrap_or_default();
                key.eq_ignore_ascii_case(life.id) || key.eq_ignore_ascii_case(&format!("{}s", life.id))
            };
            let parameters = request.parameters().into_iter();
            parameters.filter(|(key, _)| named(key)).map(|(_, value)| value).collect::<Vec<_>>()
        }
    };
    let values = values.into_iter().filter(|value| !value.is_empty());
    values.map(|value| place(life, value, &request.scope.region)).collect()
}

/// An id and its region, which may come from an ARN.
fn place(life: &Life, id: String, region: &str) -> (String, String) {
    match life.service {
        "ec2" => (id, String::new()),
        "route53" => (id.trim_start_matches("/change/").to_owned(), String::new()),
        "rds" | "dynamodb" if id.starts_with("arn:") => {
            let parts: Vec<&str> = id.split(':').collect();
            let name = parts.last().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
            (name.to_owned(), parts.get(3).map_or(region, |region| region).to_owned())
        }
        _ => (id, region.to_owned()),
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// A JSON object with one member.
#[expect(clippy::needless_pass_by_value, reason = "it becomes part of the object")]
fn object(key: &str, value: Value) -> Value {
    json!({ key: value })
}
