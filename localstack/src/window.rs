//! Eventual consistency: for some seconds after a change, AWS hides resources, shows them partially, or returns earlier
//! responses.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    action::{Protocol, Request},
    answer::{self, Answer},
    fault::Fault,
    resource::{Created, EC2_KINDS, answered, ec2_kind},
    xml::Element,
};

/// The active windows of inconsistency.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    missing: Vec<Window<(Created, bool)>>,
    untagged: Vec<Window<Created>>,
    roles: Vec<Window<String>>,
    keys: Vec<Window<Key>>,
    stale: Vec<Window<(String, String)>>,
    /// The last response to each request, kept while there are rules for stale reads.
    answers: HashMap<String, Answer>,
}

/// A key that other services do not know, with its aliases.
#[derive(Debug)]
struct Key {
    region: String,
    id: String,
    aliases: Vec<String>,
}

#[derive(Debug)]
struct Window<T> {
    of: T,
    until: Instant,
}

impl State {
    fn close_old(&mut self) {
        let now = Instant::now();
        self.missing.retain(|window| window.until > now);
        self.untagged.retain(|window| window.until > now);
        self.roles.retain(|window| window.until > now);
        self.keys.retain(|window| window.until > now);
        self.stale.retain(|window| window.until > now);
    }
}

impl Windows {
    /// Ends all windows.
    pub(crate) fn clear(&self) {
        *self.lock() = State::default();
    }

    /// Starts the window of a fault after the call that the fault hit.
    pub(crate) fn open(&self, fault: &Fault, request: &Request, answer: &Answer) {
        let until = |seconds: f64| Instant::now() + Duration::try_from_secs_f64(seconds).unwrap_or_default();
        if !answer.is_success() {
            return;
        }
        let created = || Created::by(request, answer).into_iter();
        let mut state = self.lock();
        match *fault {
            Fault::NotFound { seconds, writes } => {
                state.missing.extend(created().map(|of| Window { of: (of, writes), until: until(seconds) }));
            }
            Fault::HiddenTags { seconds } => {
                state.untagged.extend(created().map(|of| Window { of, until: until(seconds) }));
            }
            Fault::RoleNotAssumable { seconds } if request.action == "CreateRole" => {
                state
                    .roles
                    .extend(created().map(|role| Window { of: format!("role/{}", role.id), until: until(seconds) }));
            }
            Fault::KeyNotUsable { seconds } if ["CreateKey", "ReplicateKey"].contains(&request.action.as_str()) => {
                let keys = Key::created(request, answer).into_iter();
                state.keys.extend(keys.map(|of| Window { of, until: until(seconds) }));
            }
            Fault::Stale { seconds } if request.is_mutating() => {
                let of = (request.scope.service.clone(), request.scope.region.clone());
                state.stale.push(Window { of, until: until(seconds) });
            }
            _ => {}
        }
    }

    /// The response to a request that a window intercepts.
    pub(crate) fn intercept(&self, request: &Request) -> Option<Answer> {
        let mut state = self.lock();
        state.close_old();
        let service = &request.scope.service;
        if state.stale.iter().any(|window| window.of.0 == *service && window.of.1 == request.scope.region)
            && !request.is_mutating()
            && let Some(earlier) = state.answers.get(&request.question())
        {
            return Some(earlier.clone());
        }
        if state.missing.is_empty() && state.roles.is_empty() && state.keys.is_empty() {
            return None;
        }
        let text = request.text();
        if assumes(request) && state.roles.iter().any(|window| mentions_role(&text, &window.of)) {
            return Some(role_error(request));
        }
        if let Some(error) = key_error(request)
            && state.keys.iter().any(|window| window.of.is_named(request, &text))
        {
            return Some(error);
        }
        let missing = state.missing.iter().find(|window| {
            let (created, writes) = &window.of;
            created.is_in(request, &text) && (*writes || !request.is_mutating())
        })?;
        let created = &missing.of.0;
        // These operations return an empty list instead of an error.
        let filters = request.protocol == Protocol::Ec2 || service == "rds";
        let finds_nothing =
            filters && !names_by_id(request, &created.id) || service == "ecs" && request.action.starts_with("Describe");
        (!finds_nothing).then(|| not_found(request, created))
    }

