//! Differences between regions: what AWS says of a resource in one region, and not of its counterpart in another.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::refresh::Refreshed;
use crate::address::{Address, Region};
use crate::diff::{Change, diff};
use crate::graph::{Declared, Graph};
use crate::resolve::pointers;
use crate::secret::{has_secret, is_secret, redacted_like};
use crate::state::State;

/// A difference of a resource between regions.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The kind.
    pub kind: Arc<str>,
    /// The name, in which `{region}` stands for the region.
    pub name: String,
    /// The path of the field; `None` if the resource does not exist in some of the regions.
    pub field: Option<String>,
    /// The regions that deviate from what was applied; if none does, those with another value than most.
    pub regions: BTreeSet<Region>,
    /// What AWS says in each region; null if there is no value, or no resource.
    pub values: BTreeMap<Region, Value>,
}

/// The differences between the regions of `graph`, resource by resource and field by field. Resources are counterparts if their
/// addresses are the same except for the region.
///
/// What the declaration makes different is no difference: ids, ARNs, names, CIDR blocks and parameters of a region. Nor are
/// fields that are not managed. A resource with parts in several regions, such as a global table, is compared part by part, and
/// its other fields with what was applied.
#[must_use]
pub fn between_regions(graph: &Graph, state: &State, refreshed: &Refreshed) -> Vec<Difference> {
    let regions: BTreeSet<&Region> =
        graph.nodes().keys().map(|address| &address.region).filter(|region| **region != Region::global()).collect();
    let mut groups = Groups::new();
    let mut spanning = Vec::new();
    for (address, node) in graph.nodes().iter().filter(|(_, node)| !node.lookup) {
        let Some(region) = region_of(address, &regions) else { continue };
        let member = Member::new(address, node, state, refreshed);
        let name = without(&address.name, region);
        if let Some(field) = member.field_by_region(&regions) {
            spanning.push((Arc::clone(&address.kind), name.clone(), region.clone(), field, member.clone()));
        }
        groups.entry((Arc::clone(&address.kind), name)).or_default().insert(region.clone(), member);
    }
    let mut found = Vec::new();
    let tokens = tokens(&groups, state, &regions);
    for ((kind, name), members) in groups.iter().filter(|(_, members)| members.len() > 1) {
        compare(kind, name, members, &tokens, &mut found);
    }
    for (kind, name, region, field, member) in &spanning {
        compare(kind, name, &member.parts(field, region), &tokens, &mut found);
        found.extend(member.drift(kind, name, region, field));
    }
    found
}

/// The region that a resource is in; for a global one, the region in its name.
fn region_of<'a>(address: &'a Address, regions: &BTreeSet<&'a Region>) -> Option<&'a Region> {
    if address.region != Region::global() {
        return Some(&address.region);
    }
    let named = regions.iter().copied().filter(|region| address.name.contains(region.as_str()));
    named.max_by_key(|region| region.as_str().len())
}

fn without(text: &str, region: &Region) -> String {
    text.replace(region.as_str(), "{region}")
}

/// A resource in one region.
#[derive(Clone)]
struct Member<'a> {
    declared: Cow<'a, Value>,
    /// As it was last applied; null if it never was.
    applied: Value,
    /// As AWS says; `None` if it does not exist.
    live: Option<Value>,
}

impl<'a> Member<'a> {
    fn new(address: &Address, node: &'a Declared, state: &State, refreshed: &Refreshed) -> Self {
        let applied = state.resources.get(address).map(|record| record.args.clone()).unwrap_or_default();
        let live = refreshed.live.get(address).map(|seen| redacted_like(&seen.args, &applied, &state.lineage));
        Self { declared: Cow::Borrowed(&node.args), applied, live }
    }

    /// The field that has a part for each of several regions.
    fn field_by_region(&self, regions: &BTreeSet<&Region>) -> Option<String> {
        let is_region = |key: &String| regions.iter().any(|region| region.as_str() == key);
        let by_region = |value: &Value| {
            value.as_object().is_some_and(|parts| {
                !parts.is_empty() && parts.keys().all(is_region) && parts.values().all(Value::is_object)
            })
        };
        let fields = self.declared.as_object().into_iter().flatten();
        fields.filter(|(_, value)| by_region(value)).map(|(field, _)| field.clone()).next()
    }

