//! Pages of list operations: at most as large as AWS's, or as a test sets.
//!
//! The emulators return most lists in one page, whatever a request asks for. A list is read from them as a whole, and
//! cut. A page has the next items that no earlier page had, so that none is left out if others are deleted in between.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use hyper::{Uri, header::HeaderValue};
use serde_json::{Value, json};

use crate::{
    action::{Protocol, Request},
    answer::{self, Answer},
    fault::matches,
    model::{Models, Paging},
    route::decode,
    xml::Element,
};

/// The start of the tokens of pages that were cut here, which are names that models allow everywhere.
const TOKEN: &str = "page-";

/// The header of requests that do not fit their signature any more.
const CHANGED: &str = "x-payinfra-changed";

/// The variable with the size of all pages of each emulated AWS.
const VARIABLE: &str = "PAYINFRA_LOCAL_PAGE_SIZE";

/// The sizes of pages without a limit in the request, where they differ from the largest: signing name, operation, size.
/// The API references of the operations.
const DEFAULTS: &[(&str, &str, usize)] = &[
    ("apigateway", "*", 25),
    ("application-autoscaling", "*", 50),
    ("dynamodb", "ListTables", 100),
    ("ec2", "*", 1000),
    ("ecs", "ListServices", 10),
    ("ecs", "*", 100),
    ("iam", "*", 100),
    ("kms", "ListAliases", 50),
    ("kms", "*", 100),
    ("lambda", "*", 50),
    ("logs", "*", 50),
    ("monitoring", "DescribeAlarms", 50),
    ("rds", "*", 100),
    ("route53", "*", 100),
    ("sns", "*", 100),
    ("tagging", "*", 50),
];

/// The number of tokens that are known. Older ones are invalid, as AWS's are after a while.
const TOKENS: usize = 10_000;

/// The size of all pages, if it is set, and the lists that clients are reading.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// 0 if it is not.
    size: AtomicUsize,
    read: Mutex<BTreeMap<u64, Arc<Items>>>,
}

/// The number of items of a list with the same content, by its digest.
type Items = HashMap<u64, usize>;

/// A request for a page.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pages: &'a Pages,
    paging: Paging,
    /// The request for the whole list.
    pub(crate) whole: Request,
    /// The items of earlier pages.
    before: Arc<Items>,
    size: usize,
}

impl Pages {
    pub(crate) fn set(&self, size: Option<usize>) {
        self.size.store(size.unwrap_or(0), Ordering::Relaxed);
    }

    /// The page that a request asks for; `None` if pages are those of the emulator.
    pub(crate) async fn of(
        &self,
        request: &Request,
        models: Option<&Arc<Models>>,
        is_strict: bool,
    ) -> Option<Page<'_>> {
        let set = Some(self.size.load(Ordering::Relaxed)).filter(|size| *size > 0);
        if request.is_mutating() || set.is_none() && !is_strict || request.protocol == Protocol::Cbor {
            return None;
        }
        let paging = models?.paging(request).await?;
        // AWS does not page what is named by its id.
        let names = |(key, _): &(String, String)| {
            key.split_once('.').is_some_and(|(name, _)| name.ends_with("Id") || name.ends_with("Ids"))
        };
        if request.protocol == Protocol::Ec2 && request.parameters().iter().any(names) {
            return None;
        }
        let asked = paging.limit.as_deref().and_then(|limit| parameter(request, limit)?.parse::<usize>().ok());
        let (service, action) = (request.scope.service.as_str(), request.action.as_str());
        let default = DEFAULTS.iter().find(|row| row.0 == service && matches(row.1, action)).map(|row| row.2);
        let size = asked.or(default).into_iter().chain(paging.most).chain(set).min()?;
        let token = parameter(request, &paging.token).filter(|token| !token.is_empty());
        let before = match token {
            Some(token) => self.before(token.strip_prefix(TOKEN)?.parse().ok()?)?,
            None => Arc::default(),
        };
        let mut whole = without(request, &paging.token);
        whole.headers.insert(CHANGED, HeaderValue::from_static("true"));
        if let Some(limit) = &paging.limit {
            whole = without(&whole, limit);
        }
        Some(Page { pages: self, paging, whole, before, size: size.max(1) })
    }

    /// The items of the pages before the one with this token.
    fn before(&self, token: u64) -> Option<Arc<Items>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).get(&token).cloned()
    }

    /// The token of the page after those with `items`.
    fn token(&self, items: Items) -> String {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let token = read.last_key_value().map_or(1, |(last, _)| last + 1);
        read.insert(token, Arc::new(items));
        if read.len() > TOKENS {
            read.pop_first();
        }
        format!("{TOKEN}{token}")
    }
}

/// The size of pages that the environment asks for.
pub(crate) fn by_environment() -> Option<usize> {
    std::env::var(VARIABLE).ok()?.parse().ok()
}