    /// Removes what a window hides from a response, and keeps the response for stale reads.
    pub(crate) fn edit(&self, request: &Request, answer: &mut Answer, keep: bool) {
        let mut state = self.lock();
        state.close_old();
        if request.action == "CreateAlias" && answer.is_success() {
            state.keys.iter_mut().for_each(|window| window.of.note_alias(request));
        }
        let here =
            |created: &Created| created.service == request.scope.service && created.region == request.scope.region;
        let missing = state.missing.iter().map(|window| &window.of.0).filter(|created| here(created));
        let missing: Vec<String> = missing.map(|created| created.id.clone()).collect();
        // The tagging API returns the tags of all services.
        let tagging = request.scope.service == "tagging";
        let untagged = state.untagged.iter().map(|window| &window.of).filter(|created| tagging || here(created));
        let untagged: Vec<String> = untagged.map(|created| created.id.clone()).collect();
        if answer.is_success() && !request.is_mutating() {
            if !missing.is_empty() {
                drop_items(answer, &missing, |_| true);
            }
            if !untagged.is_empty() {
                hide_tags(request, answer, &untagged);
            }
            if keep {
                state.answers.insert(request.question(), answer.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    /// The key that a call creates.
    fn created(request: &Request, answer: &Answer) -> Option<Self> {
        let asked = request.json();
        let id = answered(answer, "KeyId")?;
        let region = asked.get("ReplicaRegion").and_then(Value::as_str).unwrap_or(&request.scope.region);
        Some(Self { region: region.to_owned(), id, aliases: Vec::new() })
    }

    /// Remembers an alias that is created for the key.
    fn note_alias(&mut self, request: &Request) {
        let asked = request.json();
        let text = |member: &str| asked.get(member).and_then(Value::as_str).unwrap_or_default();
        if request.scope.region == self.region && text("TargetKeyId").ends_with(&self.id) {
            self.aliases.push(text("AliasName").to_owned());
        }
    }

    /// Whether a request names the key, by ARN, id or alias. Multi-Region keys have the same id in all regions.
    fn is_named(&self, request: &Request, text: &str) -> bool {
        let Self { region, id, aliases } = self;
        let resource = format!(":key/{id}");
        let by_arn = text.match_indices(&resource).any(|(index, _)| {
            let before = text[..index].rsplit("arn:").next().unwrap_or_default();
            before.split(':').nth(2) == Some(region)
        });
        let here = request.scope.region == *region;
        by_arn
            || here && text.contains(id.as_str()) && !text.contains(&resource)
            || here && aliases.iter().any(|alias| mentions_role(text, alias))
    }
}

/// The service's error for a key that it does not know, if the call makes it look for one: AWS-FACTS, Supplement and §0.1.
fn key_error(request: &Request) -> Option<Answer> {
    let (code, message) = match (request.scope.service.as_str(), request.action.as_str()) {
        ("dynamodb", "CreateTable" | "UpdateTable") => (
            "ValidationException",
            "KMS validation error: com.amazonaws.services.kms.model.NotFoundException: Key does not exist",
        ),
        ("secretsmanager", "CreateSecret" | "ReplicateSecretToRegions" | "UpdateSecret") => {
            ("AccessDeniedException", "Access to KMS is not allowed")
        }
        ("lambda", "CreateFunction" | "UpdateFunctionConfiguration") => {
            ("InvalidParameterValueException", "KMS key is invalid for CreateGrant")
        }
        _ => return None,
    };
    Some(answer::error(request, 400, code, message))
}

/// Whether a service validates the roles that a request names.
fn assumes(request: &Request) -> bool {
    let action = request.action.as_str();
    match request.scope.service.as_str() {
        "iam" | "logs" | "monitoring" | "sts" | "tagging" => false,
        "dynamodb" => !action.contains("Item"),
        // Objects may contain any text.
        "s3" => action.starts_with("PutBucket"),
        "ecs" => action != "RegisterTaskDefinition" && request.is_mutating(),
        _ => request.is_mutating(),
    }
}

/// Whether a text names a role, as a whole word.
fn mentions_role(text: &str, role: &str) -> bool {
    text.match_indices(role).any(|(index, _)| {
        let next = text[index + role.len()..].chars().next();
        !next.is_some_and(|next| next.is_alphanumeric() || "+=,.@_-".contains(next))
    })
}

/// Whether a request names a resource by its id or ARN outside of filters, for which the response would be an empty
/// list instead of an error.
fn names_by_id(request: &Request, id: &str) -> bool {
    let names = |value: &str| value.strip_suffix(id).is_some_and(|before| before.is_empty() || before.ends_with(':'));
    request.parameters().iter().any(|(key, value)| !key.starts_with("Filter") && names(value))
}

fn not_found(request: &Request, created: &Created) -> Answer {
    let id = created.id.as_str();
    let message = format!("'{id}' does not exist");
    if let Some(code) = created.not_found {
        let json = matches!(request.protocol, Protocol::Json);
        return answer::error(request, if json { 400 } else { 404 }, code, &message);
    }
    match request.protocol {
        Protocol::Ec2 => {
            let code = ec2_kind(id).map_or("InvalidParameterValue", |kind| kind.not_found);
            answer::error(request, 400, code, &message)
        }
        Protocol::S3 => answer::error(request, 404, "NoSuchBucket", &message),
        Protocol::RestJson => answer::error(request, 404, "ResourceNotFoundException", &message),
        _ => answer::error(request, 400, "ResourceNotFoundException", &message),
    }
}

/// Each service's error for a role that it cannot assume, or a principal that it does not know.
fn role_error(request: &Request) -> Answer {
    let (code, message) = match request.scope.service.as_str() {
        "lambda" => {
            ("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.")
        }
        "ec2" => ("InvalidParameter", "Unable to assume given IAM role"),
        "kms" => {
            ("MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals.")
        }
        "s3" => ("MalformedPolicy", "Invalid principal in policy"),
        "events" => ("ValidationException", "Provided role cannot be assumed by principal 'events.amazonaws.com'."),
        "rds" => {
            ("InvalidParameterValue", "IAM role ARN value is invalid or does not include the required permissions")
        }
        "cloudtrail" => (
            "InvalidCloudWatchLogsRoleArnException",
            "Access denied. Verify in IAM that the role has adequate trust relationships.",
        ),
        "ecs" => (
            "InvalidParameterException",
            "Unable to assume the service linked role. Please verify that the ECS service role exists.",
        ),
        "sns" => ("InvalidParameter", "Invalid parameter: Policy Error: PrincipalNotFound"),
        "application-autoscaling" => ("ValidationException", "Unable to assume IAM role"),
        _ => ("InvalidParameterValueException", "The role cannot be assumed"),
    };
    answer::error(request, 400, code, message)
}

/// Removes these resources from the lists in a response.
fn drop_items(answer: &mut Answer, ids: &[String], also: impl Fn(&str) -> bool) {
    let is_one = |text: &str| ids.iter().any(|id| text == id || text.ends_with(&format!("/{id}"))) && also(text);
    if let Some(mut root) = Element::parse(&answer.text()) {
        root.retain(&mut |element| {
            let item = ITEMS.contains(&element.name.as_str());
            !item || !element.elements().any(|child| is_id_element(&child.name) && is_one(&child.text()))
        });
        answer.body = Bytes::from(root.document());
    } else if let Ok(mut value) = serde_json::from_slice::<Value>(&answer.body) {
        visit_json(&mut value, &mut |value| {
            if let Value::Array(items) = value {
                items.retain(|item| match item {
                    Value::String(text) => !is_one(text),
                    Value::Object(fields) => !fields.values().any(|field| field.as_str().is_some_and(is_one)),
                    _ => true,
                });
            }
        });
        answer.body = Bytes::from(value.to_string());
    }
}

/// The names of list items.
const ITEMS: &[&str] = &[
    "Bucket",
    "DBCluster",
    "DBClusterParameterGroup",
    "DBInstance",
    "DBParameterGroup",
    "DBSubnetGroup",
    "GlobalClusterMember",
    "HealthCheck",
    "HostedZone",
    "item",
    "member",
];

/// The names of tags, in lower case.
const TAGS: &[&str] = &["taglist", "tags", "tagslist"];

/// Whether an element can be the id of the item that contains it.
fn is_id_element(name: &str) -> bool {
    EC2_KINDS.iter().any(|kind| kind.element == name)
        || name == "Id"
        || ["Arn", "Identifier", "Name"].iter().any(|end| name.ends_with(end))
}

/// Removes the tags of these resources, and the resources themselves if the request filters on tags.
fn hide_tags(request: &Request, answer: &mut Answer, ids: &[String]) {
    match request.protocol {
        Protocol::Ec2 => {
            let by_tag = request
                .parameters()
                .iter()
                .any(|(key, value)| key.starts_with("Filter") && key.ends_with("Name") && value.starts_with("tag"));
            let Some(mut root) = Element::parse(&answer.text()) else {
                return;
            };
            let own = |element: &Element| {
                let kinds = EC2_KINDS.iter().filter(|kind| kind.describes.contains(&request.action.as_str()));
                kinds.into_iter().any(|kind| element.value(kind.element).is_some_and(|id| ids.contains(&id)))
            };
            root.retain(&mut |element| {
                let described_tag =
                    request.action == "DescribeTags" && element.value("resourceId").is_some_and(|id| ids.contains(&id));
                !(by_tag && element.name == "item" && own(element) || described_tag)
            });
            root.visit(&mut |element| {
                if element.name == "item" && own(element) {
                    element.set(Element::of("tagSet", []));
                }
            });
            answer.body = Bytes::from(root.document());
        }
        Protocol::S3 if request.action == "GetBucketTagging" && ids.iter().any(|id| request.text().contains(id)) => {
            *answer = answer::error(request, 404, "NoSuchTagSet", "The TagSet does not exist");
        }
        Protocol::Query | Protocol::RestXml => {
            let Some(mut root) = Element::parse(&answer.text()) else {
                return;
            };
            let asked = ids.iter().any(|id| request.text().contains(id));
            root.visit(&mut |element| {
                let own = element.elements().any(|child| is_id_element(&child.name) && ids.contains(&child.text()));
                if own || asked {
                    element
                        .children
                        .retain(|child| !matches!(child, crate::xml::Node::Element(tags) if are_tags(&tags.name)));
                }
            });
            answer.body = Bytes::from(root.document());
        }
        Protocol::Json | Protocol::RestJson => {
            if request.action == "GetResources" && request.scope.service == "tagging" {
                drop_items(answer, ids, |text| text.starts_with("arn:"));
                return;
            }
            let Ok(mut value) = serde_json::from_slice::<Value>(&answer.body) else {
                return;
            };
            let asked = ids.iter().any(|id| request.text().contains(id));
            visit_json(&mut value, &mut |value| {
                let Some(fields) = value.as_object_mut() else {
                    return;
                };
                let own =
                    fields.values().any(|field| field.as_str().is_some_and(|text| ids.iter().any(|id| id == text)));
                for (_, tags) in fields.iter_mut().filter(|(key, _)| (own || asked) && are_tags(key)) {
                    *tags = if tags.is_array() { json!([]) } else { json!({}) };
                }
            });
            answer.body = Bytes::from(value.to_string());
        }
        Protocol::S3 | Protocol::Cbor => {}
    }
}

fn are_tags(name: &str) -> bool {
    TAGS.contains(&name.to_ascii_lowercase().as_str())
}

/// Visits a value and all within it.
pub(crate) fn visit_json(value: &mut Value, change: &mut impl FnMut(&mut Value)) {
    change(value);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| visit_json(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| visit_json(field, change)),
        _ => {}
    }
}
