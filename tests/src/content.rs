//! The content of the account and the state after a run, without values that differ between runs, so that two runs can
//! be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payinfra_aws::{Access, Aws};
use payinfra_engine::sweep::census;
use payinfra_engine::{Cloud, Region, Seen, State};
use serde_json::Value;

use crate::Bench;

/// The content of the account, the state and the outputs, without values that differ between runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The resources in the account, by the services' own lists, with their numbers.
    pub account: BTreeMap<String, usize>,
    /// All fields of all resources that are in the state or have owner tags, read from AWS by kind, with addresses
    /// instead of ids. A duplicate has two values.
    pub contents: BTreeMap<String, String>,
    /// The content of the state.
    pub state: BTreeMap<String, String>,
}

/// The differences between two snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Orphans: resources in the account whose kind and name should not exist.
    pub orphans: Vec<String>,
    /// Duplicates: resources that exist more often than they should.
    pub duplicates: Vec<String>,
    /// Fields in AWS that differ.
    pub contents: Vec<String>,
    /// All other differences.
    pub others: Vec<String>,
}

impl Snapshot {
    /// A snapshot of the account, and of the state of `workspace`.
    pub async fn take(bench: &Bench, workspace: &str) -> Self {
        let (state, tags) = (pulled(bench, workspace), tags(bench).await);
        let mut account = BTreeMap::new();
        for line in bench.inventory().await.to_string().lines() {
            let named = line.split(' ').map(|word| tags.get(word).cloned().unwrap_or_else(|| anonymous(word)));
            *account.entry(named.collect::<Vec<_>>().join(" ")).or_default() += 1;
        }
        let aws = aws(bench).await;
        let cloud: Arc<dyn Cloud> = Arc::new(aws.clone());
        let mut regions: BTreeSet<_> = bench.regions().iter().map(|region| Region::new(region)).collect();
        regions.insert(Region::global());
        let mut found = read(&*cloud, &state).await;
        let tagged = census(&cloud, &aws, &bench.stack(), &regions).await.unwrap();
        for orphan in tagged {
            found.entry((orphan.owner.address.to_string(), orphan.seen.id.clone())).or_insert(orphan.seen);
        }
        let ids = ids(&state, found.keys());
        let mut contents: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for ((address, _), seen) in &found {
            contents.entry(address.clone()).or_default().push(value(seen, &ids));
        }
        let contents = contents.into_iter().map(|(address, mut values)| {
            values.sort();
            (address, values.join(" and "))
        });
        Self { account, contents: contents.collect(), state: facts(&state, &ids) }
    }

    /// The differences of `is`.
    #[must_use]
    pub fn compare(&self, is: &Self) -> Comparison {
        let mut found = Comparison::default();
        for (line, count) in &is.account {
            match self.account.get(line) {
                None => found.orphans.push(format!("{count} × {line}")),
                Some(right) if count > right => found.duplicates.push(format!("{count}, not {right} × {line}")),
                Some(_) => {}
            }
        }
        for (line, right) in &self.account {
            let count = is.account.get(line).copied().unwrap_or_default();
            if count < *right {
                found.others.push(format!("{count}, not {right} × {line}"));
            }
        }
        found.contents = different("AWS", &self.contents, &is.contents);
        found.others.extend(different("state", &self.state, &is.state));
        found
    }
}

impl Comparison {
    /// Whether there are no differences.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        *self == Self::default()
    }

    /// One line per difference.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let kinds = [
            ("orphan", &self.orphans),
            ("duplicate", &self.duplicates),
            ("content", &self.contents),
            ("difference", &self.others),
        ];
        kinds.iter().flat_map(|(what, lines)| lines.iter().map(move |line| format!("{what}: {line}"))).collect()
    }

    /// Adds the differences in `more`.
    pub fn extend(&mut self, more: Self) {
        self.orphans.extend(more.orphans);
        self.duplicates.extend(more.duplicates);
        self.contents.extend(more.contents);
        self.others.extend(more.others);
    }
}

/// All fields of the resources in `state`, as AWS returns them now, with ids.
pub async fn of_state(bench: &Bench, state: &State) -> BTreeMap<(String, String), String> {
    let found = read(&aws(bench).await, state).await;
    found.into_iter().map(|(key, seen)| (key, format!("{:?} {}", seen.status, sorted(seen.args)))).collect()
}

