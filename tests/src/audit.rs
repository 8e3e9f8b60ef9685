//! What became of payments: each that was accepted is stored and audited exactly once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

/// What a client knows of a payment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Payment {
    /// The bodies of all 2xx responses.
    pub(crate) accepted: Vec<Value>,
    /// Whether another response, or none, leaves open whether it is stored.
    pub(crate) in_doubt: bool,
    /// The regions that had its audit record at the last audit. Replication does not copy what existed before, so later
    /// regions need not have it.
    pub(crate) audited: Option<BTreeSet<String>>,
}

/// The payments and audit records in a region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The items of the table, by id.
    items: BTreeMap<String, Item>,
    /// The ids with several items.
    twice: BTreeSet<String>,
    /// The keys in the audit bucket, once for each version.
    records: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    accepted_at: String,
    /// The region that stored it.
    region: String,
    is_audited: bool,
}

impl Contents {
    /// Reads a table and an audit bucket.
    pub(crate) async fn read(sdk: &SdkConfig, table: &str, bucket: &str) -> Self {
        let mut contents = Self { records: records(sdk, bucket).await, ..Self::default() };
        for (id, item) in items(sdk, table).await {
            if contents.items.insert(id.clone(), item).is_some() {
                contents.twice.insert(id);
            }
        }
        contents
    }
}

/// What is wrong with the payments in the regions that store them. `before` are the regions at the last audit.
pub(crate) fn audit(
    payments: &mut BTreeMap<String, Payment>,
    before: &BTreeSet<String>,
    regions: &BTreeMap<String, Contents>,
) -> Vec<String> {
    let mut problems = Vec::new();
    // The regions of each version of each audit record, by id and key.
    let mut records = BTreeMap::<&str, BTreeMap<&str, Vec<&str>>>::new();
    for (region, contents) in regions {
        for key in &contents.records {
            records.entry(id_of(key)).or_default().entry(key).or_default().push(region);
        }
    }
    let stored = regions.values().flat_map(|contents| contents.items.keys().map(String::as_str));
    let unknown: BTreeSet<_> = stored.chain(records.keys().copied()).filter(|id| !payments.contains_key(*id)).collect();
    problems.extend(unknown.into_iter().map(|id| format!("{id} is stored, but was never sent")));
    for (id, payment) in payments {
        let items = regions.iter().filter_map(|(region, contents)| Some((region.as_str(), contents.items.get(id)?)));
        let items: BTreeMap<_, _> = items.collect();
        let records = records.remove(id.as_str()).unwrap_or_default();
        let found = match payment.accepted.first() {
            Some(answer) => accepted(id, answer, payment, before, regions, &items, &records),
            None if items.is_empty() && records.is_empty() => Vec::new(),
            None if !payment.in_doubt => vec!["was refused, but is stored".to_owned()],
            None if items.is_empty() => vec!["was refused, but has an audit record".to_owned()],
            None => Vec::new(),
        };
        problems.extend(found.into_iter().map(|problem| format!("{id} {problem}")));
        let audited = records.into_values().flatten().map(str::to_owned).collect();
        payment.audited = (!payment.accepted.is_empty()).then_some(audited);
    }
    problems
}