impl Page<'_> {
    /// The request for the rest of the list, if the emulator pages it itself.
    pub(crate) fn rest(&self, answer: &Answer) -> Option<Request> {
        let token = match Element::parse(&answer.text()) {
            Some(root) => wrapped(&root, &self.paging)?.value(&self.paging.next)?,
            None => serde_json::from_slice::<Value>(&answer.body).ok()?.get(&self.paging.next)?.as_str()?.to_owned(),
        };
        (answer.is_success() && !token.is_empty()).then(|| with(&self.whole, &self.paging.token, &token))
    }

    /// Adds the items of another response.
    pub(crate) fn join(&self, answer: &mut Answer, other: &Answer) {
        let lists = &self.paging.items;
        if let (Some(mut root), Some(other)) = (Element::parse(&answer.text()), Element::parse(&other.text())) {
            if let (Some(of), Some(other)) = (wrapped_mut(&mut root, &self.paging), wrapped(&other, &self.paging)) {
                for more in lists.iter().filter_map(|list| other.child(list)) {
                    match of.child_mut(&more.name) {
                        Some(items) => items.children.extend(more.children.iter().cloned()),
                        None => of.set(more.clone()),
                    }
                }
            }
            answer.body = Bytes::from(root.document());
            return;
        }
        let read = |answer: &Answer| serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        let (mut body, mut other) = (read(answer), read(other));
        for list in lists {
            let items = body.get_mut(list).and_then(Value::as_array_mut);
            if let (Some(items), Some(more)) = (items, other.get_mut(list).and_then(Value::as_array_mut)) {
                items.append(more);
            }
        }
        answer.body = Bytes::from(body.to_string());
    }

    /// Cuts the page out of the response with the whole list.
    pub(crate) fn cut(&self, request: &Request, answer: &mut Answer) {
        if !answer.is_success() {
            return;
        }
        let Self { paging, before, .. } = self;
        let (mut met, mut here, mut left) = (Items::new(), 0, 0);
        let mut after = Items::clone(before);
        // Called for each item of each list.
        let mut is_here = |item: String| {
            let mut hasher = DefaultHasher::new();
            item.hash(&mut hasher);
            let digest = hasher.finish();
            let met = met.entry(digest).or_default();
            *met += 1;
            if before.get(&digest).is_some_and(|earlier| *met <= *earlier) {
                return false;
            }
            let fits = here < self.size;
            if fits {
                here += 1;
                *after.entry(digest).or_default() += 1;
            } else {
                left += 1;
            }
            fits
        };
        if let Some(mut root) = Element::parse(&answer.text()) {
            let Some(of) = wrapped_mut(&mut root, paging) else { return };
            for list in &paging.items {
                if let Some(items) = of.child_mut(list) {
                    items.retain_children(|item| is_here(format!("{item:?}")));
                }
            }
            of.retain_children(|element| element.name != paging.next);
            let has_more = left > 0;
            if has_more {
                of.set(Element::with_text(&paging.next, &self.pages.token(after)));
            }
            if let Some(more) = &paging.more {
                of.set(Element::with_text(more, if has_more { "true" } else { "false" }));
            }
            answer.body = Bytes::from(root.document());
        } else if let Ok(Value::Object(mut body)) = serde_json::from_slice::<Value>(&answer.body) {
            for list in &paging.items {
                if let Some(items) = body.get_mut(list).and_then(Value::as_array_mut) {
                    items.retain(|item| is_here(item.to_string()));
                }
            }
            body.remove(&paging.next);
            let has_more = left > 0;
            if has_more {
                body.insert(paging.next.clone(), self.pages.token(after).into());
            }
            if let Some(more) = &paging.more {
                body.insert(more.clone(), has_more.into());
            }
            answer.body = Bytes::from(json!(body).to_string());
        } else {
            *answer = answer::error(request, 500, "InternalFailure", "the emulator's list cannot be read");
        }
    }
}

/// The element with the members of a response.
fn wrapped<'a>(root: &'a Element, paging: &Paging) -> Option<&'a Element> {
    paging.wrapper.as_deref().map_or(Some(root), |wrapper| root.child(wrapper))
}

fn wrapped_mut<'a>(root: &'a mut Element, paging: &Paging) -> Option<&'a mut Element> {
    match &paging.wrapper {
        Some(wrapper) => root.child_mut(wrapper),
        None => Some(root),
    }
}

/// A parameter of a form, of JSON or of a query.
fn parameter(request: &Request, name: &str) -> Option<String> {
    match request.protocol {
        Protocol::Ec2 | Protocol::Query => request.form(name),
        Protocol::Json => match request.json().get(name)? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        },
        _ => crate::route::query(request.uri.query()?, name),
    }
}

/// A request without a parameter.
fn without(request: &Request, name: &str) -> Request {
    let keep = |text: &str| {
        let others = text.split('&').filter(|pair| decode(pair.split('=').next().unwrap_or_default()) != name);
        others.collect::<Vec<_>>().join("&")
    };
    let mut changed = request.clone();
    match request.protocol {
        Protocol::Ec2 | Protocol::Query => {
            changed.body = Bytes::from(keep(request.form_text().unwrap_or_default()));
        }
        Protocol::Json => {
            let mut body = request.json();
            if let Some(members) = body.as_object_mut() {
                members.remove(name);
            }
            changed.body = Bytes::from(body.to_string());
        }
        _ => changed.uri = with_query(&request.uri, &keep(request.uri.query().unwrap_or_default())),
    }
    changed
}

/// A request with a parameter that it does not have.
fn with(request: &Request, name: &str, value: &str) -> Request {
    let encoded = value.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    let added = |text: &str| format!("{text}{}{name}={encoded}", if text.is_empty() { "" } else { "&" });
    let mut changed = request.clone();
    match request.protocol {
        Protocol::Ec2 | Protocol::Query => {
            changed.body = Bytes::from(added(request.form_text().unwrap_or_default()));
        }
        Protocol::Json => {
            let mut body = request.json();
            body[name] = value.into();
            changed.body = Bytes::from(body.to_string());
        }
        _ => changed.uri = with_query(&request.uri, &added(request.uri.query().unwrap_or_default())),
    }
    changed
}

fn with_query(uri: &Uri, query: &str) -> Uri {
    let path = uri.path();
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    // It is part of a target that was valid.
    target.parse().unwrap_or_else(|_| uri.clone())
}