/// The state of `workspace`; an empty one if there is none.
#[must_use]
pub fn pulled(bench: &Bench, workspace: &str) -> State {
    let pulled = bench.run(&["state", "pull", "--workspace", workspace]);
    State::parse(pulled.stdout.as_bytes())
        .unwrap_or_else(|_| State::new(&bench.stack(), workspace, payinfra_localstack::ACCOUNT_ID))
}

async fn aws(bench: &Bench) -> Aws {
    Aws::new(Access::emulated(&bench.aws.endpoint()).await.unwrap())
}

/// The existing resources in `state`, by address and id.
async fn read(cloud: &dyn Cloud, state: &State) -> BTreeMap<(String, String), Seen> {
    let mut groups: BTreeMap<(Region, String), Vec<(String, String)>> = BTreeMap::new();
    for (address, record) in &state.resources {
        let group = groups.entry((address.region.clone(), address.kind.to_string())).or_default();
        let deposed = record.deposed.iter().map(|deposed| &deposed.id);
        group.extend(record.id.iter().chain(deposed).map(|id| (id.clone(), address.to_string())));
    }
    let mut found = BTreeMap::new();
    for ((region, kind), known) in groups {
        let ids: Vec<String> = known.iter().map(|(id, _)| id.clone()).collect();
        for some in ids.chunks(cloud.spec(&kind).unwrap().batch.max(1)) {
            for seen in cloud.read(&region, &kind, some).await.unwrap() {
                let (_, address) = known.iter().find(|(id, _)| *id == seen.id).unwrap();
                found.insert((address.clone(), seen.id.clone()), seen);
            }
        }
    }
    found
}

/// The replacement for each id, longer ones first, because an id may be part of another one.
fn ids<'a>(state: &State, found: impl Iterator<Item = &'a (String, String)>) -> Vec<(String, String)> {
    let mut ids: BTreeMap<String, String> = found.map(|(address, id)| (id.clone(), address.clone())).collect();
    for (address, record) in &state.resources {
        // The id of a request validator is an output, because its own has the API's in front of it.
        let output = record.outputs.get("validator").and_then(Value::as_str).map(str::to_owned);
        ids.extend(record.id.iter().chain(&output).map(|id| (id.clone(), address.to_string())));
    }
    ids.insert(state.lineage.clone(), "(lineage)".to_owned());
    ids.remove("");
    let mut ids: Vec<_> = ids.into_iter().collect();
    ids.sort_by_key(|(id, _)| std::cmp::Reverse(id.len()));
    ids
}

fn value(seen: &Seen, ids: &[(String, String)]) -> String {
    // The time until which a resource can be restored differs between runs.
    let status = format!("{:?}", seen.status);
    let status = status.split('(').next().unwrap_or_default();
    format!("{status} {}", normal(&seen.args, ids))
}

fn normal(value: &Value, ids: &[(String, String)]) -> String {
    let text = ids.iter().fold(value.to_string(), |text, (id, address)| text.replace(id, address));
    sorted(serde_json::from_str(&without_addresses(&text)).unwrap()).to_string()
}

fn sorted(mut value: Value) -> Value {
    sort(&mut value);
    value
}

fn different(what: &str, right: &BTreeMap<String, String>, is: &BTreeMap<String, String>) -> Vec<String> {
    let keys: BTreeSet<_> = right.keys().chain(is.keys()).collect();
    let pairs = keys.into_iter().map(|key| (key, right.get(key), is.get(key))).filter(|(_, right, is)| right != is);
    pairs.map(|(key, right, is)| format!("{what}: {key} is {is:?}, not {right:?}")).collect()
}

/// The state's resources and outputs, without values that differ between runs.
fn facts(state: &State, ids: &[(String, String)]) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for (address, record) in &state.resources {
        for (field, value) in serde_json::to_value(record).unwrap().as_object().unwrap() {
            // The number of attempts does not matter.
            if field != "generation" {
                facts.insert(format!("{address} {field}"), normal(value, ids));
            }
        }
    }
    for (name, value) in &state.outputs {
        facts.insert(format!("output {name}"), normal(value, ids));
    }
    facts
}