    /// The parts of a resource by region: those in `field`, and its own values of the same fields.
    fn parts(&self, field: &str, own: &Region) -> BTreeMap<Region, Member<'static>> {
        let names: BTreeSet<String> = self.declared[field]
            .as_object()
            .into_iter()
            .flat_map(|parts| parts.values())
            .filter_map(Value::as_object)
            .flat_map(|part| part.keys().cloned())
            .collect();
        let own_part = |whole: &Value| -> Value {
            let fields = names.iter().filter_map(|name| Some((name.clone(), whole.get(name)?.clone())));
            Value::Object(fields.collect::<Map<_, _>>())
        };
        let part = |region: &str| Member {
            declared: Cow::Owned(self.declared[field][region].clone()),
            applied: self.applied[field][region].clone(),
            live: self.live.as_ref().and_then(|live| live[field].get(region)).cloned(),
        };
        let others = self.declared[field].as_object().into_iter().flat_map(|parts| parts.keys());
        let mut parts: BTreeMap<_, _> = others.map(|region| (Region::new(region), part(region))).collect();
        let own_member = Member {
            declared: Cow::Owned(own_part(&self.declared)),
            applied: own_part(&self.applied),
            live: self.live.as_ref().map(own_part),
        };
        parts.insert(own.clone(), own_member);
        parts
    }

    /// The changes to a resource with parts in several regions, outside these parts and what they have in common.
    fn drift(&self, kind: &Arc<str>, name: &str, own: &Region, field: &str) -> Vec<Difference> {
        let Some(live) = &self.live else { return Vec::new() };
        let parts = self.parts(field, own);
        let common = parts.get(own).and_then(|part| part.declared.as_object().cloned()).unwrap_or_default();
        let changes = diff(&self.applied, live, None).into_iter();
        let changes = changes.filter(|change| change.field() != field && !common.contains_key(change.field()));
        let difference = |change: Change| Difference {
            kind: Arc::clone(kind),
            name: name.to_owned(),
            field: Some(change.path),
            regions: BTreeSet::from([own.clone()]),
            values: BTreeMap::from([(own.clone(), change.old)]),
        };
        changes.map(difference).collect()
    }

    /// Whether AWS says of `field` what was applied.
    fn keeps(&self, field: &str) -> bool {
        self.live.as_ref().is_some_and(|live| diff(&self.applied[field], &live[field], None).is_empty())
    }
}

/// The counterparts by kind, name and region.
type Groups<'a> = BTreeMap<(Arc<str>, String), BTreeMap<Region, Member<'a>>>;

/// What stands for the texts of a region, the longest first.
type Tokens = BTreeMap<Region, Vec<(String, String)>>;

/// The shortest text that is replaced: shorter ones are no ids.
const SHORTEST: usize = 7;

/// The texts that are different in each region: the region itself, ids and outputs, and what the declaration makes different.
fn tokens(groups: &Groups<'_>, state: &State, regions: &BTreeSet<&Region>) -> Tokens {
    let mut tokens: BTreeMap<Region, BTreeMap<String, String>> = BTreeMap::new();
    for region in regions {
        let all = tokens.entry((*region).clone()).or_default();
        all.insert(region.as_str().to_owned(), "{region}".to_owned());
        all.insert(in_camel_case(region), "{Region}".to_owned());
    }
    for (address, record) in &state.resources {
        let Some(region) = region_of(address, regions) else { continue };
        let place = format!("{}/{}", address.kind, without(&address.name, region));
        let mut outputs = vec![("id".to_owned(), record.id.clone().unwrap_or_default())];
        texts(&record.outputs, &mut Vec::new(), &mut |path, text| outputs.push((path.to_owned(), text.to_owned())));
        let all = tokens.entry(region.clone()).or_default();
        for (output, text) in outputs.into_iter().filter(|(_, text)| text.len() >= SHORTEST) {
            all.entry(text).or_insert_with(|| format!("{{{place}#{output}}}"));
        }
    }
    for ((kind, name), members) in groups.iter().filter(|(_, members)| members.len() > 1) {
        let mut declared: BTreeMap<String, BTreeMap<&Region, String>> = BTreeMap::new();
        for (region, member) in members {
            texts(&member.declared, &mut Vec::new(), &mut |path, text| {
                declared.entry(path.to_owned()).or_default().insert(region, text.to_owned());
            });
        }
        for (path, by_region) in declared {
            let distinct: BTreeSet<_> = by_region.iter().map(|(region, text)| without(text, region)).collect();
            if distinct.len() < 2 || path.ends_with("$ref") {
                continue;
            }
            for (region, text) in by_region.into_iter().filter(|(_, text)| text.len() >= SHORTEST) {
                let all = tokens.entry(region.clone()).or_default();
                all.entry(text).or_insert_with(|| format!("{{{kind}/{name}.{path}}}"));
            }
        }
    }
    let longest_first = |all: BTreeMap<String, String>| {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by_key(|(text, _)| Reverse(text.len()));
        all
    };
    tokens.into_iter().map(|(region, all)| (region, longest_first(all))).collect()
}