/// What is wrong with a payment that was accepted: with its items, by region, and its audit records, by key.
fn accepted(
    id: &str,
    answer: &Value,
    payment: &Payment,
    before: &BTreeSet<String>,
    regions: &BTreeMap<String, Contents>,
    items: &BTreeMap<&str, &Item>,
    records: &BTreeMap<&str, Vec<&str>>,
) -> Vec<String> {
    let mut problems = Vec::new();
    // A payment may be pending in one response, and accepted in the next.
    let told = |answer: &Value| {
        let mut answer = answer.clone();
        answer["status"].take();
        answer
    };
    if payment.accepted.iter().any(|other| told(other) != told(answer)) {
        problems.push(format!("was accepted twice: {:?}", payment.accepted));
    }
    for (region, contents) in regions {
        if contents.twice.contains(id) {
            problems.push(format!("has several items in {region}"));
        }
        match items.get(region.as_str()) {
            None => problems.push(format!("was accepted, but is not stored in {region}")),
            Some(item) if answer["acceptedAt"] != item.accepted_at => {
                problems.push(format!("was accepted at {}, but {region} has {item:?}", answer["acceptedAt"]));
            }
            Some(item) if !item.is_audited => problems.push(format!("was accepted, but is pending in {region}")),
            Some(_) => {}
        }
    }
    if records.len() != 1 {
        problems.push(format!("was accepted, but has {} audit records", records.len()));
    }
    // It stays where it was. A new one is where the payment was stored, and in all regions that have been there for long.
    let homes = items.values().map(|item| &item.region);
    let must = payment.audited.clone().unwrap_or_else(|| homes.chain(before).cloned().collect());
    for (key, copies) in records {
        for region in must.iter().filter(|region| regions.contains_key(*region) && !copies.contains(&region.as_str())) {
            problems.push(format!("was accepted, but {region} does not have its audit record {key}"));
        }
        let twice = copies.iter().enumerate().filter(|(index, region)| copies[..*index].contains(region));
        problems.extend(twice.map(|(_, region)| format!("has a second version of {key} in {region}")));
    }
    problems
}

/// The payments in a table, with or without a sort key, by id. Claims are not payments.
async fn items(sdk: &SdkConfig, table: &str) -> Vec<(String, Item)> {
    let scan = aws_sdk_dynamodb::Client::new(sdk).scan().table_name(table).consistent_read(true);
    let found: Vec<_> = scan.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap();
    let text = |value: Option<&AttributeValue>| value.and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    let item = |item: HashMap<String, AttributeValue>| {
        let known = Item {
            accepted_at: text(item.get("accepted_at")),
            region: text(item.get("region")),
            is_audited: item.contains_key("audit") || text(item.get("status")) == "accepted",
        };
        (text(item.get("payment_id")), known)
    };
    found.into_iter().filter(|item| !item.contains_key("claim")).map(item).collect()
}

/// The keys of all versions of audit records in a bucket.
async fn records(sdk: &SdkConfig, bucket: &str) -> Vec<String> {
    let config = aws_sdk_s3::config::Builder::from(sdk).force_path_style(true).build();
    let pages = aws_sdk_s3::Client::from_conf(config).list_object_versions().bucket(bucket).prefix("payments/");
    let (mut keys, mut next, mut version) = (Vec::new(), None, None);
    loop {
        let page = pages.clone().set_key_marker(next).set_version_id_marker(version).send().await.unwrap();
        keys.extend(page.versions().iter().filter_map(|version| version.key().map(str::to_owned)));
        (next, version) = (page.next_key_marker().map(str::to_owned), page.next_version_id_marker().map(str::to_owned));
        if next.is_none() {
            return keys;
        }
    }
}

