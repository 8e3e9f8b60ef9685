//! JSON documents within members: policies, dashboards, event patterns and container definitions.
//!
//! The models know them as text. Their rules are from the service's documentation: for policies "IAM JSON policy elements
//! reference" and "IAM and AWS STS quotas".

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use serde_json::{Map, Value};

use super::check::{Broken, Rule};

/// A kind of policy.
#[derive(Debug)]
struct Kind {
    /// Whether statements have principals; either if it is `None`.
    principal: Option<bool>,
    /// Whether statements have resources.
    resource: Option<bool>,
    /// The maximum size in bytes. White space is not counted where IAM doesn't count it.
    size: usize,
    is_iam: bool,
}

/// What a role, user or group may do. The size is that of managed policies; [`Roles`] has that of inline ones.
const IDENTITY: Kind = Kind { principal: Some(false), resource: Some(true), size: 6_144, is_iam: true };
const INLINE: Kind = Kind { size: INLINE_SIZE, ..IDENTITY };
/// Who may assume a role.
const TRUST: Kind = Kind { principal: Some(true), resource: Some(false), size: 2_048, is_iam: true };
/// The access to a resource.
const BUCKET: Kind = Kind { principal: Some(true), resource: Some(true), size: 20_480, is_iam: false };
const KEY: Kind = Kind { size: 32_768, ..BUCKET };
const TOPIC: Kind = Kind { size: 30_720, ..BUCKET };
const SECRET: Kind = Kind { size: 20_480, ..BUCKET };
const LOGS: Kind = Kind { size: 5_120, ..BUCKET };
const ENDPOINT: Kind = Kind { principal: None, size: 20_480, ..BUCKET };
const QUEUE: Kind = Kind { resource: None, size: 8_192, ..BUCKET };

/// Service, operation, member, and the kind of its policy.
const POLICIES: &[(&str, &str, &str, &Kind)] = &[
    ("ec2", "CreateVpcEndpoint", "PolicyDocument", &ENDPOINT),
    ("ec2", "ModifyVpcEndpoint", "PolicyDocument", &ENDPOINT),
    ("iam", "CreatePolicy", "PolicyDocument", &IDENTITY),
    ("iam", "CreatePolicyVersion", "PolicyDocument", &IDENTITY),
    ("iam", "CreateRole", "AssumeRolePolicyDocument", &TRUST),
    ("iam", "PutRolePolicy", "PolicyDocument", &INLINE),
    ("iam", "UpdateAssumeRolePolicy", "PolicyDocument", &TRUST),
    ("kms", "CreateKey", "Policy", &KEY),
    ("kms", "PutKeyPolicy", "Policy", &KEY),
    ("kms", "ReplicateKey", "Policy", &KEY),
    ("logs", "PutResourcePolicy", "policyDocument", &LOGS),
    ("s3", "PutBucketPolicy", "Policy", &BUCKET),
    ("secretsmanager", "PutResourcePolicy", "ResourcePolicy", &SECRET),
    ("sns", "CreateTopic", "Attributes.Policy", &TOPIC),
    ("sns", "SetTopicAttributes", "AttributeValue", &TOPIC),
    ("sqs", "CreateQueue", "Attributes.Policy", &QUEUE),
    ("sqs", "SetQueueAttributes", "Attributes.Policy", &QUEUE),
];

/// The rules that the documents of a request break.
pub(super) fn broken(service: &str, operation: &str, input: &Value) -> Vec<Broken> {
    let mut found = Vec::new();
    for (_, _, member, kind) in POLICIES.iter().filter(|(of, by, ..)| (*of, *by) == (service, operation)) {
        if operation == "SetTopicAttributes" && input["AttributeName"] != "Policy" {
            continue;
        }
        let text = member.split('.').try_fold(input, |value, name| value.get(name)).and_then(Value::as_str);
        // An empty text removes a policy.
        if let Some(text) = text.filter(|text| !text.is_empty())
            && let Err((reason, is_size)) = policy(text, kind)
        {
            found.push(broke(member, text, reason, is_size));
        }
    }
    let other = match (service, operation) {
        ("cloudwatch", "PutDashboard") => Some(("DashboardBody", dashboard as fn(&Value) -> Result<(), String>)),
        ("events", "PutRule" | "TestEventPattern" | "CreateArchive") => Some(("EventPattern", event_pattern as _)),
        _ => None,
    };
    if let Some((member, check)) = other
        && let Some(text) = input[member].as_str().filter(|text| !text.is_empty())
    {
        let document = serde_json::from_str(text).map_err(|error| format!("invalid JSON: {error}"));
        if let Err(reason) = document.and_then(|document| check(&document)) {
            found.push(broke(member, text, reason, false));
        }
    }
    if (service, operation) == ("ecs", "RegisterTaskDefinition")
        && let Err(reason) = containers(&input["containerDefinitions"])
    {
        found.push(broke("containerDefinitions", &input["containerDefinitions"].to_string(), reason, false));
    }
    found
}