/// As it is in ids of policy statements: `UsEast1`.
fn in_camel_case(region: &Region) -> String {
    let parts = region.as_str().split('-').map(|part| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    parts.collect()
}

/// Calls `found` with the path and the text of every string in `value`.
fn texts(value: &Value, path: &mut Vec<String>, found: &mut impl FnMut(&str, &str)) {
    match value {
        Value::String(text) => found(&path.join("."), text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                texts(item, path, found);
                path.pop();
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                path.push(key.clone());
                texts(member, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

/// `value` with the tokens of its region. A list whose items change is sorted again, as sets are.
fn normal(value: &Value, tokens: &[(String, String)]) -> Value {
    let replaced = |text: &str| {
        let mut text = text.to_owned();
        for (old, new) in tokens {
            if text.contains(old.as_str()) {
                text = text.replace(old.as_str(), new);
            }
        }
        text
    };
    match value {
        Value::String(text) => Value::String(replaced(text)),
        Value::Array(items) => {
            let mut normalised: Vec<_> = items.iter().map(|item| normal(item, tokens)).collect();
            if normalised != *items {
                normalised.sort_by_key(ToString::to_string);
            }
            Value::Array(normalised)
        }
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, member)| (replaced(key), normal(member, tokens))).collect())
        }
        other => other.clone(),
    }
}

/// Adds the differences between the `members`.
fn compare(
    kind: &Arc<str>,
    name: &str,
    members: &BTreeMap<Region, Member<'_>>,
    tokens: &Tokens,
    found: &mut Vec<Difference>,
) {
    let gone: BTreeSet<_> =
        members.iter().filter(|(_, member)| member.live.is_none()).map(|(at, _)| at.clone()).collect();
    if gone.len() == members.len() {
        return;
    }
    if !gone.is_empty() {
        let exists = |(region, member): (&Region, &Member<'_>)| {
            (region.clone(), if member.live.is_some() { json!("exists") } else { Value::Null })
        };
        let values = members.iter().map(exists).collect();
        found.push(Difference { kind: Arc::clone(kind), name: name.to_owned(), field: None, regions: gone, values });
    }
    let members: BTreeMap<_, _> = members.iter().filter(|(_, member)| member.live.is_some()).collect();
    let none = Vec::new();
    let of = |region: &Region| tokens.get(region).unwrap_or(&none);
    let fields: BTreeSet<&String> = members
        .values()
        .flat_map(|member| [Some(&*member.declared), member.live.as_ref()])
        .flatten()
        .filter_map(Value::as_object)
        .flat_map(Map::keys)
        .collect();
    for field in fields {
        if members.values().all(|member| is_unmanaged(&member.declared, field)) {
            continue;
        }
        let refers = members.values().any(|member| !pointers(&member.declared[field]).is_empty());
        // References were resolved to the ids that were applied, so the declaration says more than the ids do.
        let as_declared = refers && members.values().all(|member| member.keeps(field));
        let mut sides = BTreeMap::new();
        for (region, member) in &members {
            let live = member.live.as_ref().map_or(&Value::Null, |live| &live[field]);
            let declared = normal(&member.declared[field], of(region));
            let value = if as_declared { declared.clone() } else { normal(live, of(region)) };
            sides.insert((*region).clone(), Side { declared, value, live, applied: &member.applied[field] });
        }
        leaves(&sides, &mut vec![field.clone()], &mut |path, values, odd| {
            let (kind, name, field) = (Arc::clone(kind), name.to_owned(), Some(path.join(".")));
            found.push(Difference { kind, name, field, regions: odd, values });
        });
    }
}

/// A value in one region.
#[derive(Clone)]
struct Side<'a> {
    /// As it is declared, normalised.
    declared: Value,
    /// As AWS says, normalised.
    value: Value,
    live: &'a Value,
    applied: &'a Value,
}