/// The tags of a resource with an id, but without a name.
async fn tags(bench: &Bench) -> BTreeMap<String, String> {
    let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for region in &bench.regions() {
        let mut pages = bench.ec2(region).describe_tags().into_paginator().items().send();
        while let Some(tag) = pages.next().await {
            let tag = tag.unwrap();
            let line = format!("{}={}", tag.key().unwrap_or_default(), tag.value().unwrap_or_default());
            tags.entry(tag.resource_id().unwrap_or_default().to_owned()).or_default().push(line);
        }
        let kms = aws_sdk_kms::Client::new(&bench.sdk(region));
        for key in kms.list_keys().send().await.unwrap().keys() {
            let id = key.key_id().unwrap_or_default();
            let of_key = kms.list_resource_tags().key_id(id).send().await;
            for tag in of_key.iter().flat_map(aws_sdk_kms::operation::list_resource_tags::ListResourceTagsOutput::tags)
            {
                tags.entry(id.to_owned()).or_default().push(format!("{}={}", tag.tag_key(), tag.tag_value()));
            }
        }
    }
    let joined = tags.into_iter().map(|(id, mut tags)| {
        // Every life is a deployment of its own.
        tags.retain(|tag| !tag.starts_with("payinfra:lineage="));
        tags.sort();
        (id, tags.join(","))
    });
    joined.collect()
}

/// Whether AWS chose an id, or a part of it; otherwise it is a name from the configuration.
#[must_use]
pub fn is_chosen_by_aws(id: &str) -> bool {
    anonymous(id) != id
}

/// A word in the account's list, without the parts that AWS chose.
fn anonymous(word: &str) -> String {
    if word.ends_with(".rds.amazonaws.com") {
        let kinds = ["cluster-ro", "cluster", "global"];
        let label =
            |label: &str| kinds.into_iter().find(|kind| label.starts_with(&format!("{kind}-"))).map(str::to_owned);
        return word.split('.').map(|it| label(it).unwrap_or_else(|| it.to_owned())).collect::<Vec<_>>().join(".");
    }
    word.split('/').map(chosen).collect::<Vec<_>>().join("/")
}

/// A part of a word, or the replacement for a part that AWS chose.
fn chosen(part: &str) -> &str {
    let is_hex = |text: &str| text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_long = |text: &str| text.len() >= 20 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // A revision of a task definition.
    if let Some((family, revision)) = part.rsplit_once(':')
        && revision.len() < 4
        && revision.parse::<u16>().is_ok()
    {
        return family;
    }
    if let Some((name, id)) = part.rsplit_once('_')
        && is_hex(id)
    {
        return name;
    }
    match part.split_once('-') {
        _ if is_hex(part) || is_long(part) => "(id)",
        Some((kind, rest)) if is_hex(rest.rsplit('-').next().unwrap_or(rest)) || is_long(rest) => kind,
        _ => part,
    }
}

/// Sorts lists: sets of ids are sorted by id, which differs between runs. The ARN of a table's stream ends with the
/// time of its creation, and that of a secret of RDS with a random name; both are cut off.
fn sort(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("arn:") => {
            for random in ["/stream/", ":secret:rds!"] {
                if let Some(start) = text.find(random) {
                    text.truncate(start + random.len());
                }
            }
        }
        Value::Array(items) => {
            items.iter_mut().for_each(sort);
            items.sort_by_key(Value::to_string);
        }
        Value::Object(fields) => fields.values_mut().for_each(sort),
        _ => {}
    }
}

/// A text in which IP addresses and ids without an address are replaced.
fn without_addresses(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let inner = |character: char| character.is_ascii_alphanumeric() || character == '.' || character == '-';
        let word = rest.find(|character| !inner(character)).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(word);
        let public = head.parse::<std::net::Ipv4Addr>().is_ok_and(|address| !address.is_private());
        normal.push_str(&if public && !tail.starts_with('/') { "(address)".to_owned() } else { anonymous(head) });
        let mut characters = tail.chars();
        normal.extend(characters.next());
        rest = characters.as_str();
    }
    normal
}