fn broke(member: &str, value: &str, reason: String, is_size: bool) -> Broken {
    let path = member.rsplit('.').next().unwrap_or_default();
    let rule = if is_size { Rule::Size(reason) } else { Rule::Document(reason) };
    Broken { path: super::read::join("", path), value: value.to_owned(), rule }
}

/// Checks a policy; the error says whether it is too large.
fn policy(text: &str, kind: &Kind) -> Result<(), (String, bool)> {
    let size = if kind.is_iam { counted(text) } else { text.len() };
    if size > kind.size {
        return Err((format!("a policy of at most {} bytes, not {size}", kind.size), true));
    }
    let document = serde_json::from_str(text).map_err(|error| (format!("valid JSON: {error}"), false))?;
    statements(&document, kind).map_err(|reason| (reason, false))
}

/// The size of a policy as IAM counts it.
fn counted(text: &str) -> usize {
    text.chars().filter(|char| !char.is_whitespace()).map(char::len_utf8).sum()
}

fn statements(document: &Value, kind: &Kind) -> Result<(), String> {
    let members = known(document, "a policy", &["Version", "Id", "Statement"])?;
    if let Some(version) = members.get("Version")
        && !["2012-10-17", "2008-10-17"].iter().any(|known| version == known)
    {
        return Err(format!("a policy of Version 2012-10-17 or 2008-10-17, not {version}"));
    }
    let statements = match members.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.iter().collect(),
        Some(statement @ Value::Object(_)) => vec![statement],
        _ => return Err("a policy with at least one Statement".to_owned()),
    };
    let mut names = HashSet::new();
    for (index, value) in statements.into_iter().enumerate() {
        let place = |reason: String| format!("a policy whose statement {} has {reason}", index + 1);
        let name = statement(value, kind).map_err(place)?;
        if let Some(name) = name.filter(|name| !name.is_empty())
            && !names.insert(name)
        {
            return Err(place(format!("a Sid that no other has, not {name}")));
        }
    }
    Ok(())
}

const ELEMENTS: &[&str] =
    &["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

/// Checks a statement, and returns its id.
fn statement<'a>(statement: &'a Value, kind: &Kind) -> Result<Option<&'a str>, String> {
    let members = known(statement, "the elements of statements", ELEMENTS)?;
    if !matches!(members.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny")) {
        return Err("Effect Allow or Deny".to_owned());
    }
    let one_of = |element: &str, wanted: Option<bool>| {
        let not = format!("Not{element}");
        match (members.contains_key(element), members.contains_key(&not), wanted) {
            (true, true, _) => Err(format!("{element} or {not}, not both")),
            (false, false, Some(true)) => Err(element.to_owned()),
            (true, _, Some(false)) | (_, true, Some(false)) => Err(format!("no {element}")),
            _ => Ok(()),
        }
    };
    one_of("Principal", kind.principal)?;
    one_of("Action", Some(true))?;
    one_of("Resource", kind.resource)?;
    for action in texts(members, "Action")?.into_iter().chain(texts(members, "NotAction")?) {
        if action != "*" && !action.contains(':') {
            return Err(format!("actions of a service, not {action}"));
        }
        if kind.resource == Some(false) && !action.starts_with("sts:") {
            return Err(format!("only actions of STS, not {action}"));
        }
    }
    for resource in texts(members, "Resource")?.into_iter().chain(texts(members, "NotResource")?) {
        if resource != "*" && !resource.starts_with("arn:") {
            return Err(format!("resources that are ARNs or *, not {resource}"));
        }
    }
    if let Some(principal) = members.get("Principal").or_else(|| members.get("NotPrincipal"))
        && principal != "*"
    {
        let principals =
            known(principal, "the types of principals", &["AWS", "CanonicalUser", "Federated", "Service"])?;
        for kind in principals.keys() {
            texts(principals, kind)?;
        }
    }
    for (operator, keys) in members.get("Condition").and_then(Value::as_object).into_iter().flatten() {
        if !is_operator(operator) {
            return Err(format!("a condition operator, not {operator}"));
        }
        if keys.as_object().is_none_or(Map::is_empty) {
            return Err(format!("a condition {operator} with keys"));
        }
    }
    let name = members.get("Sid").and_then(Value::as_str);
    let is_valid = |name: &str| !kind.is_iam || name.chars().all(|char| char.is_ascii_alphanumeric());
    match name {
        Some(name) if !is_valid(name) => Err(format!("a Sid of letters and digits, not {name}")),
        name => Ok(name),
    }
}