/// Calls `found` for every value below `path` that is declared to be the same, but is not.
fn leaves(
    sides: &BTreeMap<Region, Side<'_>>,
    path: &mut Vec<String>,
    found: &mut impl FnMut(&[String], BTreeMap<Region, Value>, BTreeSet<Region>),
) {
    if same(sides) {
        return;
    }
    // Digests of secrets that contain the region differ, so each one is compared with the applied one.
    let hides = |value: &Value| is_secret(value) || (value.is_array() && has_secret(value));
    if sides.values().any(|side| hides(side.live) || hides(side.applied)) {
        let changed: BTreeSet<_> =
            sides.iter().filter(|(_, side)| side.live != side.applied).map(|(region, _)| region.clone()).collect();
        if !changed.is_empty() {
            found(path, sides.iter().map(|(region, side)| (region.clone(), side.live.clone())).collect(), changed);
        }
        return;
    }
    let is_object = |side: &Side<'_>| side.value.is_object() || side.declared.is_object();
    if sides.values().all(is_object) && sides.values().all(|side| !is_reference(&side.declared)) {
        let keys: BTreeSet<String> = sides
            .values()
            .flat_map(|side| [&side.value, &side.declared])
            .filter_map(Value::as_object)
            .flat_map(|members| members.keys().cloned())
            .collect();
        for key in keys {
            if sides.values().all(|side| is_unmanaged(&side.declared, &key)) {
                continue;
            }
            let below = sides.iter().map(|(region, side)| {
                let (declared, value) = (side.declared[&key].clone(), side.value[&key].clone());
                (region.clone(), Side { declared, value, live: &side.live[&key], applied: &side.applied[&key] })
            });
            let below = below.collect();
            path.push(key);
            leaves(&below, path, found);
            path.pop();
        }
        return;
    }
    // Only regions with the same declaration are compared: elsewhere it is a parameter of the region.
    let mut alike: BTreeMap<String, BTreeMap<Region, Side<'_>>> = BTreeMap::new();
    for (region, side) in sides {
        alike.entry(side.declared.to_string()).or_default().insert(region.clone(), side.clone());
    }
    for sides in alike.into_values().filter(|sides| !same(sides)) {
        let values = sides.iter().map(|(region, side)| (region.clone(), side.live.clone())).collect();
        found(path, values, odd(&sides));
    }
}

/// Whether AWS says the same in all regions.
fn same(sides: &BTreeMap<Region, Side<'_>>) -> bool {
    sides.values().zip(sides.values().skip(1)).all(|(one, other)| one.value == other.value)
}

/// Whether `member` is declared to be null: then it is not managed.
fn is_unmanaged(declared: &Value, member: &str) -> bool {
    declared.get(member).is_some_and(Value::is_null)
}

fn is_reference(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.contains_key("$ref") || members.contains_key("$text"))
}