/// The payment that an audit record is of: `payments/2026/03/01/ID-HASH.json`.
fn id_of(key: &str) -> &str {
    let name = key.rsplit('/').next().unwrap_or(key);
    name.rsplit_once('-').map_or(name, |(id, _)| id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EAST: &str = "us-east-1";
    const WEST: &str = "us-west-2";
    const RECORD: &str = "payments/2026/03/01/order-1-aaaa.json";

    /// A payment, and the regions.
    struct Case {
        payment: Payment,
        before: BTreeSet<String>,
        regions: BTreeMap<String, Contents>,
    }

    /// An accepted payment that is stored and audited in two regions.
    fn whole() -> Case {
        let answer = json!({ "transactionId": "order-1", "acceptedAt": "2026-03-01T02:00:00Z" });
        let item = Item { accepted_at: "2026-03-01T02:00:00Z".to_owned(), region: WEST.to_owned(), is_audited: true };
        let items = [("order-1".to_owned(), item)].into();
        let contents = Contents { items, records: vec![RECORD.to_owned()], ..Contents::default() };
        Case {
            payment: Payment { accepted: vec![answer.clone(), answer], ..Payment::default() },
            before: [EAST.to_owned(), WEST.to_owned()].into(),
            regions: [EAST, WEST].map(|region| (region.to_owned(), contents.clone())).into(),
        }
    }

    /// Checks the problems after a change.
    fn check(change: impl FnOnce(&mut Case, &str), problems: &[&str]) {
        let mut case = whole();
        change(&mut case, "order-1");
        let mut payments = [("order-1".to_owned(), case.payment)].into();
        let found = audit(&mut payments, &case.before, &case.regions);
        let starts = |(found, problem): (&String, &&str)| found.starts_with(problem);
        assert!(found.len() == problems.len() && found.iter().zip(problems).all(starts), "{found:#?}");
    }

    fn east(case: &mut Case) -> &mut Contents {
        case.regions.get_mut(EAST).unwrap()
    }

    #[test]
    fn a_payment_that_is_lost_is_found() {
        check(|_, _| (), &[]);
        check(|case, _| east(case).items.clear(), &["order-1 was accepted, but is not stored in us-east-1"]);
        let pending = |case: &mut Case, id: &str| east(case).items.get_mut(id).unwrap().is_audited = false;
        check(pending, &["order-1 was accepted, but is pending in us-east-1"]);
        let unaudited = |case: &mut Case, _: &str| case.regions.values_mut().for_each(|region| region.records.clear());
        check(unaudited, &["order-1 was accepted, but has 0 audit records"]);
    }

    #[test]
    fn an_audit_record_is_where_it_was_stored_and_stays() {
        let missing =
            &["order-1 was accepted, but us-east-1 does not have its audit record payments/2026/03/01/order-1"];
        check(|case, _| east(case).records.clear(), missing);
        let new = |case: &mut Case| {
            east(case).records.clear();
            case.before = [WEST.to_owned()].into();
        };
        // It was accepted before the other region replicated audit records.
        check(|case, _| new(case), &[]);
        let later = |case: &mut Case, _: &str| {
            new(case);
            case.payment.audited = Some([EAST.to_owned()].into());
        };
        check(later, missing);
    }

    #[test]
    fn a_payment_that_is_there_twice_is_found() {
        let version = |case: &mut Case, _: &str| east(case).records.push(RECORD.to_owned());
        check(version, &["order-1 has a second version of payments/2026/03/01/order-1-aaaa.json in us-east-1"]);
        let record = |case: &mut Case, _: &str| {
            case.regions.values_mut().for_each(|region| region.records.push(RECORD.replace("aaaa", "bbbb")));
        };
        check(record, &["order-1 was accepted, but has 2 audit records"]);
        let answer = |case: &mut Case, _: &str| case.payment.accepted[1]["acceptedAt"] = json!("2026-03-01T02:00:01Z");
        check(answer, &["order-1 was accepted twice"]);
        let item = |case: &mut Case, id: &str| east(case).items.get_mut(id).unwrap().accepted_at = "later".to_owned();
        check(item, &["order-1 was accepted at \"2026-03-01T02:00:00Z\", but us-east-1 has"]);
        let twice = |case: &mut Case, id: &str| east(case).twice = [id.to_owned()].into();
        check(twice, &["order-1 has several items in us-east-1"]);
        let unknown = |case: &mut Case, id: &str| {
            let item = case.regions[EAST].items[id].clone();
            drop(east(case).items.insert("order-2".to_owned(), item));
        };
        check(unknown, &["order-2 is stored, but was never sent"]);
    }

    #[test]
    fn a_refused_payment_is_nowhere_unless_it_is_in_doubt() {
        check(|case, _| case.payment = Payment::default(), &["order-1 was refused, but is stored"]);
        let in_doubt = |case: &mut Case| case.payment = Payment { in_doubt: true, ..Payment::default() };
        check(|case, _| in_doubt(case), &[]);
        let unstored = |case: &mut Case, _: &str| {
            in_doubt(case);
            case.regions.values_mut().for_each(|region| region.items.clear());
        };
        check(unstored, &["order-1 was refused, but has an audit record"]);
    }
}
