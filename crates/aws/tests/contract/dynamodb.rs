//! Examples of DynamoDB.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{PointInTimeRecoverySpecification, Tag};
use payinfra_aws::dynamodb::{Attribute, Billing, Index, Projection, Replica, StreamView, Table};
use payinfra_aws::{Aws, Explain, Need};
use payinfra_engine::{Class, Cloud, Region, Resource, Result, Seen, Tags};
use serde_json::json;

use crate::example::{Again, Example, examples, form, graph, region};
use crate::kms::{key_for, key_in};
use crate::life::{access, site};

examples![global_table, table];

fn args(name: &str) -> Table {
    Table {
        name: name.to_owned(),
        hash_key: Attribute::string("payment_id"),
        range_key: Some(Attribute::number("timestamp")),
        indexes: BTreeMap::new(),
        billing: Billing::OnDemand,
        kms_key: None,
        stream: None,
        time_to_live: None,
        point_in_time_recovery: false,
        replicas: BTreeMap::new(),
        deletion_protection: Some(false),
        tags: Tags::new(),
    }
}

fn index(hash_key: Attribute, projection: Projection) -> Index {
    Index { hash_key, range_key: Some(Attribute::number("timestamp")), projection }
}

fn table() -> Result<Example> {
    let mut graph = graph("table");
    let key = key_for(&mut graph, "key", &["dynamodb.us-east-1.amazonaws.com"])?;
    let by_status = index(Attribute::string("status"), Projection::All);
    let by_customer = index(Attribute::string("customer_id"), Projection::KeysOnly);
    let args = Table { indexes: BTreeMap::from([("by-status".to_owned(), by_status)]), ..args("contract-table") };
    let amounts = Projection::Include(BTreeSet::from(["amount".to_owned(), "currency".to_owned()]));
    Example::new(graph, &region(), args)?
        .again(Again::Taken)
        .change(|table: &mut Table| table.deletion_protection = Some(true))?
        .change(|table: &mut Table| {
            table.point_in_time_recovery = true;
            table.time_to_live = Some("expires".to_owned());
        })?
        .change(|table: &mut Table| drop(table.indexes.insert("by-customer".to_owned(), by_customer)))?
        .change(|table: &mut Table| {
            if let Some(index) = table.indexes.get_mut("by-customer") {
                index.projection = amounts;
            }
            table.indexes.remove("by-status");
        })?
        .change(|table: &mut Table| table.kms_key = Some(key.outputs.arn))?
        .change(|table: &mut Table| table.stream = Some(StreamView::KeysOnly))?
        .change(|table: &mut Table| {
            table.stream = Some(StreamView::NewAndOldImages);
            table.time_to_live = Some("gone_at".to_owned());
        })?
        .change(|table: &mut Table| table.billing = Billing::Provisioned { read: 5, write: 2 })?
        .change(|table: &mut Table| table.billing = Billing::Provisioned { read: 5, write: 3 })?
        .change(|table: &mut Table| table.billing = Billing::OnDemand)?
        .change(|table: &mut Table| {
            (table.kms_key, table.stream, table.time_to_live) = (None, None, None);
            table.point_in_time_recovery = false;
        })
}

fn replica(kms_key: payinfra_engine::Ref<String>) -> Replica {
    Replica { kms_key: Some(kms_key), point_in_time_recovery: true, other_tags: Tags::new() }
}

fn global_table() -> Result<Example> {
    let mut graph = graph("global-table");
    let (east, west) = (Region::new("us-east-2"), Region::new("us-west-2"));
    let home = key_for(&mut graph, "key", &["dynamodb.us-east-1.amazonaws.com"])?;
    let key = key_in(&mut graph, &east, "key")?;
    let other = key_in(&mut graph, &east, "other")?;
    let far = key_in(&mut graph, &west, "key")?;
    let args = Table {
        kms_key: Some(home.outputs.arn),
        stream: Some(StreamView::NewAndOldImages),
        point_in_time_recovery: true,
        replicas: BTreeMap::from([(east.clone(), replica(key.outputs.arn))]),
        deletion_protection: Some(false),
        ..args("contract-global-table")
    };
    let (in_east, in_both) = (east.clone(), east);
    Example::new(graph, &region(), args)?
        .again(Again::Taken)
        .change(move |table: &mut Table| drop(table.replicas.insert(west, replica(far.outputs.arn))))?
        .change(move |table: &mut Table| {
            if let Some(replica) = table.replicas.get_mut(&in_east) {
                replica.point_in_time_recovery = false;
                replica.other_tags.insert("Copy", "of the table");
            }
        })?
        .change(move |table: &mut Table| drop(table.replicas.insert(in_both, replica(other.outputs.arn))))?
        .change(move |table: &mut Table| table.replicas.retain(|region, _| region.as_str() == "us-west-2"))
}

/// What somebody does to a copy in its own region shows in the table, and is put right.
#[tokio::test]
async fn a_replica_that_somebody_changed_is_seen_and_mended() -> Result<()> {
    let access = access().await?;
    let (far, aws) = (Region::new("us-east-2"), Aws::new(access.clone()));
    let (cx, name) = (access.cx(&far), "contract-changed-replica");
    let site = site(&region(), Table::KIND, "changed-replica")?;
    let copy = Replica { kms_key: None, point_in_time_recovery: true, other_tags: Tags::new() };
    let wanted = form(&Table {
        stream: Some(StreamView::NewAndOldImages),
        replicas: BTreeMap::from([(far, copy)]),
        deletion_protection: Some(false),
        tags: site.owner.tags().with("Team", "payments"),
        ..args(name)
    })?;
    let ids = [aws.create(&site, &wanted).await?];
    let read = || async { aws.read(&region(), Table::KIND, &ids).await?.pop().need("Table") };
    let settled = |seen: &Seen| seen.args["replicas"] == wanted["replicas"];
    for _ in 0..4 {
        let seen = read().await?;
        if settled(&seen) {
            break;
        }
        aws.update(&site, &wanted, &seen).await?;
    }
    assert!(settled(&read().await?));

    let off = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(false).build().explain()?;
    let call = cx.dynamodb().update_continuous_backups().table_name(name);
    call.point_in_time_recovery_specification(off).send().await.explain()?;
    let arn = format!("arn:aws:dynamodb:us-east-2:{}:table/{name}", cx.account());
    let tag = Tag::builder().key("Extra").value("theirs").build().explain()?;
    cx.dynamodb().tag_resource().resource_arn(&arn).tags(tag).send().await.explain()?;
    cx.dynamodb().untag_resource().resource_arn(&arn).tag_keys("Team").send().await.explain()?;

    let seen = read().await?;
    let copy = &seen.args["replicas"]["us-east-2"];
    assert_eq!(copy["point_in_time_recovery"], json!(false));
    assert_eq!(copy["other_tags"], json!({ "Extra": "theirs", "Team": "" }));
    aws.update(&site, &wanted, &seen).await?;
    assert!(settled(&read().await?));
    while let Err(error) = aws.delete(&site, &read().await?).await {
        assert_eq!(error.class(), Class::Conflict, "{error}");
    }
    Ok(())
}