/// The regions whose value is not the applied one; if there are none, those with another value than most.
fn odd(sides: &BTreeMap<Region, Side<'_>>) -> BTreeSet<Region> {
    let changed = sides.iter().filter(|(_, side)| side.live != side.applied);
    let changed: BTreeSet<_> = changed.map(|(region, _)| region.clone()).collect();
    if !changed.is_empty() && changed.len() < sides.len() {
        return changed;
    }
    let count = |value: &Value| sides.values().filter(|side| side.value == *value).count();
    let most = sides.values().map(|side| count(&side.value)).max().unwrap_or_default();
    let fewer: BTreeSet<_> =
        sides.iter().filter(|(_, side)| count(&side.value) < most).map(|(region, _)| region.clone()).collect();
    if fewer.is_empty() { sides.keys().cloned().collect() } else { fewer }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::cloud::{Seen, Status};
    use crate::state::Record;
    use crate::tags::Tags;

    const REGIONS: [&str; 3] = ["us-east-1", "us-east-2", "us-west-2"];

    /// A deployment in three regions, in which AWS says what was applied.
    struct Setting {
        graph: Graph,
        state: State,
        refreshed: Refreshed,
    }

    impl Setting {
        fn new() -> Self {
            let mut setting = Self {
                graph: Graph::new("trading", "dev", Tags::new()),
                state: State::new("trading", "dev", "123456789012"),
                refreshed: Refreshed::default(),
            };
            for (index, region) in REGIONS.into_iter().enumerate() {
                let block = format!("10.{index}.0.0/16");
                let vpc = json!({ "cidr": block, "dns": null, "tags": { "Name": "vpc" } });
                let applied = json!({ "cidr": block, "dns": null, "tags": { "Name": "vpc" } });
                setting.add(&format!("{region}/ec2.vpc/main"), &vpc, applied);
                let vpc = format!("vpc-00{index}{index}{index}{index}");
                setting.state.resources.get_mut(&format!("{region}/ec2.vpc/main").parse().unwrap()).unwrap().id =
                    Some(vpc.clone());
                let reference = json!({ "$ref": format!("{region}/ec2.vpc/main#id") });
                let rules = json!([{ "from": block, "port": 3306 }]);
                let group = |vpc: &Value| json!({ "vpc": vpc, "about": format!("in {region}"), "rules": rules });
                setting.add(&format!("{region}/ec2.security-group/main"), &group(&reference), group(&json!(vpc)));
                let alarm = json!({ "name": "errors", "threshold": 5.0, "size": index });
                setting.add(&format!("{region}/cloudwatch.alarm/errors"), &alarm.clone(), alarm);
                let role = json!({ "name": format!("logs-{region}"), "sid": "Logs" });
                setting.add(&format!("global/iam.role/logs-{region}"), &role.clone(), role);
            }
            let replica = |protected| json!({ "recovery": true, "protected": protected });
            let replicas = json!({ "us-east-2": replica(false), "us-west-2": replica(false) });
            let table = json!({ "name": "sessions", "ttl": "expires_at", "recovery": true, "replicas": replicas });
            setting.add("us-east-1/dynamodb.table/sessions", &table.clone(), table);
            setting
        }

        fn add(&mut self, address: &str, declared: &Value, applied: Value) {
            let address: Address = address.parse().unwrap();
            let declared = json!({ "args": declared });
            self.graph.put(address.clone(), serde_json::from_value(declared).unwrap());
            let record = Record { id: Some("one".to_owned()), args: applied.clone(), ..Record::default() };
            self.state.resources.insert(address.clone(), record);
            let outputs = Value::Null;
            let seen = Seen { id: "one".to_owned(), status: Status::Ready, args: applied, outputs };
            self.refreshed.live.insert(address, seen);
        }

        /// Changes what AWS says.
        fn change(&mut self, address: &str, pointer: &str, value: Value) {
            let seen = self.refreshed.live.get_mut(&address.parse().unwrap()).unwrap();
            let (parent, member) = pointer.rsplit_once('/').unwrap();
            seen.args.pointer_mut(parent).unwrap()[member] = value;
        }

        /// The differences as `kind/name field: regions`.
        fn found(&self) -> Vec<String> {
            let found = between_regions(&self.graph, &self.state, &self.refreshed);
            // The history has the same graph with the digests of secrets.
            let sealed = self.graph.clone().sealed(&self.state.lineage).unwrap();
            assert_eq!(between_regions(&sealed, &self.state, &self.refreshed), found);
            let shown = found.iter().map(|it| {
                let regions: Vec<_> = it.regions.iter().map(Region::as_str).collect();
                let field = it.field.as_deref().unwrap_or("(exists)");
                format!("{}/{} {field}: {}", it.kind, it.name, regions.join(" "))
            });
            shown.collect()
        }
    }

    #[test]
    fn t08_ids_names_blocks_and_parameters_of_a_region_are_no_differences() {
        assert_eq!(Setting::new().found(), [""; 0]);
    }

    #[test]
    fn t08_a_change_in_one_region_names_the_region_the_resource_and_the_field() {
        for (address, pointer, value, expected) in [
            (
                "us-west-2/cloudwatch.alarm/errors",
                "/threshold",
                json!(9.0),
                "cloudwatch.alarm/errors threshold: us-west-2",
            ),
            ("us-east-1/ec2.vpc/main", "/tags/Owner", json!("me"), "ec2.vpc/main tags.Owner: us-east-1"),
            (
                "us-east-2/ec2.security-group/main",
                "/rules",
                json!([{ "from": "0.0.0.0/0", "port": 22 }, { "from": "10.1.0.0/16", "port": 3306 }]),
                "ec2.security-group/main rules: us-east-2",
            ),
            (
                "us-east-2/ec2.security-group/main",
                "/vpc",
                json!("vpc-009999"),
                "ec2.security-group/main vpc: us-east-2",
            ),
            ("global/iam.role/logs-us-west-2", "/sid", json!("All"), "iam.role/logs-{region} sid: us-west-2"),
            (
                "us-east-1/dynamodb.table/sessions",
                "/replicas/us-west-2/recovery",
                json!(false),
                "dynamodb.table/sessions recovery: us-west-2",
            ),
            (
                "us-east-1/dynamodb.table/sessions",
                "/recovery",
                json!(false),
                "dynamodb.table/sessions recovery: us-east-1",
            ),
            ("us-east-1/dynamodb.table/sessions", "/ttl", json!("at"), "dynamodb.table/sessions ttl: us-east-1"),
        ] {
            let mut setting = Setting::new();
            setting.change(address, pointer, value);
            assert_eq!(setting.found(), [expected], "{address}{pointer}");
        }
    }

    #[test]
    fn t08_the_values_of_all_regions_are_what_aws_says() {
        let mut setting = Setting::new();
        setting.change("us-west-2/cloudwatch.alarm/errors", "/threshold", json!(9.0));
        let found = between_regions(&setting.graph, &setting.state, &setting.refreshed);
        let values: Vec<_> = found[0].values.iter().map(|(region, value)| (region.as_str(), value.clone())).collect();
        assert_eq!(values, [("us-east-1", json!(5.0)), ("us-east-2", json!(5.0)), ("us-west-2", json!(9.0))]);
    }

    #[test]
    fn t08_the_same_change_in_all_regions_is_no_difference() {
        let mut setting = Setting::new();
        for region in REGIONS {
            setting.change(&format!("{region}/cloudwatch.alarm/errors"), "/threshold", json!(9.0));
            // It mentions the region itself, and an id.
            let index = REGIONS.iter().position(|it| *it == region).unwrap();
            let about = format!("of vpc-00{index}{index}{index}{index} in {region}");
            setting.change(&format!("{region}/ec2.security-group/main"), "/about", json!(about));
        }
        assert_eq!(setting.found(), [""; 0]);
    }

    /// An apply that ended half-way: each region is as it was applied, but the regions are not the same.
    #[test]
    fn t08_regions_that_were_applied_differently_differ() {
        let mut setting = Setting::new();
        let address: Address = "us-east-2/cloudwatch.alarm/errors".parse().unwrap();
        setting.change(&address.to_string(), "/threshold", json!(9.0));
        setting.state.resources.get_mut(&address).unwrap().args["threshold"] = json!(9.0);
        assert_eq!(setting.found(), ["cloudwatch.alarm/errors threshold: us-east-2"]);
    }

    /// A parameter of one region does not hide a difference between the others, as between two replicas of one primary.
    #[test]
    fn t08_regions_with_the_same_declaration_are_compared_with_each_other() {
        let mut setting = Setting::new();
        for (region, source) in REGIONS.into_iter().zip([Value::Null, json!("arn:1"), json!("arn:1")]) {
            let cluster = json!({ "source": source });
            setting.add(&format!("{region}/rds.cluster/main"), &cluster.clone(), cluster);
        }
        assert_eq!(setting.found(), [""; 0]);
        setting.change("us-west-2/rds.cluster/main", "/source", Value::Null);
        assert_eq!(setting.found(), ["rds.cluster/main source: us-west-2"]);
    }

    #[test]
    fn t08_secrets_that_contain_the_region_are_compared_with_what_was_applied() {
        let mut setting = Setting::new();
        let digests = json!({ "us-east-1": "0a", "us-east-2": "1b", "us-west-2": "2c" });
        for region in REGIONS {
            let value = |value: Value| json!({ "value": value });
            let digest = value(json!({ "$hash": digests[region] }));
            let declared = value(json!({ "$secret": format!("in {region}") }));
            setting.add(&format!("{region}/ssm.parameter/name"), &declared, digest);
        }
        assert_eq!(setting.found(), [""; 0]);
        setting.change("us-east-2/ssm.parameter/name", "/value", json!({ "$hash": "another" }));
        assert_eq!(setting.found(), ["ssm.parameter/name value: us-east-2"]);
    }

    #[test]
    fn t08_a_resource_that_one_region_lacks_is_a_difference() {
        let mut setting = Setting::new();
        setting.refreshed.live.remove(&"us-east-2/cloudwatch.alarm/errors".parse().unwrap());
        assert_eq!(setting.found(), ["cloudwatch.alarm/errors (exists): us-east-2"]);
        for region in REGIONS {
            setting.refreshed.live.remove(&format!("{region}/cloudwatch.alarm/errors").parse().unwrap());
        }
        assert_eq!(setting.found(), [""; 0], "all regions lack it");
    }

    #[test]
    fn t08_fields_that_are_not_managed_are_not_compared() {
        let mut setting = Setting::new();
        setting.change("us-east-2/ec2.vpc/main", "/dns", json!(true));
        assert_eq!(setting.found(), [""; 0]);
    }
}