/// The texts of an element, which may be one text or a list.
fn texts<'a>(members: &'a Map<String, Value>, element: &str) -> Result<Vec<&'a str>, String> {
    let wrong = || format!("texts in {element}");
    match members.get(element) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(items)) if !items.is_empty() => {
            items.iter().map(|item| item.as_str().ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn is_operator(name: &str) -> bool {
    const OPERATORS: &[&str] = &[
        "ArnEquals",
        "ArnLike",
        "ArnNotEquals",
        "ArnNotLike",
        "BinaryEquals",
        "Bool",
        "DateEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
        "DateLessThan",
        "DateLessThanEquals",
        "DateNotEquals",
        "IpAddress",
        "NotIpAddress",
        "Null",
        "NumericEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericNotEquals",
        "StringEquals",
        "StringEqualsIgnoreCase",
        "StringLike",
        "StringNotEquals",
        "StringNotEqualsIgnoreCase",
        "StringNotLike",
    ];
    let name = name.strip_prefix("ForAllValues:").or_else(|| name.strip_prefix("ForAnyValue:")).unwrap_or(name);
    OPERATORS.contains(&name.strip_suffix("IfExists").unwrap_or(name))
}

/// An object that has only known members.
fn known<'a>(value: &'a Value, what: &str, names: &[&str]) -> Result<&'a Map<String, Value>, String> {
    let members = value.as_object().ok_or_else(|| format!("{what}: an object"))?;
    match members.keys().find(|name| !names.contains(&name.as_str())) {
        Some(unknown) => Err(format!("{what}, not {unknown}")),
        None => Ok(members),
    }
}

/// CloudWatch API Reference, "Dashboard Body Structure and Syntax".
fn dashboard(body: &Value) -> Result<(), String> {
    let names = ["end", "periodOverride", "start", "variables", "widgets"];
    let members = known(body, "a dashboard", &names)?;
    let widgets = members.get("widgets").and_then(Value::as_array).ok_or("a dashboard with widgets")?;
    if widgets.len() > 500 {
        return Err(format!("a dashboard of at most 500 widgets, not {}", widgets.len()));
    }
    for (index, widget) in widgets.iter().enumerate() {
        let place = |reason: String| format!("a dashboard whose widget {} has {reason}", index + 1);
        let names = ["height", "properties", "type", "width", "x", "y"];
        let members = known(widget, "the members of widgets", &names).map_err(place)?;
        let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
        if !["alarm", "custom", "explorer", "log", "metric", "text"].contains(&kind) {
            return Err(place(format!("a known type, not {kind:?}")));
        }
        if !members.get("properties").is_some_and(Value::is_object) {
            return Err(place("properties".to_owned()));
        }
        for (name, least, most) in [("x", 0, 23), ("y", 0, i64::MAX), ("width", 1, 24), ("height", 1, 1000)] {
            let number = members.get(name).map(|value| value.as_i64().unwrap_or(-1));
            if number.is_some_and(|number| !(least..=most).contains(&number)) {
                return Err(place(format!("{name} from {least} to {most}, not {}", members[name])));
            }
        }
    }
    Ok(())
}

/// EventBridge User Guide, "Amazon EventBridge event pattern syntax".
fn event_pattern(pattern: &Value) -> Result<(), String> {
    const FIELDS: &[&str] = &[
        "$or",
        "account",
        "detail",
        "detail-type",
        "id",
        "region",
        "replay-name",
        "resources",
        "source",
        "time",
        "version",
    ];
    let fields = known(pattern, "an event pattern", FIELDS)?;
    if fields.is_empty() {
        return Err("an event pattern with a field".to_owned());
    }
    fields.iter().try_for_each(|(name, value)| pattern_field(name, value))
}

fn pattern_field(name: &str, value: &Value) -> Result<(), String> {
    const FILTERS: &[&str] =
        &["anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"];
    match value {
        Value::Array(alternatives) if name == "$or" => alternatives.iter().try_for_each(|alternative| {
            let fields = alternative.as_object().ok_or("an event pattern whose $or has objects")?;
            fields.iter().try_for_each(|(name, value)| pattern_field(name, value))
        }),
        Value::Array(values) if values.is_empty() => Err(format!("an event pattern whose {name} has values")),
        Value::Array(values) => values.iter().try_for_each(|value| match value {
            Value::Object(filter) => match filter.keys().find(|key| !FILTERS.contains(&key.as_str())) {
                Some(unknown) => Err(format!("an event pattern whose {name} has known filters, not {unknown}")),
                None => Ok(()),
            },
            Value::Array(_) => Err(format!("an event pattern whose {name} is one list")),
            _ => Ok(()),
        }),
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().try_for_each(|(name, value)| pattern_field(name, value))
        }
        _ => Err(format!("an event pattern whose {name} is a list of values")),
    }
}

/// ECS API Reference, ContainerDefinition.
fn containers(all: &Value) -> Result<(), String> {
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        return Err("at least one container".to_owned());
    }
    let mut names = HashSet::new();
    for container in all {
        let name = container["name"].as_str().unwrap_or_default();
        let valid = |char: char| char.is_ascii_alphanumeric() || ['-', '_'].contains(&char);
        if !(1..=255).contains(&name.len()) || !name.chars().all(valid) {
            return Err(format!("containers with names of letters, digits, - and _, not {name:?}"));
        }
        if !names.insert(name) {
            return Err(format!("containers with names of their own, not {name:?} twice"));
        }
        if container["image"].as_str().is_none_or(str::is_empty) {
            return Err(format!("container {name} with an image"));
        }
    }
    if all.iter().all(|container| container["essential"] == false) {
        return Err("at least one essential container".to_owned());
    }
    Ok(())
}

/// The inline policies of all roles, whose sizes count together.
#[derive(Debug, Default)]
pub(crate) struct Roles(Mutex<HashMap<String, HashMap<String, usize>>>);

/// The maximum size of a role's inline policies together.
const INLINE_SIZE: usize = 10_240;

impl Roles {
    /// Forgets all roles.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Notes a change of a role, and refuses a policy that makes its policies too large.
    pub(super) fn broken(&self, operation: &str, input: &Value) -> Option<Broken> {
        let text = |name: &str| input[name].as_str().unwrap_or_default();
        let (role, name, document) = (text("RoleName"), text("PolicyName"), text("PolicyDocument"));
        let mut roles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match operation {
            "PutRolePolicy" => {
                let policies = roles.entry(role.to_owned()).or_default();
                let others: usize = policies.iter().filter(|(other, _)| *other != name).map(|(_, size)| size).sum();
                let all = others + counted(document);
                if all > INLINE_SIZE {
                    let reason = format!("inline policies of at most {INLINE_SIZE} bytes together, not {all}");
                    return Some(broke("PolicyDocument", document, reason, true));
                }
                policies.insert(name.to_owned(), counted(document));
            }
            "DeleteRolePolicy" => drop(roles.get_mut(role).map(|policies| policies.remove(name))),
            "DeleteRole" => drop(roles.remove(role)),
            _ => {}
        }
        None
    }
}
